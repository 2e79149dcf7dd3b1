"""DIALS' reflection table (``.refl``, msgpack): version 1, which old readers know, and new ones too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nanobragg.engine.errors import BadInput

PREDICTED, OBSERVED, INDEXED, STRONG, INTEGRATED = 1, 2, 4, 32, 256  # bits of flags
# How DIALS calls the types of columns: their numbers and how many a row has.
TYPES: dict[str, tuple[str, int]] = {
    "int": ("<i4", 1), "std::size_t": ("<u8", 1), "double": ("<f8", 1), "bool": ("u1", 1), "vec3<double>": ("<f8", 3),
    "int6": ("<i4", 6), "cctbx::miller::index<>": ("<i4", 3),
}  # fmt: skip
COLUMNS = {
    "id": "int", "panel": "std::size_t", "flags": "std::size_t", "miller_index": "cctbx::miller::index<>",
    "s1": "vec3<double>", "xyzcal.px": "vec3<double>", "xyzcal.mm": "vec3<double>", "xyzobs.px.value": "vec3<double>",
    "xyzobs.px.variance": "vec3<double>", "xyzobs.mm.value": "vec3<double>", "xyzobs.mm.variance": "vec3<double>",
    "rlp": "vec3<double>", "intensity.sum.value": "double", "intensity.sum.variance": "double",
    "background.sum.value": "double", "partiality": "double", "d": "double", "bbox": "int6", "entering": "bool",
}  # fmt: skip


def package() -> object:
    """msgpack; raises `BadInput` where it is missing."""
    try:
        import msgpack
    except ImportError:
        raise BadInput("truth = refl needs msgpack: pip install 'nanobragg[batch]'") from None
    return msgpack


def reflection_table(columns: Mapping[str, np.ndarray], identifiers: Sequence[str]) -> bytes:
    """The bytes of a table.

    Parameters
    ----------
    columns
        Those of `COLUMNS`, (n,) or (n, k).
    identifiers
        Of the experiments that ``id`` numbers.
    """
    data, rows = {}, len(columns["id"])
    for name, kind in COLUMNS.items():
        dtype, width = TYPES[kind]
        values = np.ascontiguousarray(columns[name], dtype)
        assert values.size == rows * width, name
        data[name] = [kind, [rows, values.tobytes()]]
    table = {"identifiers": dict(enumerate(identifiers)), "nrows": rows, "data": data}
    packed: bytes = package().packb(["dials::af::reflection_table", 1, table], use_bin_type=True)  # type: ignore[attr-defined]
    return packed
