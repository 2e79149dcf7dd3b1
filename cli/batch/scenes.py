"""The scenes of a job's images, however the job describes them."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from nanobragg.cli.batch.lines import SetUps
from nanobragg.cli.tools.plans import silent
from nanobragg.engine import reasons
from nanobragg.engine.batch.job.job import Job
from nanobragg.engine.errors import BadInput
from nanobragg.engine.factors.load import energies_of_tables, load, seen_to
from nanobragg.engine.geometry.known import read_geometry
from nanobragg.engine.model.experiment import Experiment
from nanobragg.engine.model.structure_factors import FactorsFrom, StructureFactors
from nanobragg.engine.original import remarks
from nanobragg.engine.original.smv_header import FOR_READERS
from nanobragg.engine.plan import plan_of
from nanobragg.engine.scene.describe import tables_of
from nanobragg.engine.scene.of_model import scene_of
from nanobragg.engine.scene.scene import Illumination, Lattice, Noise, PlacedDetector, Scene
from nanobragg.kernels.image.random import new_table

MOST_FACTORS = 4  # kept: of some wavelengths that come again and again


class Scenes:
    """Makes the scene of an image, by its number; what images share is kept from one to the next."""

    def __init__(self, job: Job, remark: Callable[[str], None] = silent):
        self._by: _OfLines | _OfModel = _OfLines(job, remark) if job.model is None else _OfModel(job, remark)

    def __call__(self, number: int) -> Scene:
        """What an image shows; raises `BadInput` for what cannot be simulated."""
        return self._by.scene(number)

    def remarks(self, number: int) -> list[str]:
        """What there is to say of an image, oddities that bite among it."""
        return self._by.remarks(number)

    def described(self, number: int, scene: Scene) -> str:
        """An image's experiment as JSON: the job's own model, or the scene in the words of one."""
        return json.dumps(self._by.tables(number, scene))


class _OfLines:
    """Scenes of command lines."""

    def __init__(self, job: Job, remark: Callable[[str], None]):
        self._job, self._set_ups = job, SetUps(job, remark)

    def scene(self, number: int) -> Scene:
        """See `Scenes`."""
        return self._set_ups.set_up(self._job.words(number)).scene

    def remarks(self, number: int) -> list[str]:
        """Without the oddities of headers, which are right in a batch."""
        set_up = self._set_ups.set_up(self._job.words(number))
        plan = plan_of(set_up.scene)
        biting = [str(quirk) for quirk in remarks.quirks_of(set_up, plan) if quirk.id not in FOR_READERS]
        return [*biting, *remarks.before(set_up, plan)]

    def tables(self, number: int, scene: Scene) -> dict[str, Any]:
        """What `Scenes.described` writes."""
        return tables_of(scene)


class _OfModel:
    """Scenes of a model: its tables with what varies put in."""

    def __init__(self, job: Job, remark: Callable[[str], None]):
        self._job, self._remark = job, remark
        self._factors: dict[Any, StructureFactors] = {}  # the last ones, replaced whole: threads may ask
        self._mask: tuple[np.ndarray | None] | None = None  # of the file of the geometry, once it was read

    def scene(self, number: int) -> Scene:
        """See `Scenes`."""
        job = self._job
        experiment = self._with_mask(Experiment.of_json(self._whole(job.tables(number)), "model"))
        table = new_table() if job.noise == "original" else None
        noise = Noise(-job.noise_seed(number), 0.0, table)
        made = scene_of(experiment, self._loader(experiment))
        # Expected photons, and counts by the original's generator, are not what a response makes of photons.
        if job.noise != "philox":
            made = dataclasses.replace(made, response=None, detector=dataclasses.replace(made.detector, offset=0.0))
        return dataclasses.replace(made, noise=noise)

    def remarks(self, number: int) -> list[str]:
        """See `Scenes.remarks`."""
        scene = self.scene(number)
        return list(reasons.before(scene, plan_of(scene)))

    def tables(self, number: int, scene: Scene) -> dict[str, Any]:
        """What `Scenes.described` writes."""
        return self._job.tables(number)

    def _whole(self, tables: dict[str, Any]) -> dict[str, Any]:
        """The same with the name of a file of spectra, relative to the job's folder, made whole."""
        parts = [self._whole_file(part) for part in tables.get("background", [])]
        tables = tables | {"background": parts} if parts else tables
        spectrum = tables.get("beam", {}).get("spectrum")
        if isinstance(spectrum, dict) and isinstance(spectrum.get("file"), str):
            whole = {**spectrum, "file": os.path.join(self._job.folder, spectrum["file"])}
            return {**tables, "beam": {**tables["beam"], "spectrum": whole}}
        return tables

    def _whole_file(self, part: Any) -> Any:
        """A background whose file is named relative to the job's folder."""
        if isinstance(part, dict) and isinstance(part.get("file"), str):
            return part | {"file": os.path.join(self._job.folder, part["file"])}
        return part

    def _with_mask(self, experiment: Experiment) -> Experiment:
        """The same with the mask of the file that the geometry is of."""
        if self._job.geometry is None:
            return experiment
        if self._mask is None:
            self._mask = (read_geometry(os.path.join(self._job.folder, self._job.geometry)).mask,)
        (mask,) = self._mask
        return experiment if mask is None else dataclasses.replace(experiment, mask=mask)

    def _loader(
        self, experiment: Experiment
    ) -> Callable[[FactorsFrom, PlacedDetector, Lattice, Illumination], StructureFactors]:
        dmin_A = experiment.sampling.dmin_A

        def loaded(
            source: FactorsFrom, detector: PlacedDetector, crystal: Lattice, beam: Illumination
        ) -> StructureFactors:
            key: tuple[Any, ...] = (source,)
            if source.structure is not None:
                reach = source.d_min_A or seen_to(detector, crystal, beam, dmin_A)
                key = (source, beam.wavelength, crystal.cell, reach, energies_of_tables(source, beam))
            known = self._factors
            if key not in known:
                made = load(self._found(source), detector, crystal, beam, dmin_A=dmin_A, tell=self._remark)
                others = list(known.items())[1 - MOST_FACTORS :]
                known = self._factors = dict(others) | {key: made}
            return known[key]

        return loaded

    def _found(self, source: FactorsFrom) -> FactorsFrom:
        """The same with names of files relative to the job's folder made whole."""
        folder = self._job.folder
        whole: dict[str, Any] = {
            name: os.path.join(folder, path) for name in ("structure", "hkl") if (path := getattr(source, name))
        }
        given = source.anomalous
        if given:
            whole["anomalous"] = {e: os.path.join(folder, v) if isinstance(v, str) else v for e, v in given.items()}
        try:
            return dataclasses.replace(source, **whole) if whole else source  # type: ignore[arg-type]
        except TypeError as error:
            raise BadInput(f"factors: {error}") from None
