"""``nb-compare``: do two images agree, or two engines on one command line?"""

from __future__ import annotations

import argparse
import hashlib
import json
import pathlib
import shlex
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from nanobragg.cli.streams import forgiving
from nanobragg.cli.tools.plans import or_cannot, split, without_outputs
from nanobragg.cli.tools.tool import tool_parser
from nanobragg.engine.check import engines
from nanobragg.engine.check.compare import compare, summary, tolerance_of
from nanobragg.engine.check.pictures import compare_pictures
from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.any_image import read_image
from nanobragg.engine.formats.reading import reason
from nanobragg.engine.formats.whole import whole_file

AGREE, DIFFER = 0, 1
USAGE = "nb-compare A B [options]\n       nb-compare --a ENGINE --b ENGINE [options] -- ARGUMENTS"
EPILOG = """Exit status: 0 they agree, 1 they differ, 2 they could not be compared.
Images: raw binary32, SMV, npy, CBF, HDF5 (FILE:N is frame N). Engines: auto, fast, strict, cref, cuda, bin:PATH,
lib:PATH, original (NB_C_BIN or NB_C_LIB).

examples:
  nb-compare floatimage.bin reference.bin --outdir report
  nb-compare --a fast --b strict -- -hkl P1.hkl -mat A.mat -lambda 1 -N 10"""


def parser() -> argparse.ArgumentParser:
    """The options."""
    command = tool_parser("nb-compare", __doc__, EPILOG, USAGE)
    command.add_argument("image", nargs="*", metavar="A B", help="two images")
    command.add_argument("--a", metavar="ENGINE", help="one engine")
    command.add_argument("--b", metavar="ENGINE", help="the other, whose maximum is the scale")
    command.add_argument("--shape", type=int, nargs=2, metavar=("SLOW", "FAST"), help="of raw images (default: square)")
    tolerance = "fast (1e-6,1e-9; default), exact, or numbers: share of the pixel[,share of the maximum]"
    command.add_argument("--tolerance", default="fast", metavar="T", help=tolerance)
    command.add_argument("--threshold", type=float, default=1e-6, metavar="SHARE",
                      help="of the maximum, above which relative differences are looked at (default 1e-6)")  # fmt: skip
    command.add_argument(
        "--roi", type=int, nargs=4, metavar=("XMIN", "XMAX", "YMIN", "YMAX"), help="inclusive; x is fast"
    )
    command.add_argument("--mask", metavar="FILE", help="an image; pixels that are 0 in it do not count")
    command.add_argument("--outdir", metavar="DIR", help="summary.md, metrics.json, commands.txt, checksums, pictures")
    command.add_argument("--timeout", type=float, metavar="SECONDS", help="of each engine")
    return command


def kept_pixels(shape: tuple[int, ...], roi: Sequence[int] | None, mask: str | None) -> np.ndarray:
    """The pixels that count, bool (slow, fast)."""
    kept = np.ones(shape, bool)
    if mask is not None:
        found = read_image(mask, (shape[0], shape[1]))
        if found.shape != shape:
            raise BadInput(f"--mask {mask}: has shape {found.shape}, the images {shape} (slow, fast)")
        kept &= found != 0
    if roi is not None:
        x0, x1, y0, y1 = roi
        if not (0 <= x0 <= x1 < shape[1] and 0 <= y0 <= y1 < shape[0]):
            raise BadInput(f"--roi {x0} {x1} {y0} {y1}: not inside {shape[1]} x {shape[0]} pixels (fast x slow)")
        inside = np.zeros(shape, bool)
        inside[y0 : y1 + 1, x0 : x1 + 1] = True
        kept &= inside
    return kept


def of_images(options: argparse.Namespace) -> tuple[np.ndarray, np.ndarray, tuple[str, str], dict[str, Any]]:
    """Two image files."""
    if len(options.image) != 2:
        raise BadInput("give two images, or --a ENGINE --b ENGINE -- ARGUMENTS (see --help)")
    shape = tuple(options.shape) if options.shape else None
    a, b = (read_image(name, shape) for name in options.image)
    return a, b, tuple(options.image), {}  # type: ignore[return-value]


def of_engines(
    options: argparse.Namespace, arguments: list[str], folder: pathlib.Path
) -> tuple[np.ndarray, np.ndarray, tuple[str, str], dict[str, Any]]:
    """One command line through two engines."""
    if not (options.a and options.b):
        raise BadInput("--a and --b: both engines are needed")
    if options.image:
        raise BadInput(f"{' '.join(options.image)}: the command line to render comes after --")
    a, b = (
        engines.run(engine, without_outputs(arguments), folder / name, options.timeout)
        for engine, name in ((options.a, "a"), (options.b, "b"))
    )
    for line in dict.fromkeys([*a.remarks, *b.remarks]):
        print(f"nb-compare: {line}", file=sys.stderr)
    return a.image, b.image, (f"A: {options.a}", f"B: {options.b}"), {
        "integer_mismatches": int((a.integers != b.integers).sum()) if a.integers.shape == b.integers.shape else None,
        "seconds": [round(a.seconds, 3), round(b.seconds, 3)],
        "quirks": [a.quirks, b.quirks],
        "commands": [shlex.join(a.command), shlex.join(b.command)],
    }  # fmt: skip


def write_report(
    outdir: str,
    figures: dict[str, Any],
    names: tuple[str, str],
    a: np.ndarray,
    b: np.ndarray,
    folder: pathlib.Path | None,
) -> None:
    """All files of a report."""
    out = pathlib.Path(outdir)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"--outdir {outdir}: {reason(error)}") from None
    worst = figures["worst_outside_tolerance"] or figures["worst_absolute"]
    pictures: list[str] = []
    try:
        pictures = compare_pictures(out, a, b, (worst["slow"], worst["fast"]))
    except (ValueError, OverflowError) as error:
        print(f"nb-compare: no pictures: {error}", file=sys.stderr)
    commands = [figures["compared_by"], *figures.get("commands", [])]
    contents = {
        "summary.md": summary(figures, names, pictures),
        "metrics.json": json.dumps(figures | {"names": list(names)}, indent=1) + "\n",
        "commands.txt": "\n".join(commands) + "\n",
    }
    for name, content in contents.items():
        with whole_file(str(out / name), "--outdir") as file:
            file.write(content.encode())
    rendered = sorted(p for p in folder.rglob("*") if p.is_file()) if folder else [pathlib.Path(n) for n in names]
    with whole_file(str(out / "checksums.sha256"), "--outdir") as file:
        for path in rendered:
            if path.is_file():
                shown = path.relative_to(folder) if folder else path
                file.write(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {shown}\n".encode())


def run(options: argparse.Namespace, arguments: list[str], line: Sequence[str]) -> int:
    """Compare, print and write; ``line`` is the command's own."""
    tolerance = tolerance_of(options.tolerance)
    uses_engines = bool(options.a or options.b or arguments)
    with tempfile.TemporaryDirectory(prefix="nb-compare-") as name:
        folder = pathlib.Path(name)
        a, b, names, more = of_engines(options, arguments, folder) if uses_engines else of_images(options)
        if a.shape != b.shape:
            raise BadInput(f"the images have different shapes: {a.shape} and {b.shape} (slow, fast)")
        figures = compare(a, b, kept_pixels(a.shape, options.roi, options.mask), tolerance, options.threshold) | more
        figures |= {"roi": options.roi, "mask": options.mask, "compared_by": shlex.join(["nb-compare", *line])}
        print(summary(figures, names), end="", flush=True)
        if options.outdir:
            write_report(options.outdir, figures, names, a, b, folder if uses_engines else None)
    return AGREE if figures["agree"] else DIFFER


def main(line: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    words = sys.argv[1:] if line is None else line
    before, after = split(words)
    with forgiving():
        options = parser().parse_args(before)
        return or_cannot("nb-compare", lambda: run(options, after, words))


if __name__ == "__main__":
    sys.exit(main())
