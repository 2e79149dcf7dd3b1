"""Pixels shared out to threads, in chunks small enough to balance, to report progress and to be interrupted."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable
from typing import NamedTuple

TILE = 128  # pixels that the fast kernel works on together; a multiple of every register width


class Grain(NamedTuple):
    """The largest slice: evaluations and pixels; and how many pixels the kernel works on at a time."""

    steps: int = 2_000_000  # about 0.2 s of strict work
    pixels: int = 65536
    tile: int = 1


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

    Threads take the slices in ascending order; ``work`` must release the interpreter lock to run in parallel.
    ``done`` is called with the size of each finished slice, one call at a time. ``per_pixel`` is the number of
    steps in one pixel, for balance. The first exception stops the rest.
    """
    size = min(max(grain.steps // max(per_pixel, 1), 1), grain.pixels, max(-(-pixels // threads), 1))
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
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        try:
            for future in [pool.submit(worker) for _ in range(threads)]:
                future.result()
        except BaseException:
            failed.set()
            raise
