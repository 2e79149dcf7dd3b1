"""What a worker of dask does about signals: they reach it too where they are sent to all processes of a job."""

from __future__ import annotations

from typing import Any

from distributed import WorkerPlugin

from nanobragg.engine.batch import stopping

NAME = "nanobragg-signals"


class FinishTheImage(WorkerPlugin):
    """A worker that hears a signal stops between two images, as the driver does."""

    name = NAME

    def setup(self, worker: Any) -> None:
        """Take the signals of this process."""
        self._before = stopping.listen()

    def teardown(self, worker: Any) -> None:
        """Give them back."""
        stopping.give_back(self._before)
