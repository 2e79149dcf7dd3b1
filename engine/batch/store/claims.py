"""Claims: who is at a shard. One that its owner has left behind says that the owner died."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from typing import NamedTuple

import psutil

from nanobragg.engine.batch.job.job import Job
from nanobragg.engine.batch.store.folder import HOST, LEFT_OVER, names, or_lost, path, stem

CLAIM = re.compile(r"\.shard-(\d{6,})@(.+)@(\d+)\.claim")
SAME_START_S = 2.0  # the clock of the machine may have been set meanwhile
STALE_S = 3600.0  # what a process of another machine left so long ago, it does not come back to


class Claim(NamedTuple):
    """Who is at a shard, or was."""

    shard: int
    host: str
    pid: int

    @property
    def name(self) -> str:
        """Its file."""
        return f".{stem(self.shard)}@{self.host}@{self.pid}.claim"


@contextlib.contextmanager
def claimed(job: Job, shard: int) -> Iterator[None]:
    """Say that this process is at a shard, until it is not."""
    name = path(job.output, Claim(shard, HOST, os.getpid()).name)
    with or_lost(job.output), open(name, "w", encoding="ascii") as file:
        file.write(f"{started(os.getpid()) or 0.0:.3f}")
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.unlink(name)


def started(pid: int) -> float | None:
    """When a process was started (seconds); ``None`` if it is not there, or dead and not yet buried."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.AccessDenied:
        return 0.0
    except (psutil.Error, ValueError, OverflowError):
        return None


def is_alive(host: str, pid: int) -> bool | None:
    """Whether a process is there; ``None`` if it is on another machine."""
    return started(pid) is not None if host == HOST else None


def owner_is_alive(job: Job, claim: Claim) -> bool | None:
    """Whether the very process that made a claim is there: its number may have been given to another since."""
    alive = is_alive(claim.host, claim.pid)
    if not alive:
        return alive
    try:
        with open(path(job.output, claim.name), encoding="latin-1") as file:
            said = file.read()
        return not said or abs(float(said) - (started(claim.pid) or 0.0)) < SAME_START_S  # empty: it is being written
    except (OSError, ValueError):
        return False


def claims(job: Job) -> list[Claim]:
    """All claims, of the living and of the dead."""
    found = (CLAIM.fullmatch(name) for name in names(job.output))
    return [Claim(int(f.group(1)), f.group(2), int(f.group(3))) for f in found if f]


def claimed_by_another(job: Job, shard: int) -> bool:
    """Whether another process of this machine is at a shard."""
    return any(c.shard == shard and c.pid != os.getpid() and owner_is_alive(job, c) for c in claims(job))


def clear(job: Job, shards: set[int]) -> set[int]:
    """Remove what processes have left behind that died at these shards; the shards at which one died.

    Of another machine's processes nothing is known: their claims count as left behind, but their files are left alone.
    """
    suspects = set()
    for claim in claims(job):
        if claim.shard in shards and not owner_is_alive(job, claim):
            suspects.add(claim.shard)
            with contextlib.suppress(OSError):
                os.unlink(path(job.output, claim.name))
    _remove_temporary(job, float("inf"))
    return suspects


def tidy(job: Job) -> None:
    """Remove all that the dead have left behind, once a job is finished."""
    clear(job, {claim.shard for claim in claims(job)})
    _remove_temporary(job, STALE_S)


def _remove_temporary(job: Job, stale: float) -> None:
    for name in names(job.output):
        found = LEFT_OVER.fullmatch(name)
        with contextlib.suppress(OSError):
            if found and _is_dead(path(job.output, name), is_alive(found.group(1), int(found.group(2))), stale):
                os.unlink(path(job.output, name))


def _is_dead(file: str, alive: bool | None, stale: float) -> bool:
    return not alive if alive is not None else time.time() - os.stat(file).st_mtime > stale
