"""``nb-compile``: all kernels compiled for the processor at hand, for images of containers and nodes of clusters."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence

from nanobragg.cli.nanobragg.compiled_ahead import compiled_ahead
from nanobragg.cli.tools.tool import Parser, carried_out, tool_parser
from nanobragg.kernels.compiling.kept import VARIABLE

NAME = "nb-compile"
EPILOG = f"""{VARIABLE}=FOLDER makes all commands look there first.

examples:
  nb-compile                                            into the cache of this user
  nb-compile /opt/nanobragg-kernels                     for an image of a container: then set
                                                        {VARIABLE}=/opt/nanobragg-kernels there
  nb-compile /shared/kernels --gpu 8.0 --gpu 9.0        for A100 and H100 as well
  NANOBRAGG_CPU=x86-64-v3 nb-compile /shared/kernels    for all nodes of a mixed cluster, which set both"""


def parser() -> Parser:
    """The options."""
    command = tool_parser(NAME, __doc__, EPILOG)
    command.add_argument("folder", nargs="?", help=f"where they are kept (default: {VARIABLE}, else this user's cache)")
    command.add_argument(
        "--gpu", type=capability, action="append", default=[], metavar="CAPABILITY",
        help="the kernels of GPUs of this compute capability too (8.0, 9.0 ...); more than once for more; needs no GPU",
    )  # fmt: skip
    return command


def capability(word: str) -> tuple[int, int]:
    """A compute capability: 9.0, as NVIDIA writes it."""
    if not re.fullmatch(r"\d{1,2}\.\d", word):
        raise argparse.ArgumentTypeError(f"{word}: a compute capability is two numbers, as in 9.0")
    major, minor = map(int, word.split("."))
    return major, minor


def run(options: argparse.Namespace) -> int:
    """Compile what is not there yet."""
    return compiled_ahead(print, options.folder, options.gpu)


def main(line: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return carried_out(parser(), run, line)


if __name__ == "__main__":
    sys.exit(main())
