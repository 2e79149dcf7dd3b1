"""What an image of a job shows: makers that a worker is given, by name, so that they can travel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from nanobragg.engine.batch.job.job import Job
from nanobragg.engine.scene.scene import Scene


class SceneOf(Protocol):
    """Makes scenes of a job's images."""

    def __call__(self, number: int) -> Scene:
        """What an image shows, by its number."""

    def described(self, number: int, scene: Scene) -> str:
        """An image's experiment as JSON."""


MakeScenes = Callable[[Job, Callable[[str], None]], SceneOf]  # the second is told what a user should know
