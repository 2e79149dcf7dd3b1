"""``nb-hkl``: amplitudes of a structure, or of a list of reflections, as an hkl file that any nanoBragg reads."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import numpy as np

from nanobragg.cli.nanobragg.options import how_wanted
from nanobragg.cli.tools.tool import Parser, carried_out, tool_parser
from nanobragg.engine.c_numbers import HC
from nanobragg.engine.errors import BadInput
from nanobragg.engine.factors.amplitudes import Amplitudes, as_text
from nanobragg.engine.factors.files import MODEL, amplitudes_of, kind_of, structure_of
from nanobragg.engine.factors.gemmi_package import package
from nanobragg.engine.factors.tables import mates_present
from nanobragg.engine.factors.wanted import Wanted
from nanobragg.engine.formats.whole import check_writable, same_file, whole_file

NAME, DEFAULT_OUTPUT = "nb-hkl", "P1.hkl"
HALF = 0.5  # of the Friedel mates
RESOLUTION_A = 2.0  # of a structure that does not say what its own is
EPILOG = """examples:
  nb-hkl 1a8o.pdb -o P1.hkl --resolution 1.7 --energy 12400
  nb-hkl data.mtz --labels FP,SIGFP            columns by name; in P1 by the file's symmetry
  nb-hkl unique.hkl --symmetry P43212          a text list of one asymmetric unit
  nb-hkl model.cif --against data.mtz          says how well the model explains measured amplitudes"""


def parser() -> Parser:
    """The options."""
    command = tool_parser(NAME, __doc__, EPILOG)
    command.add_argument("file", help="PDB or mmCIF with atoms; MTZ, mmCIF or hkl text with reflections")
    command.add_argument(
        "-o", "--output", metavar="HKL", default=DEFAULT_OUTPUT, help=f"default {DEFAULT_OUTPUT}; - is stdout"
    )
    command.add_argument("--resolution", type=float, metavar="A", help="of a structure (default: its own, else 2 A)")
    energy = command.add_mutually_exclusive_group()
    energy.add_argument("--energy", type=float, metavar="EV", help="with anomalous scattering at this energy")
    energy.add_argument("--wavelength", type=float, metavar="A", help="the same by wavelength")
    for option, value, text in (
        ("--solvent", "K,B", "bulk solvent, e/A^3 and A^2 (default 0.35,46), or none"),
        ("--labels", "F,SIGF", "columns of a list of reflections"),
        ("--symmetry", "P43212", "space group of a list, instead of its own"),
    ):
        command.add_argument(option, metavar=value, help=text)
    command.add_argument("--anomalous", metavar="EL=F1,F2", action="append", default=[],
                      help="f' and f'' of an element, or a file with eV, f' and f''")  # fmt: skip
    command.add_argument("--F000", action="store_true", help="with the amplitude of 0 0 0")
    command.add_argument("--against", metavar="FILE", help="a list of measured amplitudes: says the R factor")
    return command


def wanted_of(options: argparse.Namespace, kind: str) -> Wanted:
    """How amplitudes are wanted."""
    wanted = Wanted()
    for name in ("solvent", "labels", "symmetry"):
        if (value := getattr(options, name)) is not None:
            wanted = how_wanted(wanted, f"--{name}", value)
    for value in options.anomalous:
        wanted = how_wanted(wanted, "--anomalous", value)
    wavelength = options.wavelength
    if options.energy is not None:
        if not 0.0 < options.energy < np.inf:
            raise BadInput(f"--energy {options.energy:g}: must be above 0")
        wavelength = HC / options.energy
    if wavelength is not None and not 0.0 < wavelength < np.inf:
        raise BadInput(f"--wavelength {wavelength:g}: must be above 0")
    d_min = options.resolution
    if kind == MODEL and d_min is None:
        own = structure_of(options.file).resolution
        d_min = own if own > 0.0 else RESOLUTION_A
        say(f"resolution {d_min:g} A: {'that of the structure' if own > 0.0 else 'it says none: --resolution sets it'}")
    return Wanted(d_min, wavelength, wanted.solvent, wanted.labels, wanted.symmetry, wanted.anomalous, options.F000)


def say(line: str) -> None:
    """A line on stderr."""
    print(f"{NAME}: {line}", file=sys.stderr)


def agreement(calculated: Amplitudes, path: str) -> str:
    """The R factor of calculated against measured amplitudes, after a scale and an overall B."""
    if kind_of(path) == MODEL:
        raise BadInput(f"--against {path}: is a structure, not a list of measured amplitudes")
    measured = amplitudes_of(path, Wanted())
    if calculated.cell is None:
        raise BadInput(f"--against {path}: the calculated amplitudes have no cell")
    there = {tuple(index): F for index, F in zip(calculated.hkl.tolist(), calculated.F.tolist(), strict=True)}
    rows = zip(measured.hkl.tolist(), measured.F.tolist(), strict=True)
    pairs = [(*index, F, there[tuple(index)]) for index, F in rows if tuple(index) in there]
    if len(pairs) < 10:
        raise BadInput(f"--against {path}: has {len(pairs)} reflections of this resolution")
    table = np.array(pairs)
    observed, model = table[:, 3], table[:, 4]
    s2 = np.asarray(package().UnitCell(*calculated.cell).calculate_1_d2_array(table[:, :3].astype(np.int32)))
    scale, B = fitted(observed, model, s2)
    scaled = scale * np.exp(-B * s2 / 4.0) * model
    R = float(np.abs(observed - scaled).sum() / observed.sum())
    return f"R {R:.3f} against {measured.story[0]}: {len(pairs)} in P1, scale {scale:.4g}, B {B:.3g} A^2"


def fitted(observed: np.ndarray, model: np.ndarray, s2: np.ndarray) -> tuple[float, float]:
    """Scale and overall B of calculated amplitudes, by the mean logarithms of 20 shells."""
    edges = np.quantile(s2, np.linspace(0.0, 1.0, 21))
    shell = np.clip(np.searchsorted(edges, s2, "right") - 1, 0, 19)
    sums = [(observed[shell == n].sum(), model[shell == n].sum(), s2[shell == n].mean()) for n in np.unique(shell)]
    rows = np.array([(np.log(o / m), x) for o, m, x in sums if o > 0.0 and m > 0.0])
    slope, intercept = np.polyfit(rows[:, 1], rows[:, 0], 1) if len(rows) > 1 else (0.0, 0.0)
    return float(np.exp(intercept)), float(-4.0 * slope)


def run(options: argparse.Namespace) -> int:
    """Read, calculate, say what was done, and write."""
    kind = kind_of(options.file)
    if options.output != "-":
        check_writable(options.output, "-o")
        read = [options.file, options.against or "", *(value.partition("=")[2] for value in options.anomalous)]
        if any(name and same_file(options.output, name) for name in read):
            raise BadInput(f"-o {options.output}: is a file that is read: name another one")
    amplitudes = amplitudes_of(options.file, wanted_of(options, kind))
    given = ("resolution", "energy", "wavelength", "solvent", "anomalous")
    unused = [f"--{name}" for name in given if getattr(options, name) and kind != MODEL]
    if unused:
        raise BadInput(f"{', '.join(unused)}: of structures; {options.file} is a list of reflections")
    for line in amplitudes.story:
        say(line)
    if options.against:
        say(agreement(amplitudes, options.against))
    if kind != MODEL and amplitudes.spacegroup == "P 1" and (mates_present(amplitudes.hkl) or 1.0) < HALF:
        say("few of the Friedel mates are in the list: give --symmetry if it is an asymmetric unit")
    text = as_text(amplitudes)
    if options.output == "-":
        sys.stdout.write(text.decode())
    else:
        with whole_file(options.output, "-o") as file:
            file.write(text)
        line = (
            f"nanoBragg -hkl {options.output} -cell {' '.join(f'{x:g}' for x in amplitudes.cell)}"
            if amplitudes.cell
            else ""
        )
        say(f"{options.output}: {len(amplitudes.F)} lines, h k l F" + (f"; for {line} ..." if line else ""))
    return 0


def main(line: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    return carried_out(parser(), run, line)


if __name__ == "__main__":
    sys.exit(main())
