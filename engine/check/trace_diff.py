"""Two traces of one pixel, figure by figure: which went wrong first."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NamedTuple

from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.reading import read

EQUAL, WITHIN, DIVERGING, MISSING = "equal", "within tolerance", "diverging", "missing"
SYNONYMS = {  # other programs' labels, and ours
    "pix0_vector": "pix0_vector_meters", "pixel_pos": "pixel_pos_meters", "pixel_position_meters": "pixel_pos_meters",
    "airpath": "R_distance_meters", "airpath_m": "R_distance_meters", "R_meters": "R_distance_meters",
    "close_distance": "close_distance_meters", "diffracted": "diffracted_vec", "incident": "incident_vec",
    "scattering_vec": "scattering_vec_A_inv", "scattering_vector": "scattering_vec_A_inv",
    "lambda": "lambda_meters", "lambda_A": "lambda_angstroms", "wavelength_A": "lambda_angstroms",
    "hkl": "hkl_frac", "hkl0": "hkl_rounded", "hkl_nearest": "hkl_rounded", "Flatt": "F_latt", "Fcell": "F_cell",
    "fluence": "fluence_photons_per_m2", "polarization": "polar", "polar_factor": "polar",
    "capture": "capture_fraction", "omega": "omega_pixel", "I_pixel": "I_pixel_final",
    "final_intensity": "I_pixel_final", "floatimage": "floatimage_accumulated",
    "I_before_scaling": "I_before_scaling_pre_polar",
}  # fmt: skip
LINE = re.compile(r"^\s*TRACE(?:_\w+)?:?\s+([\w.]+(?:\[[\d,]*\])?)\s*[=:]?\s+(.*)$")
NUMBER = re.compile(r"[-+]?(?:nan|inf|\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?)", re.IGNORECASE)


class Compared(NamedTuple):
    """One figure in both traces."""

    name: str
    a: tuple[float, ...]
    b: tuple[float, ...]
    verdict: str
    relative: float


def canonical(name: str) -> str:
    """Our label; what belongs to the first evaluation has no brackets in other programs' traces."""
    label, _, place = name.partition("[")
    label = SYNONYMS.get(label, label)
    return label if not place or not re.search("[1-9]", place) else f"{label}[{place}"


def read_trace(path: str) -> dict[str, tuple[float, ...]]:
    """Figures by name, in the order of the file; text (``TRACE name = values``, ``TRACE_C: name values``) or JSON.

    Raises
    ------
    BadInput
        If the file cannot be read or has no figures.
    """
    try:
        content = read(path, "trace").decode("utf-8", "replace")
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}", 2) from None
    figures = _of_json(content, path) if content.lstrip()[:1] in ("[", "{") else _of_text(content)
    if not figures:
        raise BadInput(f"{path}: no figures in it (lines TRACE name = values, or nb-trace's JSON)", 2)
    return figures


def _of_text(content: str) -> dict[str, tuple[float, ...]]:
    figures: dict[str, tuple[float, ...]] = {}
    for line in content.splitlines():
        if match := LINE.match(line):
            values = tuple(float(number) for number in NUMBER.findall(match.group(2)))
            if values:
                _add(figures, match.group(1), values)
    return figures


def _of_json(content: str, path: str) -> dict[str, tuple[float, ...]]:
    figures: dict[str, tuple[float, ...]] = {}
    try:
        for pixel in json.loads(content)["pixels"]:
            for entry in pixel["figures"]:
                place = [entry[key] for key in ("layer", "sub_pixel", "source", "phi_step", "domain") if key in entry]
                name = entry["label"] + (f"[{','.join(map(str, place))}]" if place else "")
                _add(figures, name, tuple(float(v) for v in entry["values"]))
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path}: not a trace in JSON ({error})", 2) from None
    return figures


def _add(figures: dict[str, tuple[float, ...]], name: str, values: tuple[float, ...]) -> None:
    """Under its name; a label that comes again is numbered."""
    name = canonical(name)
    count, unique = 2, name
    while unique in figures:
        if figures[unique] == values:
            return
        unique = f"{name} #{count}"
        count += 1
    figures[unique] = values


def relative_difference(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Largest difference of two vectors over the larger one's largest component; infinite where they cannot agree."""
    if len(a) != len(b) or any(math.isnan(x) != math.isnan(y) for x, y in zip(a, b, strict=True)):
        return math.inf
    scale = max((abs(x) for x in (*a, *b) if not math.isnan(x)), default=0.0)
    differences = [abs(x - y) for x, y in zip(a, b, strict=True) if x != y and not math.isnan(x)]
    if not differences or scale == 0.0:
        return 0.0
    return max(differences) / scale if math.isfinite(scale) else math.inf


def compare(a: dict[str, tuple[float, ...]], b: dict[str, tuple[float, ...]], tolerance: float) -> list[Compared]:
    """Each figure of ``a`` against that of ``b``, in the order of the calculation.

    A log that has no sum before polarization is compared by the sum after it alone.
    """
    return [_compared(name, values, b.get(name), tolerance) for name, values in a.items()] + [
        Compared(name, (), values, MISSING, math.inf) for name, values in b.items() if name not in a
    ]


def _compared(name: str, mine: tuple[float, ...], theirs: tuple[float, ...] | None, tolerance: float) -> Compared:
    if theirs is None:
        return Compared(name, mine, (), MISSING, math.inf)
    relative = relative_difference(mine, theirs)
    verdict = EQUAL if relative == 0.0 else WITHIN if relative <= tolerance else DIVERGING
    return Compared(name, mine, theirs, verdict, relative)


def first(compared: list[Compared], *verdicts: str) -> Compared | None:
    """The first figure with one of these verdicts."""
    return next((c for c in compared if c.verdict in verdicts), None)


def metrics(compared: list[Compared], tolerance: float) -> dict[str, Any]:
    """Counts of verdicts, and the first figure that differs and that diverges, for machines."""
    diverging, differing = first(compared, DIVERGING), first(compared, WITHIN, DIVERGING)
    return {
        "tolerance": tolerance,
        "counts": {v: sum(c.verdict == v for c in compared) for v in (EQUAL, WITHIN, DIVERGING, MISSING)},
        "first_diverging": diverging and diverging.name,
        "first_differing": differing and differing.name,
        "figures": [c._asdict() | {"relative": c.relative if math.isfinite(c.relative) else None} for c in compared],
    }


def summary(compared: list[Compared], tolerance: float, names: tuple[str, str]) -> str:
    """A report in Markdown."""
    diverging, differing = first(compared, DIVERGING), first(compared, WITHIN, DIVERGING)
    lines = [f"# {names[0]} against {names[1]}", "", f"Tolerance {tolerance:g} (relative).", ""]
    if diverging:
        lines += [f"**First figure that diverges: `{diverging.name}`**, by {diverging.relative:.3g}:", ""]
        lines += [f"- A: {_digits(diverging.a)}", f"- B: {_digits(diverging.b)}", ""]
    else:
        lines += ["No figure diverges.", ""]
    if differing and differing is not diverging:
        lines += [f"First figure that differs at all: `{differing.name}`, by {differing.relative:.3g}.", ""]
    lines += ["| figure | verdict | difference | A | B |", "|---|---|---|---|---|"]
    lines += [f"| {c.name} | {c.verdict} | {c.relative:.2g} | {_digits(c.a)} | {_digits(c.b)} |" for c in compared]
    return "\n".join(lines) + "\n"


def _digits(values: tuple[float, ...]) -> str:
    return " ".join(f"{v:.17g}" for v in values) or "-"
