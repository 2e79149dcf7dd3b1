"""From the command line of an image to its experiment, many times: files are read once, nothing is written."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from nanobragg.cli.nanobragg.explain import mistakes, remarks
from nanobragg.cli.nanobragg.headers import read_headers
from nanobragg.cli.nanobragg.parse import parse
from nanobragg.cli.nanobragg.physics import Physics, completed, placed_of, preset
from nanobragg.cli.nanobragg.rules import HEADER_FLAGS, rules_for
from nanobragg.cli.nanobragg.structure import factors_of, wanted_of
from nanobragg.cli.tools.plans import OF_PHYSICS, silent, split_physics
from nanobragg.engine.batch.job.job import Job
from nanobragg.engine.errors import BadInput
from nanobragg.engine.model.structure_factors import StructureFactors
from nanobragg.engine.original.beam import ToldBeam
from nanobragg.engine.original.inputs import structure_factors
from nanobragg.engine.original.set_up import Geometry, SetUp, beam_of, set_up
from nanobragg.engine.original.settings import Settings

INPUTS = frozenset(["mat_file", "hkl_file", "dump_file", "stol_file", "source_file", "mask_file", "img_file"])
# Settings that a beam cannot depend on; whatever else changes, its sources are made anew.
OF_ORIENTATION = {
    "misset_mode", "misset_x", "misset_y", "misset_z", "phi0", "seed", "mosaic_seed", "misset_seed", "given",
}  # fmt: skip
OF_THE_JOB = f"of nanoBragg's own options only {OF_PHYSICS} may stand in arguments; for others the job has keys"


def file_places(words: Sequence[str]) -> Iterator[int]:
    """Where the words are that name files to be read."""
    for i, word in enumerate(words[:-1]):
        if word == "--structure":
            yield i + 1
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
    whole = list(words)
    for i in file_places(words):
        whole[i] = os.path.join(folder, words[i])
    return whole


def plain_words(words: Sequence[str]) -> tuple[list[str], Physics]:
    """The words without our own options, and what these say of the physics."""
    return split_physics(words, BadInput(f"arguments: {OF_THE_JOB}"), files=False)


class SetUps:
    """Set-ups of a job's command lines; ``remark`` is told what the command would say on stderr.

    Amplitudes, sources, the pixels of header images and the mask stay in memory from one image to the next.
    """

    def __init__(self, job: Job, remark: Callable[[str], None] = silent):
        self._folder, self._remark = job.folder, remark
        # The last of each, as pairs that are replaced whole: several threads may ask.
        self._factors: tuple[Any, StructureFactors | None] = (None, None)
        self._beam: tuple[dict[str, Any] | None, ToldBeam | None] = (None, None)
        self._headers: tuple[Any, tuple[dict[str, Any], np.ndarray | None]] = (None, ({}, None))

    def set_up(self, words: Sequence[str]) -> SetUp:
        """What a command line simulates.

        Raises
        ------
        BadInput
            For what the command itself refuses, and where cell or amplitudes are missing.
        """
        settings, mask, physics = self.settings(words)
        placed = placed_of(settings, mask, physics, self._remark)
        same = {name: value for name, value in vars(settings).items() if name not in OF_ORIENTATION}
        known, beam = self._beam
        if beam is None or known != same:
            beam = beam_of(placed)
            self._beam = (same, beam)
        factors = self._factors_of(placed, beam, physics)
        return set_up(placed, self._remark, factors=factors, beam=beam)

    def settings(self, words: Sequence[str]) -> tuple[Settings, np.ndarray | None, Physics]:
        """Settings of a command line, the mask, and what our own options say."""
        given, physics = plain_words(resolved(words, self._folder))
        start, mask = self._start(given, physics)
        parsed = parse(given, start)
        for mistake in mistakes(parsed):
            raise BadInput(f"arguments: {mistake}")
        for line in remarks(parsed):
            self._remark(line)
        settings = completed(parsed.settings, physics)
        if "dump_file" not in settings.given:
            settings = dataclasses.replace(settings, dump_file="")
        some = settings.hkl_file is not None or settings.default_F != 0.0 or bool(settings.dump_file)
        if settings.mat_file is None and settings.cell_a == 0.0:
            raise BadInput("no cell: -mat or -cell")
        if not some and physics.structure is None:
            raise BadInput("no amplitudes: structure, -hkl or -default_F")
        if settings.misset_mode < 0 and "misset_seed" not in settings.given:
            raise BadInput(
                '-misset random: the orientation would follow the clock: take an axis orientation = "random"'
            )
        return settings, mask, physics

    def _start(self, words: list[str], physics: Physics) -> tuple[dict[str, Any], np.ndarray | None]:
        named = tuple(words[i + 1] for i, word in enumerate(words[:-1]) for flag in HEADER_FLAGS if flag in word)
        known, (start, mask) = self._headers
        if known != (named, physics):
            start = {"seed": -1, "misset_seed": -1} | preset(physics)
            mask = read_headers(words, start, any_format=True)
            self._headers = ((named, physics), (start, mask))
        return dict(start), mask

    def _factors_of(self, placed: Geometry, beam: ToldBeam, physics: Physics) -> StructureFactors:
        settings = placed.settings
        if physics.structure is not None:
            return self._of_structure(placed, beam, physics)
        dump_file = settings.dump_file if settings.hkl_file is None else ""
        key = (settings.hkl_file, dump_file, settings.default_F, settings.fixes)
        known, factors = self._factors
        if factors is None or known != key:
            read = dataclasses.replace(settings, dump_file=dump_file)
            if read.hkl_file is None and read.dump_file and not os.path.isfile(read.dump_file):
                raise BadInput(f"-dump {read.dump_file}: no such file")
            factors = structure_factors(read, self._remark)
            self._factors = (key, factors)
        return factors

    def _of_structure(self, placed: Geometry, beam: ToldBeam, physics: Physics) -> StructureFactors:
        key = (physics.structure, wanted_of(physics, placed, beam), placed.settings.default_F)
        known, factors = self._factors
        if factors is None or known != key:
            factors = factors_of(physics, placed, beam, self._remark)
            assert factors is not None
            self._factors = (key, factors)
        return factors
