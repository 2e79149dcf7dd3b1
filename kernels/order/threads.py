"""Pixels shared out to threads, in chunks small enough to balance, to report progress and to be interrupted."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

TILE = 128  # pixels that the fast kernel works on together; a multiple of every register width
MOST_THREADS = 4096
SLICES_A_THREAD = 4  # at least, so that threads end together


class Grain(NamedTuple):
    """The largest slice, evaluations and pixels; how many pixels are worked on at a time; what a thread is worth."""

    steps: int = 2_000_000  # about 0.2 s of strict work
    pixels: int = 65536
    tile: int = 1
    worth_a_thread: int = 10_000  # evaluations that take longer than starting a thread, some 0.2 ms


CPU_GRAIN = Grain()


def in_chunks(
    pixels: int,
    work: Callable[[slice], object],
    threads: int,
    done: Callable[[int], None],
    *,
    per_pixel: int,
    grain: Grain = CPU_GRAIN,
) -> None:
    """Call ``work`` on consecutive slices of ``range(pixels)`` from ``threads`` threads.

    Threads, fewer where there is little to do, take the slices in ascending order; ``work`` must release the
    interpreter lock to run in parallel. ``done`` is called with the size of each finished slice, one call at a time.
    ``per_pixel`` is the number of steps in one pixel, for balance. The first exception stops the rest.
    """
    threads = min(threads, max(pixels * per_pixel // grain.worth_a_thread, 1))
    parts = threads * SLICES_A_THREAD if threads > 1 else 1
    size = min(max(grain.steps // max(per_pixel, 1), 1), grain.pixels, max(-(-pixels // parts), 1))
    size = -(-size // grain.tile) * grain.tile  # a tile that is not full takes as long as a full one
    starts = iter(range(0, pixels, size))
    lock = threading.Lock()
    failed = threading.Event()

    def worker() -> None:
        try:
            while not failed.is_set():
                with lock:
                    start = next(starts, None)
                if start is None:
                    return
                stop = min(start + size, pixels)
                work(slice(start, stop))
                with lock:
                    done(stop - start)
        except BaseException:
            failed.set()
            raise

    if threads == 1:
        worker()
        return
    helpers: list[Any] = []
    try:
        for _ in range(threads - 1):
            helpers.append(_pool(os.getpid()).submit(worker))
        worker()
    except BaseException:
        failed.set()
        raise
    finally:
        _wait_for(helpers, failed)
    for helper in helpers:
        helper.result()


def in_rows(
    shape: tuple[int, ...],
    rows: tuple[int, int],
    work: Callable[[tuple[int, int]], object],
    threads: int,
    *,
    steps: int,
) -> None:
    """Call ``work`` on parts of some rows of each panel of an image (panel, slow, fast), from ``threads`` threads.

    It is given the first and the last row, excluded, numbered through all panels; ``steps`` are those of a pixel.
    """

    def of_panels(part: slice) -> None:
        for number in range(shape[0]):
            before = number * shape[1] + rows[0]
            work((before + part.start, before + part.stop))

    per_pixel = steps * shape[0] * shape[2]
    in_chunks(max(rows[1] - rows[0], 0), of_panels, threads, lambda count: None, per_pixel=per_pixel)


def _wait_for(helpers: list[Any], failed: threading.Event) -> None:
    """Nobody is at work on our arrays when this returns, also where it is interrupted."""
    import concurrent.futures  # a start on one thread does without

    try:
        concurrent.futures.wait(helpers)
    except BaseException:
        failed.set()
        concurrent.futures.wait(helpers)
        raise


@functools.lru_cache(maxsize=1)
def _pool(process: int) -> Any:
    """The threads of this process, started as they are needed; a fork has none of its parent's."""
    import concurrent.futures

    return concurrent.futures.ThreadPoolExecutor(MOST_THREADS)
