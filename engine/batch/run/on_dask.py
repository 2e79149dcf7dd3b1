"""Shards on the workers of dask: a cluster of our own on this machine, one on Slurm, or one that is there already."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from typing import Any

from nanobragg.engine.batch.job.job import Job, check_inputs
from nanobragg.engine.batch.job.scenes import MakeScenes
from nanobragg.engine.batch.run import stopping
from nanobragg.engine.batch.run.executors import Queue
from nanobragg.engine.batch.run.work import How, Outcome, ShardRenderer, attempt, gpus
from nanobragg.engine.batch.store.folder import open_job
from nanobragg.engine.errors import BadInput

WAIT_S, LOOK_S, TELL_S = 1.0, 0.1, 1.0
CONNECT_S, FOR_WORKERS_S = 15, 300


def dask() -> Any:
    """``dask.distributed``; raises `BadInput` where it is missing."""
    try:
        import distributed
    except ImportError:
        raise BadInput("workers need dask: pip install 'nanobragg[batch]'") from None
    return distributed


def nodes() -> Any:
    """Our own schedulers and workers."""
    dask()
    from nanobragg.engine.batch.run import dask_nodes

    return dask_nodes


@functools.lru_cache(maxsize=1)
def renderer_of(output: str, digest: str, make_scenes: MakeScenes, how: How) -> ShardRenderer:
    """What this worker keeps; made anew for another job."""
    job = open_job(output)
    if job.digest != digest:
        raise BadInput(f"{output}: holds another job")
    check_inputs(job)
    return ShardRenderer(job, make_scenes, how)


def place_of_worker() -> int | None:
    """The number that dask gave this worker, where its name is one."""
    try:
        return int(str(dask().get_worker().name).rsplit("-", 1)[-1])
    except ValueError:
        return None


def on_worker(output: str, digest: str, make_scenes: MakeScenes, how: How, shard: int) -> Outcome:
    """Render a shard on a worker; only names and the outcome travel."""
    place = place_of_worker()
    if how.device is None and "SLURM_LOCALID" not in os.environ and place is not None:
        how = how._replace(device=place % max(gpus(), 1))
    try:
        renderer = renderer_of(output, digest, make_scenes, how)
    except BadInput as error:
        return Outcome(shard, "lost", str(error))
    worker = dask().get_worker()
    seen = Seen(lambda count: worker.log_event(topic(digest), [shard, count]))
    outcome = attempt(renderer, shard, lambda: stopping.asked.is_set() or digest in stopping.jobs, seen)
    return outcome._replace(worker=worker.address)


def topic(digest: str) -> str:
    """Under which workers tell of the images of a job."""
    return f"images of {digest}"


class Seen:
    """Tells how many images of a shard are done, not too often."""

    def __init__(self, tell: Callable[[int], None]):
        self._tell, self._count, self._told = tell, 0, time.monotonic()

    def __call__(self, images: int) -> None:
        """Some images more are done."""
        self._count += images
        if time.monotonic() - self._told >= TELL_S:
            self._tell(self._count)
            self._told = time.monotonic()


class Counts:
    """What workers have told of shards that are not over; they tell how many images of one are done by now."""

    def __init__(self, seen: Callable[[int], None]):
        self._seen, self._done, self._lock = seen, {}, threading.Lock()  # type: ignore[var-annotated]

    def begin(self, shard: int) -> None:
        """A shard is given to a worker."""
        with self._lock:
            self._done[shard] = 0

    def heard(self, event: tuple[float, list[int]]) -> None:
        """Of a worker, in the order that it has told."""
        shard, count = event[1]
        with self._lock:
            if shard in self._done:
                self._count(shard, count)

    def end(self, outcome: Outcome, images: int) -> None:
        """A shard is over, with all of its images, with those told of, or with none."""
        with self._lock:
            if outcome.kind != "stopped":
                self._count(outcome.shard, images if outcome.kind == "finished" else 0)
            del self._done[outcome.shard]

    def _count(self, shard: int, count: int) -> None:
        self._seen(count - self._done[shard])
        self._done[shard] = count


def deaths_allowed(number: int, dask_scheduler: Any = None) -> int:
    """On a scheduler: how many workers a task may kill before it is given up; what it was before."""
    before, dask_scheduler.allowed_failures = dask_scheduler.allowed_failures, number
    return int(before)


class OnDask:
    """The workers of a dask client, each with one shard at a time; ``tell`` hears what the user should know."""

    def __init__(self, job: Job, client: Any, make_scenes: MakeScenes, how: How, tell: Callable[[str], None]):
        self._job, self._client, self._make_scenes, self._how = job, client, make_scenes, how
        self._tell = tell
        self._running: dict[Any, int] = {}
        self._gone: set[str] = set()  # workers not to be asked any more: their GPU has failed, or they heard a signal
        self._alone_since: float | None = None
        self._counts = Counts(lambda images: None)

    def outcomes(self, shards: Queue[int], stop: Callable[[], bool], seen: Callable[[int], None]) -> Iterator[Outcome]:
        """See `Executor`. The driver decides who tries again, so the scheduler is told not to."""
        from nanobragg.engine.batch.run import dask_plugin

        self._client.register_plugin(dask_plugin.FinishTheImage())
        self._client.run(stopping.begin_job, self._job.digest)
        before = self._client.run_on_scheduler(deaths_allowed, 0)
        self._counts = Counts(seen)
        self._client.subscribe_topic(topic(self._job.digest), self._counts.heard)
        try:
            yield from self._outcomes(shards, stop)
        finally:
            with contextlib.suppress(Exception):  # the scheduler may have gone
                self._client.unsubscribe_topic(topic(self._job.digest))
                self._client.run_on_scheduler(deaths_allowed, before)

    def _outcomes(self, shards: Queue[int], stop: Callable[[], bool]) -> Iterator[Outcome]:
        while shards or self._running:
            if stop():
                shards.clear()
                self._stop_workers()
                if not self._workers():
                    return
            while shards and len(self._running) < len(self._workers()):
                shard = shards.popleft()
                self._counts.begin(shard)
                self._running[self._submit(shard)] = shard
            for future in self._done():
                outcome = self._outcome(future, self._running.pop(future))
                self._counts.end(outcome, self._job.shard(outcome.shard).images)
                if outcome.kind == "stopped" and not stop():  # the worker alone was asked, and is about to go
                    self._gone.add(outcome.worker)
                    shards.append(outcome.shard)
                yield self._without(outcome) if outcome.kind == "device" else outcome
            if self._is_given_up():
                yield Outcome(shards[0], "lost", "no worker is left")

    def _stop_workers(self) -> None:
        """Tell all that are there now; some may have heard the signal too, and gone, and others come instead."""
        with contextlib.suppress(Exception):
            self._client.run(stopping.stop_job, self._job.digest, on_error="ignore")

    def _done(self) -> set[Any]:
        """Shards that are over, after a while at the latest."""
        if not self._running:
            self._wait_for_workers()
            return set()
        try:
            return set(dask().wait(list(self._running), timeout=WAIT_S, return_when="FIRST_COMPLETED").done)
        except TimeoutError:
            return set()
        except concurrent.futures.CancelledError:  # with the scheduler, all of them
            return set(self._running)

    def _wait_for_workers(self) -> None:
        if self._workers():
            self._alone_since = None
            return
        if self._alone_since is None:
            self._alone_since = time.monotonic()
            self._tell(f"no worker is left: waiting {FOR_WORKERS_S} s for others")
        time.sleep(WAIT_S)

    def _is_given_up(self) -> bool:
        return self._alone_since is not None and time.monotonic() - self._alone_since > FOR_WORKERS_S

    def _without(self, outcome: Outcome) -> Outcome:
        """Ask no more of a worker whose GPU has failed; nobody is left to go on if it was the last."""
        self._gone.add(outcome.worker)
        return outcome if self._workers() or self._running else outcome._replace(kind="lost")

    def _workers(self) -> list[str]:
        """Addresses of the worker processes there are now; they may come and go."""
        return [address for address in self._client.nthreads() if address not in self._gone]

    def _submit(self, shard: int) -> Any:
        return self._client.submit(
            on_worker, self._job.output, self._job.digest, self._make_scenes, self._how, shard, pure=False, retries=0,
            workers=self._workers() if self._gone else None,
        )  # fmt: skip

    def _outcome(self, future: Any, shard: int) -> Outcome:
        distributed = dask()
        try:
            return Outcome(*future.result())
        except distributed.KilledWorker:
            return Outcome(shard, "died", "killed")
        except (concurrent.futures.CancelledError, distributed.comm.CommClosedError) as error:
            return Outcome(shard, "lost", f"the scheduler has gone ({type(error).__name__})")
        except Exception as error:  # what a worker raises outside of the shard
            return Outcome(shard, "lost", f"a worker failed: {type(error).__name__}: {error}")


def configure() -> None:
    """Workers are for one shard at a time: no limits of memory, no dashboard of their own."""
    dask()
    import dask as core

    core.config.set(
        {
            "distributed.worker.daemon": False,
            "distributed.worker.memory.terminate": False,
            "distributed.worker.memory.pause": False,
            "distributed.worker.memory.spill": False,
            "distributed.worker.memory.target": False,
            "distributed.comm.timeouts.connect": "60s",
        }
    )
    for name in ("distributed", "asyncio", "tornado.application"):  # what matters is told by the driver
        logging.getLogger(name).setLevel(logging.CRITICAL)


def local_client(workers: int) -> Any:
    """A client of worker processes on this machine."""
    distributed = dask()
    configure()
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    resource_tracker.ensure_running()  # it inherits that: a signal to all processes of a job would end it
    signal.signal(signal.SIGUSR1, before)
    return distributed.Client(nodes().cluster(workers, nodes().certificates(), "127.0.0.1"))


def client_of(address: str) -> Any:
    """A client of a scheduler that is there: its address, or a file that it has written."""
    distributed = dask()
    configure()
    try:
        if os.path.exists(address):
            nodes().check_own(os.path.dirname(address))
            client = distributed.Client(scheduler_file=address, timeout=CONNECT_S)
        else:
            client = distributed.Client(address, timeout=CONNECT_S)
        await_workers(client)
    except BadInput as error:
        raise BadInput(f"--scheduler {address}: {error}") from None
    except Exception as error:  # of any kind: what the address or the file holds may be anything
        raise BadInput(f"--scheduler {address}: {error or type(error).__name__}") from None
    return client


def await_workers(client: Any, check: Callable[[], None] = lambda: None) -> None:
    """Wait for a worker, or until we are asked to stop; raises `TimeoutError` if none comes, or what ``check`` does."""
    begun = time.monotonic()
    while not client.nthreads() and not stopping.asked.is_set():
        check()
        if time.monotonic() - begun > FOR_WORKERS_S:
            raise TimeoutError("no worker has come")
        time.sleep(LOOK_S)
