"""What an image of a job shows: functions that a worker is given, by name, so that they can travel."""

from __future__ import annotations

from collections.abc import Callable

from nanobragg.engine.batch.job.job import Job
from nanobragg.engine.scene.scene import Scene

SceneOf = Callable[[int], Scene]  # by the image's number
MakeScenes = Callable[[Job, Callable[[str], None]], SceneOf]  # the second is told what a user should know
