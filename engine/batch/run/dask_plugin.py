"""What a worker of dask does about signals: they reach it too where they are sent to all processes of a job."""

from __future__ import annotations

import asyncio
from typing import Any

from distributed import WorkerPlugin

from nanobragg.engine.batch.run import stopping

NAME = "nanobragg-signals"
LOOK_S, SAY_S = 0.1, 0.5  # how often it looks whether the image is done, and what it takes to say so


class FinishTheImage(WorkerPlugin):
    """A worker that hears a signal finishes its image, and leaves."""

    name = NAME

    def setup(self, worker: Any) -> None:
        """Take the signals of this process."""
        self._worker = worker
        self._loop = asyncio.get_event_loop()
        self._before = stopping.listen(self._heard)

    def teardown(self, worker: Any) -> None:
        """Give them back."""
        stopping.give_back(self._before)

    def _heard(self, number: int, frame: Any) -> None:
        if not stopping.asked.is_set():
            stopping.asked.set()
            self._loop.call_soon_threadsafe(lambda: self._loop.create_task(self._leave()))

    async def _leave(self) -> None:
        while self._worker.state.executing_count:
            await asyncio.sleep(LOOK_S)
        await asyncio.sleep(SAY_S)
        await self._worker.close(nanny=False, reason="nanobragg-signal")  # a nanny that was not told starts another
