"""A batch job: what is the same for all images, what varies, and what describes each: a command line, or a model."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
from typing import Any, BinaryIO, NamedTuple

from nanobragg.engine.batch.job.axes import Axis, axis_of, places, seed_of, words_of
from nanobragg.engine.batch.job.tables import value_of, with_fields
from nanobragg.engine.errors import BadInput
from nanobragg.engine.factors.load import with_cell
from nanobragg.engine.formats.reading import reason
from nanobragg.engine.model.spectrum import KINDS

FORMATS = ("nxmx", "smv", "cbf", "float")
VALUES = ("int32", "uint16", "float32")
NOISES = ("philox", "original", "none")
TRUTHS = ("spots", "pixels", "refl", "stream", "boxes")
COMBINE = ("together", "product")
COMPRESSIONS = ("bitshuffle-lz4", "gzip", "none")
# What the images of a job are to readers: one crystal that turns on from image to image, upwards or downwards, or
# pictures that have nothing to do with each other.
RISING, FALLING, STILLS = SCANS = ("rising", "falling", "stills")
NOISE_SEED, MOSAIC_SEED, PULSE_SEED, LATTICE_SEED = 1, 2, 3, 4
SCHEMA = 2  # of what is kept in a job's folder; another one cannot be gone on with


class Shard(NamedTuple):
    """Some consecutive images that are rendered by one worker and written to one file."""

    number: int
    first: int
    images: int


@dataclasses.dataclass(frozen=True)
class Job:
    """What a job file says, checked; the same job has the same digest everywhere.

    ``arguments`` are nanoBragg's, or ``model`` holds the tables of an experiment; ``axes`` hold what varies in JSON
    form (`axes.axis_of` reads it), ``varying`` the names of the settings or fields that do, ``scan`` is one of `SCANS`,
    ``inputs`` the SHA-256 of each file that the job names, ``geometry`` the one whose detector and mask images have.
    ``truth`` are those of `TRUTHS` that are written beside the images.
    ``folder`` is where names of files are relative to and ``output`` where images go; neither is part of the digest.
    """

    arguments: tuple[str, ...]
    model: dict[str, Any] | None
    images: int
    images_per_shard: int
    seed: int
    combine: str
    axes: tuple[dict[str, Any], ...]
    varying: tuple[str, ...]
    backend: str
    precision: str
    noise: str
    values: str
    format: str
    sensor_material: str
    compression: str
    scan: str
    inputs: dict[str, str]
    folder: str
    output: str
    geometry: str | None = None
    truth: tuple[str, ...] = ()

    def canonical(self) -> dict[str, Any]:
        """What images depend on, as JSON."""
        fields = dataclasses.asdict(self)
        if self.geometry is None:
            del fields["geometry"]  # a job without one is what it was
        if not self.truth:
            del fields["truth"]
        for place in ("folder", "output"):
            del fields[place]
        return fields | {"schema": SCHEMA}

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical form."""
        return hashlib.sha256(json.dumps(self.canonical(), sort_keys=True).encode()).hexdigest()

    @functools.cached_property
    def opened_axes(self) -> tuple[Axis, ...]:
        """The axes, their tables read."""
        return tuple(axis_of(axis, self.folder, self.seed) for axis in self.axes)

    def gives(self, flag: str) -> bool:
        """Whether arguments or an axis give this flag, by any word that the original reads as it."""
        given = [*self.arguments, *(name for axis in self.opened_axes for name in axis.names)]
        return any(word.startswith("-") and flag in word for word in given)

    def varies(self, *names: str) -> bool:
        """Whether an axis sets one of these settings or fields."""
        return any(name in self.varying for name in names)

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-self.images // self.images_per_shard)

    def shard(self, number: int) -> Shard:
        """The images of a shard."""
        first = number * self.images_per_shard
        return Shard(number, first, min(self.images_per_shard, self.images - first))

    def varying_words(self, image: int) -> list[str]:
        """What the axes add to the arguments of an image."""
        found = places(self.opened_axes, self.combine, image)
        return [word for axis, place in found for word in words_of(axis, place)]

    def noise_seed(self, image: int) -> int:
        """A seed of the counts that no other image has."""
        return seed_of(self.seed, image, NOISE_SEED)

    def mosaic_seed(self, image: int) -> int:
        """The seed of mosaic domains: a crystal that turns on from image to image keeps its own."""
        return seed_of(self.seed, image if self.scan == STILLS else 0, MOSAIC_SEED)

    def tables(self, image: int) -> dict[str, Any]:
        """The model of an image, its axes and seeds put in."""
        assert self.model is not None
        found = places(self.opened_axes, self.combine, image)
        given = [(name, value_of(words)) for axis, place in found for name, words in axis.given(place)]
        if self.draws_pulses:
            given = [("beam.shot", image), *given]
            if "seed" not in self.model.get("beam", {}):
                given = [("beam.seed", seed_of(self.seed, 0, PULSE_SEED)), *given]
        said = {*self.varying, *(f"crystal.{name}" for name in self.model.get("crystal", {}))}
        if self.scan == STILLS and "crystal.lattices" in said and "crystal.lattice_seed" not in said:
            given = [("crystal.lattice_seed", seed_of(self.seed, image, LATTICE_SEED)), *given]
        seed = [] if "crystal.mosaic_seed" in said else [("crystal.mosaic_seed", self.mosaic_seed(image))]
        return with_cell(with_fields(self.model, [*seed, *given]), self.folder)

    @functools.cached_property
    def draws_pulses(self) -> bool:
        """Whether pulses differ by themselves: in a random spectrum, a row of a file, or their energy."""
        return self.model is not None and pulses_differ(self.model)

    @property
    def has_pulse_spectra(self) -> bool:
        """Whether each image has a spectrum of its own, on wavelengths of which all have as many."""
        return self.draws_pulses and not self.varies("beam.spectrum")

    def words(self, image: int) -> list[str]:
        """The whole command line of an image, empty where a model describes it.

        What nanoBragg would take from the clock or from its habits is said: no offset of the counts, and seeds that no
        other image has. A crystal that turns on from image to image keeps its mosaic domains.
        """
        if self.model is not None:
            return []
        said = {"-adc": "0"}
        if self.noise != "none":
            said["-seed"] = str(self.noise_seed(image))
        said["-mosaic_seed"] = str(self.mosaic_seed(image))
        more = [word for flag, value in said.items() if not self.gives(flag) for word in (flag, value)]
        return [*more, *self.arguments, *self.varying_words(image)]


def pulses_differ(model: dict[str, Any]) -> bool:
    """Whether the tables of a model describe a beam whose pulses differ."""
    beam = model.get("beam", {})
    spectrum = beam.get("spectrum")
    kind = KINDS.get(spectrum.get("kind", "given")) if isinstance(spectrum, dict) else None
    return bool(beam.get("pulse_jitter_percent")) or (kind is not None and kind.varies)


def file_digest(path: str, name: str) -> str:
    """SHA-256 of a file; raises `BadInput` with its name if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return digest_to_end(file)
    except OSError as error:
        raise BadInput(f"{name}: {reason(error)}") from None


def digest_to_end(file: BinaryIO) -> str:
    """SHA-256 of what an open file still holds."""
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def check_inputs(job: Job) -> None:
    """Raise `BadInput` if a file that the job names is not what it was when the job was begun."""
    for name, digest in job.inputs.items():
        if file_digest(os.path.join(job.folder, name), name) != digest:
            raise BadInput(f"{name}: is not the file that this job was begun with")


def as_text(job: Job) -> str:
    """What is kept in a job's output folder."""
    kept = {"digest": job.digest, "job": job.canonical(), "folder": job.folder}
    return json.dumps(kept, indent=1) + "\n"


def from_text(text: str, name: str, output: str) -> Job:
    """The job of an output folder; raises `BadInput` for anything else, and for another schema."""
    try:
        kept = json.loads(text)
        fields = dict(kept["job"])
        schema = fields.pop("schema", 1)
        fields.pop("nanobragg", None)  # of schema 1
        fields.setdefault("model", None)
        fields |= {name: tuple(fields[name]) for name in ("arguments", "axes", "varying")}
        fields["truth"] = tuple(fields.get("truth", ()))
        job = Job(**fields, folder=os.fspath(kept["folder"]), output=output)
        digest = kept["digest"]
    except (ValueError, TypeError, KeyError, AttributeError):
        raise BadInput(f"{name}: is not what nb-batch left in its output folder") from None
    if schema != SCHEMA:
        raise BadInput(f"{name}: was begun with jobs of schema {schema}, this is {SCHEMA}; take another folder")
    if job.digest != digest:
        raise BadInput(f"{name}: was changed: its digest is another one")
    return job
