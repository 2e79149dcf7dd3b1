"""What all ``nb-`` commands have in common: errors in one line with status 2, a version, help with examples."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from nanobragg import __version__
from nanobragg.cli.streams import forgiving
from nanobragg.cli.tools.plans import or_cannot
from nanobragg.kernels.compiling.kept import in_words
from nanobragg.kernels.compiling.notice import before_compiling

MISUSED = 2


class Parser(argparse.ArgumentParser):
    """Says what is wrong with a line in one line; whoever has read one may have to compile kernels, and says so."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """The options of a line."""
        options = super().parse_args(args, namespace)
        before_compiling(lambda: print(f"{self.prog.split()[0]}: {in_words()}", file=sys.stderr))
        return options

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        print(f"{self.prog.split()[0]}: {message} ({self.prog} --help)", file=sys.stderr)
        sys.exit(MISUSED)


def tool_parser(name: str, description: str | None, epilog: str, usage: str | None = None) -> Parser:
    """A parser for a command; texts stand as they are written."""
    said = (description or "").partition(": ")[2].strip()
    parser = Parser(
        prog=name, description=said[:1].upper() + said[1:], epilog=epilog, usage=usage,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"{name} {__version__}")
    return parser


def carried_out(parser: Parser, run: Callable[[argparse.Namespace], int], line: Sequence[str] | None) -> int:
    """The exit status of a command's line: what its work makes of it, or 2 and one line on stderr."""
    with forgiving():
        options = parser.parse_args(line)
        return or_cannot(parser.prog, lambda: run(options))
