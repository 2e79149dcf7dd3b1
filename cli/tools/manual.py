"""``nb-completion``: completion for bash and zsh, and manual pages, from the tables that the commands are made of."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import sys
from collections.abc import Iterator, Sequence

from nanobragg import __version__
from nanobragg.cli.nanobragg.rules import RULES
from nanobragg.cli.nanobragg.usage import OPTIONS, help_text
from nanobragg.cli.tools.tool import Parser, carried_out, tool_parser
from nanobragg.engine.formats.whole import whole_file

NAME, MAIN = "nb-completion", "nanoBragg"
TOOLS = {
    "nb-batch": "batch.command", "nb-bench": "tools.bench", "nb-compare": "tools.compare",
    "nb-compile": "tools.compile", "nb-completion": "tools.manual", "nb-hkl": "tools.hkl", "nb-trace": "tools.trace",
    "nb-view": "tools.view",
}  # fmt: skip
EPILOG = """examples:
  eval "$(nb-completion bash)"          in ~/.bashrc
  eval "$(nb-completion zsh)"           in ~/.zshrc, after compinit
  nb-completion man ~/.local/share/man  manual pages: man nanoBragg"""
ZSH = "autoload -U +X bashcompinit && bashcompinit\n"


def parser() -> Parser:
    """The options."""
    command = tool_parser(NAME, __doc__, EPILOG)
    command.add_argument("what", choices=("bash", "zsh", "man"), help="for which shell, or manual pages")
    command.add_argument("folder", nargs="?", help="of manual pages: man1 is made in it")
    return command


def parser_of(tool: str) -> argparse.ArgumentParser:
    """The parser of a command."""
    module = importlib.import_module(f"nanobragg.cli.{TOOLS[tool]}")
    if tool == "nb-trace":
        return module.parser("")  # type: ignore[no-any-return]
    return (module.parser if hasattr(module, "parser") else module.arguments)()  # type: ignore[no-any-return]


def words_of(tool: str) -> list[str]:
    """What can stand on a command's line, files apart."""
    if tool == MAIN:
        return sorted({name for rule in RULES for name in rule.names} | {option.name for option in OPTIONS})
    found: list[str] = []
    for action in parser_of(tool)._actions:
        found += action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for name, form in action.choices.items():
                found += [name] if name != "shard" else []
                found += [word for part in form._actions for word in part.option_strings]
        elif action.choices is not None and not action.option_strings:
            found += map(str, action.choices)
    return sorted(set(found) | {"diff", "phi", "hkl"} if tool == "nb-trace" else set(found))


def completion() -> Iterator[str]:
    """Lines for bash: words of each command, and files."""
    for tool in (MAIN, *TOOLS):
        yield f"complete -o default -W '{' '.join(words_of(tool))}' {tool}"


def page(tool: str) -> str:
    """A manual page."""
    text = help_text() if tool == MAIN else parser_of(tool).format_help()
    first = next(line for line in text.splitlines() if line.strip() and not line.startswith(("usage", " ")))
    short = first.partition(": ")[2] if tool == MAIN else first
    body = "\n".join(_troff(line) for line in text.splitlines())
    head = (
        f'.TH "{tool.upper()}" 1 "" "nanobragg {__version__}"\n.SH NAME\n{_troff(tool)} \\- {_troff(short.rstrip("."))}'
    )
    see = ", ".join(f"{_troff(name)}(1)" for name in (MAIN, *TOOLS) if name != tool)
    return f"{head}\n.SH DESCRIPTION\n.nf\n{body}\n.fi\n.SH SEE ALSO\n{see}\n"


def _troff(line: str) -> str:
    """A line of text as it stands."""
    text = line.replace("\\", "\\\\").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text)


def run(options: argparse.Namespace) -> int:
    """Print or write."""
    os.environ["COLUMNS"] = "100"  # argparse's width: pages are the same on every terminal
    if options.what != "man":
        sys.stdout.write((ZSH if options.what == "zsh" else "") + "\n".join(completion()) + "\n")
        return 0
    folder = os.path.join(options.folder or ".", "man1")
    os.makedirs(folder, exist_ok=True)
    for tool in (MAIN, *TOOLS):
        with whole_file(os.path.join(folder, f"{tool}.1"), "folder") as file:
            file.write(page(tool).encode())
    print(folder)
    return 0


def main(line: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return carried_out(parser(), run, line)


if __name__ == "__main__":
    sys.exit(main())
