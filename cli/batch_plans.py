"""From the command line of an image to its experiment, many times: files are read once, nothing is written."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from nanobragg.cli.explain import mistakes, remarks
from nanobragg.cli.nanobragg import read_headers
from nanobragg.cli.parse import corrected, parse
from nanobragg.cli.plans import Physics, silent, split_physics
from nanobragg.cli.rules import HEADER_FLAGS, rules_for
from nanobragg.engine.batch.job import Job
from nanobragg.engine.beam import Beam
from nanobragg.engine.errors import BadInput
from nanobragg.engine.experiment import Experiment, beam_of, experiment, geometry
from nanobragg.engine.fixes import Fixes
from nanobragg.engine.settings import Settings
from nanobragg.engine.structure_factors import StructureFactors, structure_factors

INPUTS = frozenset(["mat_file", "hkl_file", "dump_file", "stol_file", "source_file", "mask_file", "img_file"])
# Settings that a beam cannot depend on; whatever else changes, its sources are made anew.
OF_ORIENTATION: dict[str, Any] = {
    "misset_mode": 0, "misset_x": 0.0, "misset_y": 0.0, "misset_z": 0.0, "phi0": 0.0,
    "seed": 0, "mosaic_seed": 0, "misset_seed": 0, "given": frozenset(),
}  # fmt: skip
OF_THE_JOB = (
    "of nanoBragg's own options only --fix, --phi-mode and --shape may stand in arguments; for others the job has keys"
)


def file_places(words: Sequence[str]) -> Iterator[int]:
    """Where the words are that name files to be read."""
    for i, word in enumerate(words[:-1]):
        if not word.startswith("-"):
            continue
        named = {setting for flag, setting in HEADER_FLAGS.items() if flag in word}
        for rule in rules_for(word):
            if rule.values == "file":
                named |= set(rule.effect([words[i + 1]]))
        if named & INPUTS:
            yield i + 1


def resolved(words: Sequence[str], folder: str) -> list[str]:
    """The words with file names relative to ``folder`` made whole."""
    made = list(words)
    for i in file_places(words):
        made[i] = os.path.join(folder, words[i])
    return made


def plain_words(words: Sequence[str]) -> tuple[list[str], Physics]:
    """The words without our own options, and what these say of the physics."""
    return split_physics(words, BadInput(f"arguments: {OF_THE_JOB}"))


class Preparer:
    """Experiments of a job's command lines; ``remark`` is told what the command would say on stderr.

    Amplitudes, sources and the pixels of header images stay in memory from one image to the next.
    """

    def __init__(self, job: Job, remark: Callable[[str], None] = silent):
        self._folder, self._remark = job.folder, remark
        # The last of each, as pairs that are replaced whole: several threads may ask.
        self._factors: tuple[Any, StructureFactors | None] = (None, None)
        self._beam: tuple[Settings | None, Beam | None] = (None, None)
        self._headers: tuple[Any, tuple[dict[str, Any], np.ndarray | None]] = (None, ({}, None))

    def __call__(self, words: Sequence[str]) -> Experiment:
        """What a command line shows.

        Raises
        ------
        BadInput
            For what the command itself refuses, and where cell or amplitudes are missing.
        """
        settings, mask = self.settings(words)
        placed = geometry(settings, mask, self._remark)
        factors = self._factors_of(settings)
        same = dataclasses.replace(settings, **OF_ORIENTATION)
        known, beam = self._beam
        if beam is None or known != same:
            beam = beam_of(placed)
            self._beam = (same, beam)
        return experiment(placed, self._remark, factors=factors, beam=beam)

    def settings(self, words: Sequence[str]) -> tuple[Settings, np.ndarray | None]:
        """Settings of a command line, and the mask."""
        given, physics = plain_words(resolved(words, self._folder))
        start, mask = self._start(given, physics.fixes)
        parsed = parse(given, start)
        for mistake in mistakes(parsed):
            raise BadInput(f"arguments: {mistake}")
        for line in remarks(parsed):
            self._remark(line)
        settings = corrected(parsed.settings, physics.shape)
        if "dump_file" not in settings.given:
            settings = dataclasses.replace(settings, dump_file="")
        no_factors = settings.hkl_file is None and settings.default_F == 0.0 and not settings.dump_file
        if settings.mat_file is None and settings.cell_a == 0.0:
            raise BadInput("no cell: -mat or -cell")
        if no_factors:
            raise BadInput("no amplitudes: -hkl or -default_F")
        if settings.misset_mode < 0 and "misset_seed" not in settings.given:
            raise BadInput(
                '-misset random: the orientation would follow the clock: take an axis orientation = "random"'
            )
        return settings, mask

    def _start(self, words: list[str], fixes: Fixes) -> tuple[dict[str, Any], np.ndarray | None]:
        named = tuple(words[i + 1] for i, word in enumerate(words[:-1]) for flag in HEADER_FLAGS if flag in word)
        known, (start, mask) = self._headers
        if known != (named, fixes):
            start = {"seed": -1, "misset_seed": -1, "fixes": fixes}
            mask = read_headers(words, start)
            self._headers = ((named, fixes), (start, mask))
        return dict(start), mask

    def _factors_of(self, settings: Settings) -> StructureFactors:
        read = settings if settings.hkl_file is None else dataclasses.replace(settings, dump_file="")
        key = (read.hkl_file, read.dump_file, read.default_F, read.fixes)
        known, factors = self._factors
        if factors is None or known != key:
            if read.hkl_file is None and read.dump_file and not os.path.isfile(read.dump_file):
                raise BadInput(f"-dump {read.dump_file}: no such file")
            factors = structure_factors(read, self._remark)
            self._factors = (key, factors)
        return factors
