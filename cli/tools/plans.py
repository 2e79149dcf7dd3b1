"""From a nanoBragg command line to a plan, for the tools: nothing is written on the way."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

from nanobragg.cli.nanobragg.explain import remarks
from nanobragg.cli.nanobragg.headers import read_headers
from nanobragg.cli.nanobragg.options import Options, own_options
from nanobragg.cli.nanobragg.parse import parse
from nanobragg.cli.nanobragg.physics import Physics, completed, physics_of, placed_of, preset, set_up_of
from nanobragg.cli.nanobragg.rules import Rule, rules_for
from nanobragg.cli.signals import raise_on_signals
from nanobragg.engine.errors import BadInput
from nanobragg.engine.original.quirks import NONE, Fixes
from nanobragg.engine.original.set_up import SetUp
from nanobragg.kernels.compiling.processor import WrongProcessor

CANNOT = 2
OF_PHYSICS = "--fix, --phi-mode, --shape, --structure (with its --labels ...) and --detector"
OF_BEAM_LINES = "--geometry, --spectrum"


def set_up_of_line(arguments: Sequence[str], remark: Callable[[str], None], fixes: Fixes = NONE) -> SetUp:
    """What a command line simulates. No dump of its amplitudes is left; seeds that follow the clock are 1.

    Raises
    ------
    BadInput
        For what the command itself refuses, and where cell or amplitudes are missing.
    """
    refused = BadInput(f"of nanoBragg's own options only {OF_PHYSICS}, {OF_BEAM_LINES} may come after --")
    arguments, physics = split_physics(arguments, refused)
    physics = physics._replace(fixes=physics.fixes | fixes)
    start: dict[str, Any] = {"seed": -1, "misset_seed": -1} | preset(physics)
    mask = read_headers(arguments, start)
    parsed = parse(arguments, start)
    for line in remarks(parsed):
        remark(line)
    settings = completed(parsed.settings, physics)
    if settings.mat_file is None and settings.cell_a == 0.0 and not physics.has_cell:
        raise BadInput("no cell in the command line: -mat or -cell")
    if settings.hkl_file is not None:
        settings = dataclasses.replace(settings, dump_file=os.devnull)
    placed = placed_of(settings, mask, physics, remark)
    return set_up_of(physics, placed, remark)


def split_physics(arguments: Sequence[str], refused: BadInput, *, files: bool = True) -> tuple[list[str], Physics]:
    """The words without our own options, and what these say of the physics; raises ``refused`` if they say more.

    ``files``: whether geometry and spectra may be read of files.
    """
    options, rest = own_options(arguments)
    named = ("fixes", "shape", "structure", "wanted", "detector", *(("geometry", "spectrum", "tables") * files))
    allowed = Options(backend=options.backend, **{name: getattr(options, name) for name in named})
    if options != allowed or any(word.partition("=")[0] == "--backend" for word in arguments):
        raise refused
    return rest, physics_of(options)


def or_cannot(tool: str, work: Callable[[], int]) -> int:
    """The status of a tool's work; one line and status 2 for whatever it cannot do."""
    raise_on_signals()
    try:
        return work()
    except (BadInput, OSError, WrongProcessor) as error:
        said = str(error)
    except MemoryError:
        said = "not enough memory"
    except KeyboardInterrupt:
        print(f"{tool}: interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    except Exception as error:
        if "NANOBRAGG_DEBUG" in os.environ:
            raise
        said = f"unexpected {type(error).__name__}: {error} (set NANOBRAGG_DEBUG=1 to see where)"
    print(f"{tool}: {said}", file=sys.stderr)
    return CANNOT


OUTPUTS = frozenset(["float_file", "int_file", "pgm_file", "noise_file", "stolout_file", "dump_file"])


def without_outputs(arguments: Sequence[str]) -> list[str]:
    """The words without the names of files that are written, a dump apart: it may be read."""
    kept, words = [], iter(arguments)
    for word in words:
        if any(rule.values == "file" and OUTPUTS & set(rule.effect([""])) for rule in _rules_of(word)):
            next(words, None)
        else:
            kept.append(word)
    return kept


def _rules_of(word: str) -> tuple[Rule, ...]:
    return rules_for(word) if word.startswith("-") and "-dump" not in word else ()


def silent(line: str) -> None:
    """Take no notice of a remark."""


def split(line: Sequence[str]) -> tuple[list[str], list[str]]:
    """What is before ``--``, and what is after it."""
    words = list(line)
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at + 1 :]
