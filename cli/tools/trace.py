"""``nb-trace``: every figure of chosen pixels, and which of two traces goes wrong first."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from nanobragg.cli.streams import forgiving
from nanobragg.cli.tools.plans import or_cannot, set_up_of_line, split
from nanobragg.cli.tools.tool import tool_parser
from nanobragg.engine import plan as plans
from nanobragg.engine.check import trace_diff
from nanobragg.engine.check.compare import compare, tolerance_of
from nanobragg.engine.check.trace import Figure, as_json, first_only, table_place, text, trace
from nanobragg.engine.errors import BadInput
from nanobragg.engine.factors.tables import read_any_table
from nanobragg.engine.formats.any_image import read_image
from nanobragg.engine.formats.reading import reason
from nanobragg.engine.formats.whole import same_file, whole_file
from nanobragg.engine.original.quirks import NONE, fixes_of
from nanobragg.engine.render import render
from nanobragg.kernels.backends import MODULES
from nanobragg.kernels.plan import RenderPlan

AGREE, DIFFER = 0, 1
EPILOG = """
nb-trace --pixel SLOW FAST -- ARGUMENTS   the figures of a pixel; ARGUMENTS are those of nanoBragg
nb-trace diff A B                         the first figure in which two traces differ
nb-trace phi --pixel SLOW FAST -- ARGUMENTS   a table over phi steps and domains
nb-trace hkl H K L [--table FILE ...] [-- ARGUMENTS]   which amplitude is used for indices
"""


def remark(line: str) -> None:
    """A line on stderr."""
    print(f"nb-trace: {line}", file=sys.stderr)


def plan_of(arguments: Sequence[str], fix: Sequence[str] = ()) -> RenderPlan:
    """The plan of a nanoBragg command line."""
    return plans.plan_of(set_up_of_line(arguments, remark, fixes_of(",".join(fix)) if fix else NONE).scene)


def parser(name: str) -> argparse.ArgumentParser:
    """The options of one form of the command."""
    command = tool_parser(f"nb-trace {name}".strip(), __doc__, EPILOG)
    if name == "diff":
        command.description = "Compare two traces: of nb-trace, or of an instrumented original (TRACE_C: name values)."
        command.add_argument("a")
        command.add_argument("b")
        command.add_argument("--tolerance", type=float, default=1e-6, help="relative, of a figure (default 1e-6)")
        command.add_argument("--outdir", help="write summary.md and metrics.json there")
        return command
    if name == "hkl":
        command.description = "Which table entry is used for given indices, and where tables differ."
        command.add_argument("index", type=int, nargs=3, metavar="INDEX", help="h k l")
        command.add_argument("--table", action="append", default=[], metavar="FILE", help="an hkl file or a dump")
        return command
    command.description = "Every figure from the detector frame to the photons of chosen pixels."
    command.add_argument(
        "--pixel", type=int, nargs=2, action="append", default=[], metavar=("SLOW", "FAST"), help="as often as wanted"
    )
    command.add_argument("--brightest", action="store_true", help="the brightest pixel of the image")
    command.add_argument("--worst", nargs=2, metavar=("A", "B"), help="the pixel in which two images differ most")
    command.add_argument("--backend", default="strict", choices=tuple(MODULES))
    command.add_argument("--fix", action="append", default=[], metavar="NAMES", help="as nanoBragg's")
    command.add_argument("--json", metavar="FILE", help="write the figures with their units to FILE, - for stdout")
    if name != "phi":
        command.add_argument(
            "--all", action="store_true", help="of every layer, sub-pixel, source, phi step and domain"
        )
    return command


def pixels_of(options: argparse.Namespace, plan: RenderPlan) -> list[tuple[int, int]]:
    """The pixels asked for."""
    chosen = [(slow, fast) for slow, fast in options.pixel]
    if options.brightest:
        image = render(plan, "fast").image
        chosen.append(tuple(int(i) for i in np.unravel_index(np.nanargmax(image), image.shape)))  # type: ignore[arg-type]
    if options.worst:
        a, b = (read_image(name, (plan.panels.n_slow, plan.panels.n_fast)) for name in options.worst)
        figures = compare(a, b, np.ones(a.shape, bool), tolerance_of("exact"))
        worst = figures["worst_outside_tolerance"] or figures["worst_absolute"]
        chosen.append((worst["slow"], worst["fast"]))
    if not chosen:
        raise BadInput("which pixel? --pixel SLOW FAST, --brightest or --worst A B")
    return chosen


def show_trace(before: list[str], after: list[str]) -> int:
    """Print the figures of pixels."""
    options = parser("").parse_args(before)
    plan = plan_of(after, options.fix)
    traced = [(at, trace(plan, *at, options.backend)) for at in pixels_of(options, plan)]
    if not options.all:
        traced = [(at, first_only(figures)) for at, figures in traced]
    write_json(options.json, {"arguments": after, "backend": options.backend}, traced)
    if options.json != "-":
        for (slow, fast), figures in traced:
            print(f"# pixel slow {slow} fast {fast}, {options.backend}: nanoBragg {' '.join(after)}")
            print(text(figures), end="")
    return AGREE


def write_json(target: str | None, head: dict[str, Any], traced: list[tuple[tuple[int, int], list[Figure]]]) -> None:
    """Figures for machines, to a file or standard output."""
    if target is None:
        return
    pixels = [{"slow": slow, "fast": fast, "figures": as_json(figures)} for (slow, fast), figures in traced]
    content = json.dumps(head | {"pixels": pixels}, indent=1)
    if target == "-":
        print(content)
        return
    for word in head["arguments"]:
        if os.path.exists(word) and same_file(target, word):
            raise BadInput(f"--json {target}: is a file that the command line names: name another one")
    with whole_file(target, "--json") as file:
        file.write(f"{content}\n".encode())


def show_phi(before: list[str], after: list[str]) -> int:
    """A table over phi steps and domains of pixels."""
    options = parser("phi").parse_args(before)
    plan = plan_of(after, options.fix)
    traced = [(at, trace(plan, *at, options.backend)) for at in pixels_of(options, plan)]
    write_json(options.json, {"arguments": after, "backend": options.backend}, traced)
    for (slow, fast), figures in traced:
        print(f"# pixel slow {slow} fast {fast}, {options.backend}; phi in degrees")
        print("layer sub source phi_step domain phi h k l F_cell F_latt contribution")
        for line in phi_table(figures):
            print(line)
    return AGREE


def phi_table(figures: list[Figure]) -> Iterator[str]:
    """A line for each evaluation."""
    rows: dict[tuple[int, ...], dict[str, tuple[float, ...]]] = {}
    for figure in figures:
        if len(figure.at) == 5:
            rows.setdefault(figure.at, {})[figure.label] = figure.values
    for at, row in rows.items():
        h, k, x = row["hkl_frac"]
        f_latt, f_cell = row["F_latt"][0], row.get("F_cell", (0.0,))[0]
        yield (
            f"{' '.join(map(str, at))} {np.degrees(row['phi_rad'][0]):.6g} {h:.6f} {k:.6f} {x:.6f} "
            f"{f_cell:.6g} {f_latt:.6g} {f_cell * f_cell * f_latt * f_latt:.6g}"
        )


def show_hkl(before: list[str], after: list[str]) -> int:
    """Which amplitude is used for indices, from each table, and whether the tables agree."""
    options = parser("hkl").parse_args(before)
    tables = [(name, read_table(name)) for name in options.table]
    found = []
    if after:
        plan = plan_of(after)
        place, inside = table_place(plan, tuple(map(float, options.index)))
        f_cell = float(plan.factors.table.flat[place]) if inside else plan.factors.default_F
        found.append(("ARGUMENTS", inside, place, f_cell))
    for name, (table, low) in tables:
        at = tuple(x - start for x, start in zip(options.index, low, strict=True))
        inside = all(0 <= i < n - 1 for i, n in zip(at, table.shape, strict=True))
        found.append((name, inside, int(np.ravel_multi_index(at, table.shape)) if inside else -1,
                      float(table[at]) if inside else 0.0))  # fmt: skip
    if not found:
        raise BadInput("nb-trace hkl: give --table FILE or a command line after --")
    for name, inside, place, f_cell in found:
        where = f"entry {place}" if inside else "outside: default_F"
        print(f"{name}: F({' '.join(map(str, options.index))}) = {f_cell:.17g} ({where})")
    for (name_a, a), (name_b, b) in itertools.pairwise(tables):
        print(table_difference(name_a, *a, name_b, *b))
    return DIFFER if len({f_cell for *_, f_cell in found}) > 1 else AGREE


def read_table(name: str) -> tuple[np.ndarray, tuple[int, ...]]:
    """Amplitudes of an hkl file or a dump, (h, k, l) with a padding plane at each end, and the lowest indices."""
    try:
        factors = read_any_table(name, remark)
    except OSError as error:
        raise BadInput(f"--table {name}: {reason(error)}") from None
    return factors.table, tuple(int(x) for x in factors.bounds[:, 0])


def table_difference(
    name_a: str, a: np.ndarray, low_a: tuple[int, ...], name_b: str, b: np.ndarray, low_b: tuple[int, ...]
) -> str:
    """How many entries of the common box differ, and the first of them."""
    low = np.maximum(low_a, low_b)
    high = np.minimum(np.add(low_a, a.shape), np.add(low_b, b.shape)) - 1
    if (high <= low).any():
        return f"{name_a} and {name_b} have no indices in common"
    box_a, box_b = (
        t[tuple(slice(x - y, z - y) for x, y, z in zip(low, start, high, strict=True))]
        for t, start in ((a, low_a), (b, low_b))
    )
    different = np.argwhere(box_a != box_b)
    if not len(different):
        return f"{name_a} and {name_b}: the same in all {box_a.size} entries of the common box"
    at = tuple(different[0])
    index = " ".join(str(int(i + x)) for i, x in zip(at, low, strict=True))
    return (
        f"{name_a} and {name_b}: {len(different)} of {box_a.size} entries differ, the first at {index}: "
        f"{box_a[at]:.17g} and {box_b[at]:.17g}"
    )


def show_diff(before: list[str], after: list[str]) -> int:
    """The first figure in which two traces diverge."""
    options = parser("diff").parse_args(before + after)
    if not options.tolerance >= 0.0:
        raise BadInput(f"--tolerance {options.tolerance}: not a number from 0 on")
    compared = trace_diff.compare(trace_diff.read_trace(options.a), trace_diff.read_trace(options.b), options.tolerance)
    if not any(c.verdict != trace_diff.MISSING for c in compared):
        raise BadInput(f"{options.a} and {options.b} have no figure in common")
    report = trace_diff.summary(compared, options.tolerance, (options.a, options.b))
    if options.outdir:
        os.makedirs(options.outdir, exist_ok=True)
        figures = json.dumps(trace_diff.metrics(compared, options.tolerance), indent=1)
        for name, content in (("summary.md", report), ("metrics.json", figures)):
            with whole_file(os.path.join(options.outdir, name), "--outdir") as file:
                file.write(content.encode())
    diverging = trace_diff.first(compared, trace_diff.DIVERGING)
    missing = sum(c.verdict == trace_diff.MISSING for c in compared)
    if missing:
        print(f"{missing} of {len(compared)} figures are in one of the traces only.")
    print(report.split("| figure |")[0].strip())
    return DIFFER if diverging else AGREE


def main(line: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    words = list(sys.argv[1:] if line is None else line)
    forms = {"diff": show_diff, "phi": show_phi, "hkl": show_hkl}
    form = forms.get(words[0], show_trace) if words else show_trace
    before, after = split(words[1:] if form is not show_trace else words)
    with forgiving():
        return or_cannot("nb-trace", lambda: form(before, after))


if __name__ == "__main__":
    sys.exit(main())
