"""``nb-compile``: all kernels compiled for the processor at hand, for images of containers and nodes of clusters."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from nanobragg.cli.compiled_ahead import compiled_ahead
from nanobragg.cli.tool import Parser, carried_out, tool_parser
from nanobragg.engine.errors import BadInput
from nanobragg.engine.files.reading import reason
from nanobragg.kernels.kept import VARIABLE, keep_only_in
from nanobragg.kernels.processor import WrongProcessor, processor

NAME = "nb-compile"
EPILOG = f"""{VARIABLE}=FOLDER makes all commands look there first.

examples:
  nb-compile                                            into the cache of this user
  nb-compile /opt/nanobragg-kernels                     for an image of a container: then set
                                                        {VARIABLE}=/opt/nanobragg-kernels there
  NANOBRAGG_CPU=x86-64-v3 nb-compile /shared/kernels    for all nodes of a mixed cluster, which set both"""


def parser() -> Parser:
    """The options."""
    made = tool_parser(NAME, __doc__, EPILOG)
    made.add_argument("folder", nargs="?", help=f"where they are kept (default: {VARIABLE}, else this user's cache)")
    return made


def run(options: argparse.Namespace) -> int:
    """Compile what is not there yet."""
    if options.folder is not None:
        try:
            os.makedirs(options.folder, exist_ok=True)
        except FileExistsError:
            raise BadInput(f"{options.folder}: is a file, not a folder") from None
        except OSError as error:
            raise BadInput(f"{options.folder}: {reason(error)}") from None
        if not os.access(options.folder, os.W_OK):
            raise BadInput(f"{options.folder}: may not be written to")
        keep_only_in(options.folder)
    try:
        processor()
    except WrongProcessor as error:
        raise BadInput(str(error)) from None
    return compiled_ahead(print, traces=options.folder is None)


def main(line: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return carried_out(parser(), run, line)


if __name__ == "__main__":
    sys.exit(main())
