"""Who renders shards: this process, a process for a shard that may kill, or workers of dask.

All follow one protocol: `Executor.outcomes` takes shards from a queue as it has room for them, and yields how each
went.
"""

from __future__ import annotations

import collections
import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from typing import Protocol

from nanobragg.engine.batch.job.job import Job
from nanobragg.engine.batch.run.work import How, Outcome, ShardRenderer, attempt
from nanobragg.engine.own_python import running

Queue = collections.deque  # shards to be rendered; those whose worker died are put back
POLL_S = 0.2


class Executor(Protocol):
    """Renders shards."""

    def outcomes(self, shards: Queue[int], stop: Callable[[], bool], seen: Callable[[int], None]) -> Iterator[Outcome]:
        """How it went with each shard, until none is left or ``stop`` says so; ``seen`` hears of finished images."""


class InProcess:
    """This process, one shard after the other."""

    def __init__(self, renderer: ShardRenderer):
        self._renderer = renderer

    def outcomes(self, shards: Queue[int], stop: Callable[[], bool], seen: Callable[[int], None]) -> Iterator[Outcome]:
        """See `Executor`."""
        while shards and not stop():
            yield alone(attempt(self._renderer, shards.popleft(), stop, seen))


class InChild:
    """A process for each shard: what a shard does to it, it does not do to us."""

    def __init__(self, job: Job, how: How):
        self._job, self._how = job, how

    def outcomes(self, shards: Queue[int], stop: Callable[[], bool], seen: Callable[[int], None]) -> Iterator[Outcome]:
        """See `Executor`."""
        while shards and not stop():
            shard = shards.popleft()
            outcome = self._outcome(shard, stop)
            if outcome.kind == "finished":
                seen(self._job.shard(shard).images)
            yield alone(outcome)

    def _outcome(self, shard: int, stop: Callable[[], bool]) -> Outcome:
        command = [*running("nanobragg.cli.batch.command"), "shard", self._job.output, str(shard),
                   "--threads", str(self._how.threads)]  # fmt: skip
        if self._how.device is not None:
            command += ["--device", str(self._how.device)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            asked = False
            while True:
                try:
                    said, _ = child.communicate(timeout=POLL_S)
                    break
                except subprocess.TimeoutExpired:
                    if stop() and not asked:
                        child.send_signal(signal.SIGTERM)
                        asked = True
        try:
            return Outcome(*json.loads(said.splitlines()[-1]))
        except (IndexError, ValueError, TypeError):
            return Outcome(shard, "died", ended(child.returncode))


def alone(outcome: Outcome) -> Outcome:
    """Nobody else can go on when our GPU has failed."""
    return outcome._replace(kind="lost") if outcome.kind == "device" else outcome


def ended(status: int) -> str:
    """How a process ended, in words."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
