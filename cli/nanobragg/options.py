"""Our own options of ``nanoBragg``: exact words that no rule of the original matches, taken out before they run."""

from __future__ import annotations

import dataclasses
import difflib
import os
from collections.abc import Sequence

from nanobragg.cli.nanobragg.rules import RULES
from nanobragg.cli.nanobragg.usage import OPTIONS
from nanobragg.engine.errors import BadInput
from nanobragg.engine.factors.wanted import Solvent, Wanted
from nanobragg.engine.model.spots import SPOT_SHAPES
from nanobragg.engine.model.structure_factors import CHANNELS
from nanobragg.engine.original.quirks import NONE, Fixes, fixes_of
from nanobragg.engine.render import BACKENDS, NOISES, PRECISIONS
from nanobragg.kernels.order.threads import MOST_THREADS as MOST_THREADS

MOST_DEVICES = 1024
CHOICES = {"--precision": PRECISIONS, "--noise": NOISES, "--shape": SPOT_SHAPES}
ALIASES = {"-h": "--help", "-help": "--help", "-version": "--version"}
NEAR = 0.7  # of the letters, from which on a word may be meant


@dataclasses.dataclass
class Options:
    """What they say; of what is simulated: ``fixes``, ``shape``, ``structure``, ``wanted``,
    ``tables``, ``detector``, ``geometry`` and ``spectrum``.
    """

    backend: str | None = None
    threads: int | None = None
    device: int = 0
    precision: str = "double"
    noise: str = "original"
    shape: str | None = None
    fixes: Fixes = NONE
    structure: str | None = None
    wanted: Wanted = dataclasses.field(default_factory=Wanted)
    detector: str | None = None
    geometry: str | None = None
    spectrum: str | None = None
    tables: int | str | None = None
    output: list[str] = dataclasses.field(default_factory=list)
    output_noiseless: list[str] = dataclasses.field(default_factory=list)
    only_output: bool = False
    trace: list[tuple[int, int]] = dataclasses.field(default_factory=list)
    explain: bool = False
    compile: bool = False
    version: bool = False
    help: bool = False


def own_options(arguments: Sequence[str]) -> tuple[Options, list[str]]:
    """Our own options, and the rest of the line; ``--name=value`` is ``--name value``.

    Raises
    ------
    BadInput
        For a value that an option does not take, or none at all.
    """
    options, rest = Options(), []
    known = {option.name: option for option in OPTIONS}
    words = iter(arguments)
    for word in words:
        name, equals, value = word.partition("=")
        option = known.get(ALIASES.get(word, name))
        if option is None:
            rest.append(word)
        elif not option.value:
            if equals:
                raise BadInput(f"{option.name}: takes no value")
            if option.name == "--F000":
                options.wanted = dataclasses.replace(options.wanted, F000=True)
                continue
            setattr(options, option.name.removeprefix("--").replace("-", "_"), True)
        else:
            given = value if equals else next(words, None)
            if given is None:
                raise BadInput(f"{option.name}: a value must follow ({option.value})")
            _set_option(options, option.name, given)
    if options.backend is None and not (options.help or options.version):
        options.backend = _known_backend(os.environ.get("NANOBRAGG_BACKEND") or "auto", "NANOBRAGG_BACKEND")
    return options, rest


def _set_option(options: Options, name: str, value: str) -> None:
    if name == "--backend":
        options.backend = _known_backend(value, name)
    elif name in CHOICES:
        if value not in CHOICES[name]:
            raise BadInput(f"{name} {value}: not one of {', '.join(CHOICES[name])}")
        setattr(options, name.removeprefix("--"), value)
    elif name == "--fix":
        options.fixes |= fixes_of(value)
    elif name == "--phi-mode":
        if value not in ("spec", "c-parity"):
            raise BadInput(f"--phi-mode {value}: not one of spec, c-parity")
        options.fixes |= fixes_of("phi-carryover") if value == "spec" else NONE
    elif name == "--trace":
        options.trace.append(_pixel(value))
    elif name == "--tables":
        if value != CHANNELS and not (value.isascii() and value.isdigit() and int(value[:9]) >= 1):
            raise BadInput(f"--tables {value}: not {CHANNELS} nor a whole number")
        options.tables = CHANNELS if value == CHANNELS else int(value[:9])
    elif name in ("--structure", "--detector", "--geometry", "--spectrum"):
        setattr(options, name.removeprefix("--"), value)
    elif name in ("--output", "--output-noiseless"):
        getattr(options, name.removeprefix("--").replace("-", "_")).append(value)
    elif name in ("--labels", "--symmetry", "--solvent", "--anomalous"):
        options.wanted = how_wanted(options.wanted, name, value)
    else:
        lowest, highest = (1, MOST_THREADS) if name == "--threads" else (0, MOST_DEVICES)
        if not (value.isascii() and value.isdigit() and lowest <= int(value[:9]) <= highest):
            raise BadInput(f"{name} {value}: not a whole number from {lowest} to {highest}")
        setattr(options, name.removeprefix("--"), int(value))


def how_wanted(wanted: Wanted, name: str, value: str) -> Wanted:
    """How amplitudes are wanted, with one option more."""
    if name == "--labels":
        return dataclasses.replace(wanted, labels=tuple(part.strip() for part in value.split(",") if part.strip()))
    if name == "--symmetry":
        return dataclasses.replace(wanted, symmetry=value)
    if name == "--solvent":
        return dataclasses.replace(wanted, solvent=_solvent(value))
    element, equals, given = value.partition("=")
    if not (element and equals and given):
        raise BadInput(f"--anomalous {value}: not ELEMENT=F',F'' nor ELEMENT=FILE")
    return dataclasses.replace(wanted, anomalous=(*wanted.anomalous, (element, given)))


def _solvent(value: str) -> Solvent | None:
    if value == "none":
        return None
    try:
        k, b = (float(part) for part in value.split(","))
    except ValueError:
        raise BadInput(f"--solvent {value}: not k,B (0.35,46 is usual), nor none") from None
    if not (0.0 <= k < 10.0 and 0.0 <= b < 10000.0):
        raise BadInput(f"--solvent {value}: k and B must be 0 or more, in e/A^3 and A^2")
    return Solvent(k, b)


def _pixel(value: str) -> tuple[int, int]:
    slow, _, fast = value.partition(",")
    if not (slow.isascii() and slow.isdigit() and fast.isascii() and fast.isdigit()):
        raise BadInput(f"--trace {value}: not SLOW,FAST (two whole numbers)")
    return int(slow), int(fast)


def _known_backend(value: str, what: str) -> str:
    if value not in BACKENDS:
        raise BadInput(f"{what} {value}: not one of {', '.join(BACKENDS)}")
    return value


def nearest(word: str) -> str:
    """`` (did you mean -lambda?)``, with the flag or option that a word is nearest to, or nothing."""
    ours = [option.name for option in OPTIONS]
    flags = [name for rule in RULES for name in sorted(rule.names)]
    found = difflib.get_close_matches(word, ours if word.startswith("--") else flags, 1, NEAR)
    if not found and word.startswith("--"):
        found = difflib.get_close_matches(word[1:], flags, 1, NEAR)
    return f" (did you mean {found[0]}?)" if found else ""
