"""The tables of a job file that describe the model itself, and a file to start from."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

from nanobragg.cli.batch.job_keys import plain_numbers, text_of
from nanobragg.engine.batch.job.axes import Axis
from nanobragg.engine.batch.job.tables import RIVALS, value_of, with_fields
from nanobragg.engine.errors import BadInput
from nanobragg.engine.factors.load import with_cell
from nanobragg.engine.geometry.known import read_geometry
from nanobragg.engine.model.experiment import LISTS, TABLES, Experiment

MODEL_KEYS = (*TABLES, *LISTS)


def model_of(found: dict[str, Any], name: str, folder: str) -> dict[str, Any] | None:
    """The tables of the model, or ``None`` where arguments describe the images.

    ``detector`` is a table of a model, or a text, the name of a detector: that of the model, or one that goes with
    arguments. ``geometry`` is a file whose fields tables begin with.
    """
    tables = {key: plain_numbers(found[key]) for key in MODEL_KEYS if key in found}
    if isinstance(tables.get("detector"), str):
        if "arguments" in found:
            del tables["detector"]
        else:
            tables["detector"] = {"model": tables["detector"]}
    if "geometry" in found:
        tables = _of_file(tables, text_of(found, "geometry", name), name, folder)
    for key in ("arguments", "structure"):
        if tables and key in found:
            raise BadInput(f"{name}: {key} and [{next(iter(tables))}] both say what is simulated: take one")
    return tables or None


def _of_file(tables: dict[str, Any], geometry: str, name: str, folder: str) -> dict[str, Any]:
    """Tables with what a file says of the experiment, where they do not say it themselves."""
    try:
        found = read_geometry(os.path.join(folder, geometry))
    except BadInput as error:
        raise BadInput(f"{name}: geometry: {error}") from None
    merged = dict(tables)
    for key, fields in json.loads(json.dumps(found.tables)).items():
        own = tables.get(key, {})
        if key == "detector" and own:
            raise BadInput(f"{name}: geometry and [detector] both say what the detector is: take one")
        if isinstance(own, dict):
            taken = {full.partition(".")[2] for field in own for full in RIVALS.get(f"{key}.{field}", ())}
            if key == "beam" and {"wavelength_A", "energy_eV"} & set(own):
                taken.add("spectrum")
            merged[key] = {k: v for k, v in fields.items() if k not in taken} | own
    return merged


def check_model(tables: dict[str, Any], axes: Sequence[Axis], name: str, folder: str) -> None:
    """Refuse tables that make no experiment together with what axes give the first image."""
    try:
        for key in MODEL_KEYS:
            if key not in LISTS and not isinstance(tables.get(key, {}), dict):
                raise BadInput(f"[{key}]: must be a table of names and values")
        first = [(field, value_of(words)) for axis in axes for field, words in axis.given(0)]
        Experiment.of_json(with_cell(with_fields(tables, first), folder), "model")
    except BadInput as error:
        raise BadInput(f"{name}: {str(error).removeprefix('model: ')}") from None


def files_of(model: dict[str, Any]) -> list[str]:
    """Tables of anomalous scattering that a model names."""
    given = model.get("factors", {}).get("anomalous") or {}
    return [value for value in given.values() if isinstance(value, str)]


TEMPLATE = """# A job of nb-batch: many images of one experiment.
#   nb-batch expand {name}     what the images will be
#   nb-batch run {name}        render them; a run that was stopped goes on

images = 20                    # how many; a list or a table of an axis may say it instead
images_per_shard = 10          # images in a file
seed = 1                       # of orientations, noise and mosaic domains
{output}  # a folder, relative to this file

[factors]                      # structure factors
{factors}

[crystal]
{cell}
N = [40, 40, 40]               # unit cells along a, b and c
# mosaic_deg = 0.1             # the largest angle of a domain
# mosaic_domains = 10

[detector]
{detector}  # nanoBragg --detector list prints all names; or shape and pixel_mm
distance_mm = 150.0

[beam]
wavelength_A = 1.0             # or energy_eV
fluence = 1e25                 # photons per square metre; or flux, beamsize_mm and exposure_s
polarization = 0.98

# [scan]                       # a rotation in each image
# range_deg = 0.1
# steps = 5

[sampling]
oversample = 1                 # sub-pixels along each edge; as many as the spots need by default

[[axis]]                       # what varies: a random orientation for each image
orientation = "random"

# [[axis]]                     # or any field of the tables above
# field = "beam.wavelength_A"
# start = 0.99
# stop = 1.01
# count = 20
"""
COLUMN = 29  # where comments begin


def template(name: str, detector: str, structure: str | None, output: str) -> str:
    """A commented job file."""
    factors = f'structure = "{structure}"'.ljust(COLUMN) + "  # PDB, mmCIF, MTZ or hkl text"
    cell = "# cell = [...]".ljust(COLUMN) + "  # that of the structure by default"
    if structure is None:
        factors = "default_F = 100.0".ljust(COLUMN) + '  # electrons, for all indices; or structure = "FILE"'
        cell = "cell = [42, 42, 89, 90, 90, 90]".ljust(COLUMN) + "  # a, b, c (A), alpha, beta, gamma (degrees)"
    return TEMPLATE.format(
        name=name, factors=factors, cell=cell, detector=f'model = "{detector}"'.ljust(COLUMN),
        output=f'output = "{output}"'.ljust(COLUMN),
    )  # fmt: skip
