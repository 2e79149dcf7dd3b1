"""Job files: TOML to a checked `Job`. Everything that can be wrong is said before any work is done."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from nanobragg.cli.batch.job_axes import MOST_IMAGES, axes_of, rule_of, varying
from nanobragg.cli.batch.job_keys import choice_of, text_of, whole_of
from nanobragg.cli.batch.job_model import MODEL_KEYS, check_model, files_of, model_of
from nanobragg.cli.batch.lines import SetUps, file_places, plain_words
from nanobragg.cli.nanobragg.explain import mistakes
from nanobragg.cli.nanobragg.parse import parse
from nanobragg.cli.nanobragg.rules import rules_for
from nanobragg.engine.batch.job import job as jobs
from nanobragg.engine.batch.job.axes import FLAG, Axis, Orientation, RandomValues, Table, kind_of, split_words, words_of
from nanobragg.engine.batch.job.job import Job, file_digest
from nanobragg.engine.batch.job.tables import value_of
from nanobragg.engine.c_numbers import DEGREES, real
from nanobragg.engine.detectors.catalogue import detector_model
from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.nexus import SENSORS
from nanobragg.engine.formats.reading import reason
from nanobragg.engine.formats.refl import package as msgpack_package
from nanobragg.engine.geometry.known import file_of
from nanobragg.engine.original.sampling import phi_steps
from nanobragg.engine.render import BACKENDS, PRECISIONS

IN_ARGUMENTS = ("structure", "detector")  # keys that say what an option in the arguments says
KEYS = {
    "arguments", "images", "images_per_shard", "seed", "output", "backend", "precision", "noise", "values", "format",
    "combine", "sensor_material", "compression", "axis", "geometry", "truth", *IN_ARGUMENTS, *MODEL_KEYS,
}  # fmt: skip
IMAGES_PER_SHARD, MOST_PER_SHARD, MOST_SHARDS = 100, 100_000, 1_000_000
OF_FILES = {"factors.structure", "factors.hkl"}  # fields that name files
SHOT = "beam.shot"
MOST_ANGLES, SAME_STEP = 200_000, 1e-4  # images; how far steps may be from their width, as a share of it
DEFAULT_VALUES = {"smv": "uint16", "cbf": "int32", "float": "float32"}


def read_job(name: str, output: str | None = None, **instead: str) -> Job:
    """The job of a file, whose images `check` tries; ``output`` replaces its folder, ``instead`` other keys.

    Raises
    ------
    BadInput
        For anything in it that cannot be meant.
    """
    found = _toml(name) | instead
    unknown = set(found) - KEYS
    if unknown:
        raise BadInput(f"{name}: {', '.join(sorted(unknown))}: no such key (there are {', '.join(sorted(KEYS))})")
    folder = os.path.dirname(os.path.abspath(name))
    model = model_of(found, name, folder)
    words = [] if model is not None else _words(found, name)
    seed = whole_of(found, "seed", name, 0, 2**63 - 1, 1)
    combine = choice_of(found, "combine", name, jobs.COMBINE)
    axes = axes_of(found.get("axis", []), name, folder, seed, of_model=model is not None)
    if model is not None:
        check_model(model, axes, name, folder)
    images = _images(found, name, axes, combine)
    form = choice_of(found, "format", name, jobs.FORMATS)
    default_noise = "none" if form == "float" or found.get("values") == "float32" else "philox"
    noise = choice_of(found, "noise", name, (default_noise, *jobs.NOISES))
    values = choice_of(found, "values", name, (_default_values(form, noise), *jobs.VALUES))
    _check_values(name, form, noise, values)
    if noise != "philox" and model is not None and "response" in model:
        raise BadInput(f"{name}: [response]: makes counts with noise = 'philox' alone, not with {noise!r}")
    per_shard = whole_of(found, "images_per_shard", name, 1, MOST_PER_SHARD, IMAGES_PER_SHARD)
    where = output if output is not None else text_of(found, "output", name)
    named = _inputs(words, axes, folder) | _files_of_model(model, axes, folder)
    if "geometry" in found:
        path = file_of(text_of(found, "geometry", name))
        named |= {path: file_digest(os.path.join(folder, path), path)}
    if images > per_shard * MOST_SHARDS:
        raise BadInput(f"{name}: {images} images in shards of {per_shard} are too many files: raise images_per_shard")
    job = Job(
        arguments=tuple(words), model=model, images=images,
        images_per_shard=min(per_shard, images), seed=seed, combine=combine,
        axes=tuple(axis.canonical() for axis in axes), varying=_varying(axes, model),
        backend=choice_of(found, "backend", name, BACKENDS),
        precision=choice_of(found, "precision", name, PRECISIONS), noise=noise, values=values, format=form,
        sensor_material=choice_of(found, "sensor_material", name, (_sensor_of(words, model), *SENSORS)),
        compression=choice_of(found, "compression", name, jobs.COMPRESSIONS), scan=jobs.STILLS, inputs=named,
        geometry=found.get("geometry"), truth=_truth(found, name, form), folder=folder,
        output=os.path.abspath(os.path.join("" if output is not None else folder, where)),
    )  # fmt: skip
    return dataclasses.replace(job, scan=scan_of(job))


def _varying(axes: Sequence[Axis], model: dict[str, Any] | None) -> tuple[str, ...]:
    """What axes set, and the shot where pulses differ by themselves."""
    own = (SHOT,) if model is not None and jobs.pulses_differ(model) else ()
    return tuple(sorted({*varying(axes), *own}))


def _words(found: dict[str, Any], name: str) -> list[str]:
    """The arguments, with what keys say for them."""
    words = _arguments(found.get("arguments"), name)
    for key in IN_ARGUMENTS:
        if key in found:
            words += [f"--{key}", text_of(found, key, name)]
    return words


def _sensor_of(words: Sequence[str], tables: dict[str, Any] | None) -> str:
    """The sensor of the detector that is named, if that is one that files have a word for."""
    named = None if tables is None else tables.get("detector", {}).get("model")
    model = plain_words(words)[1].detector if tables is None else detector_model(named) if named else None
    return model.sensor if model is not None and model.sensor in SENSORS else SENSORS[0]


def scan_of(job: Job) -> str:
    """Whether the images are one scan of one crystal: in steps of their width, up or down. All else are stills."""
    if set(job.varying) - {"phi0", "seed", "mosaic_seed", "scan.start_deg", "crystal.mosaic_seed", SHOT}:
        return jobs.STILLS
    try:
        width = _width(job)
    except BadInput:  # `check` says so
        return jobs.STILLS
    if width <= 0.0 or job.images == 1:
        return jobs.RISING if width > 0.0 else jobs.STILLS
    angles = _angles(job)
    if angles is None:
        return jobs.STILLS
    steps = np.diff(angles) / DEGREES
    if (np.abs(steps - width) < SAME_STEP * width).all():
        return jobs.RISING
    return jobs.FALLING if (np.abs(steps + width) < SAME_STEP * width).all() else jobs.STILLS


def _width(job: Job) -> float:
    """How far the crystal turns in the first image, radians."""
    if job.model is not None:
        return float(job.model.get("scan", {}).get("range_deg", 0.0)) / DEGREES
    settings, *_ = SetUps(job).settings(job.words(0))
    return phi_steps(settings).range


def _angles(job: Job) -> np.ndarray | None:
    """Where each image begins to turn, degrees; `None` where no axis says so for each, or there are too many."""
    if job.images > MOST_ANGLES:
        return None
    if job.model is not None:
        return _starts(job) if "scan.start_deg" in job.varying else None
    found = []
    for image in range(job.images):
        words = job.varying_words(image)
        at = [i for i, word in enumerate(words[:-1]) if "phi0" in _set_by(word)]
        if len(at) != 1:
            return None
        found.append(real(words[at[0] + 1]))
    return np.array(found)


def _starts(job: Job) -> np.ndarray | None:
    """``scan.start_deg`` of each image, where it is a number in all of them."""
    starts = [job.tables(image).get("scan", {}).get("start_deg", 0.0) for image in range(job.images)]
    return np.array(starts, float) if all(isinstance(start, int | float) for start in starts) else None


def _set_by(word: str) -> set[str]:
    return (
        {name for rule in rules_for(word, exact=True) for name in rule.effect(["1"] * 6)} if word[:1] == "-" else set()
    )


def _toml(name: str) -> dict[str, Any]:
    try:
        import tomllib
    except ImportError:  # before Python 3.11
        import tomli as tomllib
    try:
        with open(name, "rb") as file:
            return tomllib.load(file, parse_float=Decimal)
    except OSError as error:
        raise BadInput(f"{name}: {reason(error)}") from None
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{name}: not a job file (TOML): {error}") from None


def _arguments(given: Any, name: str) -> list[str]:
    if isinstance(given, str):
        words = split_words(given, f"{name}: arguments")
    elif isinstance(given, list) and all(isinstance(word, str) for word in given):
        words = list(given)
    else:
        raise BadInput(f"{name}: arguments = must be nanoBragg's arguments, as one text or a list of texts")
    if any("\0" in word for word in words):
        raise BadInput(f"{name}: arguments: hold a character that no argument can hold")
    plain, physics = plain_words(words)
    for mistake in mistakes(parse(plain, {"seed": -1, "misset_seed": -1, "fixes": physics.fixes})):
        raise BadInput(f"{name}: arguments: {mistake}")
    return words


def _truth(found: dict[str, Any], name: str, form: str) -> tuple[str, ...]:
    """What is written of the truth of spots and pixels."""
    given = found.get("truth", [])
    if not isinstance(given, list) or not all(word in jobs.TRUTHS for word in given):
        raise BadInput(f"{name}: truth = {given!r}: must be a list of {', '.join(jobs.TRUTHS)}")
    if given and form != "nxmx":
        raise BadInput(f"{name}: truth: is written into and beside files of format = 'nxmx' alone")
    if "refl" in given:
        msgpack_package()
    return tuple(word for word in jobs.TRUTHS if word in given)


def _default_values(form: str, noise: str) -> str:
    if form in DEFAULT_VALUES:
        return DEFAULT_VALUES[form]
    return {"none": "float32", "original": "uint16"}.get(noise, "int32")


def _check_values(name: str, form: str, noise: str, values: str) -> None:
    if form != "nxmx" and values != DEFAULT_VALUES[form]:
        raise BadInput(f"{name}: values = {values!r}: an image in format {form} holds {DEFAULT_VALUES[form]}")
    if values == "float32" and noise != "none":
        raise BadInput(f"{name}: noise = {noise!r}: float32 holds expected photons; counts are int32 or uint16")
    if noise == "original" and values != "uint16":
        raise BadInput(f"{name}: values = {values!r}: the original's noise has 16 bits: uint16, or noise = 'philox'")


def _images(found: dict[str, Any], name: str, axes: Sequence[Axis], combine: str) -> int:
    asked = whole_of(found, "images", name, 1, MOST_IMAGES) if "images" in found else None
    lengths = {" ".join(axis.names): axis.length for axis in axes if axis.length is not None}
    if combine == "product":
        for axis in axes:
            if axis.length is None and not isinstance(axis, Orientation | RandomValues):
                raise BadInput(f"{name}: {axis.names[0]}: in a product a range needs a count")
        product = 1
        for length in lengths.values():
            product *= length
        if asked is not None and lengths and asked % product:
            raise BadInput(f"{name}: images = {asked}: no multiple of the {product} that the axes make")
        count = asked or (product if lengths else None)
    else:
        wrong = [f"{flag} has {length}" for flag, length in lengths.items() if length != (asked or length)]
        if wrong or len(set(lengths.values())) > 1:
            said = wrong or [f"{flag} has {length}" for flag, length in lengths.items()]
            raise BadInput(
                f"{name}: the axes differ in length: {', '.join(said)}" + f", images = {asked}" * bool(asked)
            )
        count = asked or next(iter(lengths.values()), None)
    if count is None:
        raise BadInput(f"{name}: images = must be given: no axis says how many there are")
    if count > MOST_IMAGES:
        raise BadInput(f"{name}: {count} images are too many")
    return count


def _inputs(words: Sequence[str], axes: Sequence[Axis], folder: str) -> dict[str, str]:
    """Digests of all files that the job names."""
    named = {words[i] for i in file_places(words)}
    for axis in axes:
        if isinstance(axis, Table):
            named.add(axis.name)
        if any(kind_of(name) == FLAG and rule_of(name, "axis").values == "file" for name in axis.names):
            for place in range(axis.length or 1):
                some = words_of(axis, place)
                named |= {some[i] for i in file_places(some)}
    return {name: file_digest(os.path.join(folder, name), name) for name in sorted(named)}


def names_file(field: str) -> bool:
    """Whether the values of a field are names of files."""
    return field in OF_FILES or (field.startswith("background.") and field.endswith(".file"))


def _files_of_model(model: dict[str, Any] | None, axes: Sequence[Axis], folder: str) -> dict[str, str]:
    """Digests of the files that a model names, tables of axes apart."""
    if model is None:
        return {}
    named = {model.get("factors", {}).get(key) for key in ("structure", "hkl")} | set(files_of(model))
    spectrum = model.get("beam", {}).get("spectrum")
    named |= {spectrum.get("file")} if isinstance(spectrum, dict) else set()
    for axis in axes:
        if any(map(names_file, axis.names)):
            pairs = [pair for place in range(axis.length or 1) for pair in axis.given(place)]
            if isinstance(axis, RandomValues):
                pairs = [(axis.name, list(words)) for words in axis.choices]
            named |= {value_of(words) for field, words in pairs if names_file(field)}
    named |= {part.get("file") for part in model.get("background", []) if isinstance(part, dict)}
    names = sorted(name for name in named if isinstance(name, str) and name)
    return {name: file_digest(os.path.join(folder, name), name) for name in names}
