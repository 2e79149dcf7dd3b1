"""Usage, help and the command-line reference, all made from the rule table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

from nanobragg.cli.nanobragg.rules import MASK_HELP, RULES
from nanobragg.engine.model.spots import SPOT_SHAPES
from nanobragg.kernels.backends import MODULES


class Option(NamedTuple):
    """One of our own options: an exact word, taken out before the rules run."""

    name: str
    value: str
    help: str


OPTIONS = (
    Option("--backend", "|".join(("auto", *MODULES)), "which kernel renders (default: NANOBRAGG_BACKEND, else auto)"),
    Option("--threads", "n", "threads of the kernels on the CPU (default: all processors); never changes the image"),
    Option("--device", "n", "number of the GPU for --backend cuda (default 0)"),
    Option("--precision", "double|mixed", "of fast and cuda: mixed has polynomials in binary32 (default double)"),
    Option(
        "--noise", "original|philox", "generator of the noise image: serial, or by seed and pixel (default original)"
    ),
    Option("--fix", "names", "compute these of the original's oddities right: ids, short names or all, by commas"),
    Option("--shape", "|".join(SPOT_SHAPES), "of the spots: as the flags, or round in space: see docs/quirks.md"),
    Option("--structure", "file", "amplitudes from a structure (PDB, mmCIF) or a list (MTZ, mmCIF, hkl), and its cell"),
    Option("--labels", "F,SIGF", "of --structure: the columns of a list"),
    Option("--symmetry", "P43212", "of --structure: the space group of a list, instead of its own"),
    Option("--solvent", "k,B", "of --structure: bulk solvent, e/A^3 and A^2, or none (default 0.35,46)"),
    Option("--anomalous", "El=f1,f2", "of --structure: f' and f'' of an element, or a file with eV, f', f''"),
    Option("--F000", "", "of --structure: with the amplitude of 0 0 0, which lights up in the direct beam"),
    Option(
        "--detector",
        "name",
        "pixels, gaps, sensor, highest count of a detector: 'Eiger2 16M'; list prints all",
    ),
    Option(
        "--geometry",
        "file",
        "detector, beam, rotation and crystal of a DIALS .expt, an NXmx master or a CrystFEL .geom",
    ),
    Option(
        "--spectrum",
        "file",
        "wavelengths and weights: two columns, HDF5, or a model: sase,bandwidth_eV=40,channels=100",
    ),
    Option("--tables", "channels|n", "of --structure: amplitudes at each wavelength of the spectrum, or at n energies"),
    Option("--output", "file", "the image as .h5 .cbf .npy .tif .img (counts with noise), or .png; as often as wanted"),
    Option("--output-noiseless", "file", "expected photons as .h5 .npy .tif .bin or .png"),
    Option("--only-output", "", "leave out the original's own five files"),
    Option("--phi-mode", "spec|c-parity", "another spelling of --fix phi-carryover, and of leaving it out"),
    Option("--trace", "slow,fast", "print every figure of this pixel, lines TRACE name = values; as often as wanted"),
    Option("--explain", "", "say on stderr what each argument did"),
    Option("--compile", "", "compile all kernels for this processor and end; see nb-compile"),
    Option("--version", "", "print the version"),
    Option("--help", "", "print this help"),
)
SYNTAX = "nanoBragg -hkl file -mat file [flags]     or     nanoBragg -default_F F -cell a b c alpha beta gamma [flags]"


class Line(NamedTuple):
    """A flag as it is shown: group, names, values, explanation, rule number."""

    group: str
    names: str
    values: str
    help: str
    number: str


def lines() -> list[Line]:
    """All rules by group, in the order in which the groups first appear; ``-mask`` has no rule of its own."""
    shown = [Line(r.group, " ".join(p.text for p in r.patterns), r.values, r.help, str(r.number)) for r in RULES]
    shown.append(Line("files read", "-mask", "file", MASK_HELP, "first pass"))
    order = list(dict.fromkeys(line.group for line in shown))
    return sorted(shown, key=lambda line: order.index(line.group))


def _grouped() -> Iterator[tuple[str, Iterable[Line]]]:
    return groupby(lines(), key=lambda line: line.group)


def usage() -> str:
    """The short text printed when cell or amplitudes are missing."""
    parts = [f"usage: {SYNTAX}", ""]
    for group, members in _grouped():
        names = dict.fromkeys(line.names.split()[0] for line in members)
        parts.append(f"  {group}: {' '.join(names)}")
    parts += ["", "A cell (-mat, -cell) and amplitudes (-hkl, a dump, -default_F) are needed, or --structure for both.",
              "nanoBragg --help explains every flag."]  # fmt: skip
    return "\n".join(parts)


def _entry(names: str, values: str, text: str) -> str:
    head = f"  {names} {values}".rstrip()
    return f"{head:<42} {text}"


def help_text() -> str:
    """Every flag with its values."""
    parts = ["nanoBragg: diffraction images of nanocrystals, in photons per pixel", "", f"usage: {SYNTAX}"]
    for group, members in _grouped():
        parts += ["", f"{group}:"]
        parts += [_entry(line.names, line.values, line.help) for line in members]
    parts += ["", "options of this program alone:"]
    parts += [_entry(option.name, option.value, option.help) for option in OPTIONS]
    parts += [
        "",
        "A flag of the original matches wherever its name occurs in an argument; unknown arguments are ignored (and",
        "reported on stderr). Exit status: 0 done; 9 input missing or an output not writable; 1 any other error.",
    ]
    return "\n".join(parts)


REFERENCE_HEAD = """# Command line

*Made from the rule table in `cli/nanobragg/rules.py` by `python -m nanobragg.cli.nanobragg.usage`;
a test compares the two.*

`nanoBragg` takes the flags of the original program, in the original's way: each argument that begins with a dash is
tried against all rules in the order of their numbers, a name matches wherever it occurs in the argument (names marked
`=` only as the whole argument), several rules can fire on one argument, and later effects overwrite earlier ones. A
value is never skipped: it is examined as a flag in its turn. Nothing is rejected; what no rule matches is ignored and
reported on stderr. `--explain` shows what each argument did.

Numbers are read as the C library reads them: the longest numeric beginning counts, a text without one is 0.
"""


def reference() -> str:
    """docs/command-line.md."""
    parts = [REFERENCE_HEAD]
    exact = {p.text for r in RULES for p in r.patterns if p.exact}
    for group, members in _grouped():
        parts += [f"## {group.capitalize()}", "", "| Flag | Values | Meaning | Rule |", "|---|---|---|---|"]
        for line in members:
            names = " ".join(f"`{'=' if n in exact else ''}{n}`" for n in line.names.split())
            values = line.values.replace("|", "\\|")
            parts.append(f"| {names} | {values} | {line.help} | {line.number} |")
        parts.append("")
    parts += ["## Options of this program alone", "", "Exact words, taken out before the rules run.", "",
              "| Option | Value | Meaning |", "|---|---|---|"]  # fmt: skip
    parts += [f"| `{o.name}` | {o.value.replace('|', chr(92) + '|')} | {o.help} |" for o in OPTIONS]
    parts += ["", REFERENCE_TAIL]
    return "\n".join(parts)


REFERENCE_TAIL = """## Exit status

| Status | When |
|---|---|
| 0 | the images were written |
| 9 | no cell or no amplitudes (usage is printed) |
| 9 | an hkl, stol or source file cannot be read; a header or mask image is shorter than its header |
| 9 | an output cannot be created |
| 1 | any other error: one line on stderr names the file or flag |

Output folders are checked before anything is rendered, and a file appears whole or not at all.
"""


if __name__ == "__main__":
    print(reference(), end="")
