"""The course of a job: what is left to do, who does it, and what is done about what goes wrong."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable, Iterable

from nanobragg.engine.batch.job.job import Job
from nanobragg.engine.batch.run.executors import Executor, Queue
from nanobragg.engine.batch.store import claims, records
from nanobragg.engine.batch.store.folder import OutputLost

MOST_DEATHS, LOOK_S = 2, 0.5


class Reporter:
    """Hears of what happens; the base says nothing."""

    def seen(self, images: int) -> None:
        """Some images more are done."""

    def tell(self, line: str) -> None:
        """Something that the user should know."""

    def remarked(self, remarks: Iterable[tuple[int, str]]) -> None:
        """Something that the user should know of images."""

    def failed(self, images: int) -> None:
        """Some images will not be made."""


def left(job: Job, part: tuple[int, int], *, retry: bool, tell: Callable[[str], None]) -> list[int]:
    """The shards of a part (number, of how many) that are neither finished nor set aside.

    A record whose files are missing or not as long as they were is forgotten, and the shard rendered again.
    """
    mine = range(part[0], job.shards, part[1])
    done, noted, recorded = records.finished(job, mine), records.aside(job), records.recorded(job)
    shards_left = []
    for shard in mine:
        if shard in done:
            continue
        if shard in recorded:
            tell(f"shard {shard}: its files are missing, cut short or of another job: it is rendered again")
        if shard in noted and retry:
            records.forget_aside(job, shard)
        elif shard in noted:
            continue
        shards_left.append(shard)
    return shards_left


def run(
    job: Job,
    shards: Iterable[int],
    executor: Executor,
    suspect_executor: Executor,
    stop: Callable[[], bool],
    reporter: Reporter,
) -> None:
    """Render shards; those at which a process has died before get processes of their own, after the others.

    Raises
    ------
    OutputLost
        If the output folder takes no more; what is finished stays.
    """
    mine = list(shards)
    suspects = claims.clear(job, set(mine))
    for some, by in (
        ([s for s in mine if s not in suspects], executor),
        ([s for s in mine if s in suspects], suspect_executor),
    ):
        if some and not stop():
            _run(job, collections.deque(some), by, reporter, stop)


def _run(
    job: Job,
    queue: Queue[int],
    executor: Executor,
    reporter: Reporter,
    stop: Callable[[], bool],
) -> None:
    """Take a queue to its end; what other processes of this machine are at is waited for."""
    deaths: collections.Counter[int] = collections.Counter()
    elsewhere: list[int] = []

    def leave(shard: int, why: str) -> None:
        records.set_aside(job, shard, why)
        reporter.failed(job.shard(shard).images)
        reporter.tell(f"shard {shard} is set aside: {why}")

    for outcome in executor.outcomes(queue, stop, reporter.seen):
        reporter.remarked(outcome.remarks)
        if outcome.kind == "lost":
            raise OutputLost(outcome.why)
        if outcome.kind == "device":
            reporter.tell(f"shard {outcome.shard}: {outcome.why}: the others go on without this worker")
            queue.append(outcome.shard)
        if outcome.kind == "elsewhere":
            reporter.tell(f"shard {outcome.shard}: {outcome.why}: waiting for it")
            elsewhere.append(outcome.shard)
        if outcome.kind == "failed":
            leave(outcome.shard, outcome.why)
        elif outcome.kind == "died":
            deaths[outcome.shard] += 1
            if deaths[outcome.shard] >= MOST_DEATHS:
                leave(outcome.shard, f"its worker died {MOST_DEATHS} times ({outcome.why})")
            else:
                reporter.tell(f"shard {outcome.shard}: its worker died ({outcome.why}): it is tried once more")
                claims.clear(job, {outcome.shard})
                queue.append(outcome.shard)
    while elsewhere and not stop():
        time.sleep(LOOK_S)
        free = [n for n in elsewhere if records.finished_record(job, n) or not claims.claimed_by_another(job, n)]
        elsewhere = [n for n in elsewhere if n not in free]
        if free:
            _run(job, collections.deque(free), executor, reporter, stop)
