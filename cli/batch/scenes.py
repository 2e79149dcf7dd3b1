"""The scenes of a job's images, however the job describes them."""

from __future__ import annotations

from collections.abc import Callable

from nanobragg.cli.batch.lines import SetUps
from nanobragg.cli.tools.plans import silent
from nanobragg.engine.batch.job.job import Job
from nanobragg.engine.original import remarks
from nanobragg.engine.original.smv_header import FOR_READERS
from nanobragg.engine.plan import plan_of
from nanobragg.engine.scene.scene import Scene


class Scenes:
    """Makes the scene of an image, by its number; what images share is kept from one to the next."""

    def __init__(self, job: Job, remark: Callable[[str], None] = silent):
        self._job, self._set_ups = job, SetUps(job, remark)

    def __call__(self, number: int) -> Scene:
        """What an image shows; raises `BadInput` for what cannot be simulated."""
        return self._set_ups.set_up(self._job.words(number)).scene

    def remarks(self, number: int) -> list[str]:
        """What there is to say of an image; oddities that bite among it, but for those of headers, which are right."""
        made = self._set_ups.set_up(self._job.words(number))
        plan = plan_of(made.scene)
        biting = [str(quirk) for quirk in remarks.quirks_of(made, plan) if quirk.id not in FOR_READERS]
        return [*biting, *remarks.before(made, plan)]
