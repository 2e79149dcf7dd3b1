"""How a job is coming along: a bar on a terminal, a plain line every half minute in a log."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable
from typing import Any

from nanobragg.engine.batch.run.driver import Reporter

EVERY_S = 30.0
MOST_REMARKS = 10


def clock_time(seconds: float) -> str:
    """Hours, minutes and seconds."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{left:02d}" if hours else f"{minutes}:{left:02d}"


class Progress(Reporter):
    """Counts images; ``done`` of ``images`` were there before, ``failed`` set aside; ``told`` are remarks made."""

    def __init__(
        self, images: int, done: int, failed: int, name: str, *, told: Iterable[str] = (), every: float = EVERY_S
    ):
        self._images, self._done, self._before, self._failed, self._name = images, done, done, failed, name
        self._told, self._remarks = set(told), 0
        self._begun, self._every = time.monotonic(), every
        self._lock = threading.Lock()
        self._bar: Any = None
        self._over = threading.Event()
        if sys.stderr is not None and sys.stderr.isatty():
            self._bar = _bar(images, done)
        if self._bar is None:
            threading.Thread(target=self._say_regularly, daemon=True).start()

    def _say_regularly(self) -> None:
        while not self._over.wait(self._every):
            self.tell(self.line())

    def seen(self, images: int) -> None:
        """Some images more are done."""
        with self._lock:
            self._done += images
        if self._bar is not None:
            self._bar.update(images)

    def failed(self, images: int) -> None:
        """Some images will not be made."""
        with self._lock:
            self._failed += images
        if self._bar is not None:
            self._bar.set_postfix(failed=self._failed)

    def line(self) -> str:
        """Images done, rate, time left and failures."""
        with self._lock:
            done, failed = self._done, self._failed
        spent = time.monotonic() - self._begun
        rate = (done - self._before) / spent if spent > 0.0 else 0.0
        to_do = max(self._images - done - failed, 0)
        left = f"{clock_time(to_do / rate)} left" if rate > 0.0 else "time left unknown"
        return f"{done} of {self._images} images, {rate:.3g} per s, {left}, {failed} failed"

    def tell(self, line: str) -> None:
        """A line on stderr, above the bar if there is one."""
        text = f"{self._name}: {line}"
        if self._bar is not None:
            self._bar.write(text, file=sys.stderr)
        elif sys.stderr is not None:
            print(text, file=sys.stderr, flush=True)

    def remarked(self, remarks: Iterable[tuple[int, str]]) -> None:
        """What is new of remarks on images, as long as they are few."""
        for image, line in remarks:
            if line in self._told or self._remarks > MOST_REMARKS:
                continue
            self._told.add(line)
            self._remarks += 1
            more = self._remarks > MOST_REMARKS
            self.tell("there are remarks on more images, which are not shown" if more else f"image {image}: {line}")

    def end(self) -> None:
        """Say for the last time how it went."""
        self._over.set()
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        spent = time.monotonic() - self._begun
        here = self._done - self._before
        self.tell(f"{self._done} of {self._images} images, {here} of them in {clock_time(spent)} "
                  f"({here / spent if spent else 0.0:.3g} per s), {self._failed} failed")  # fmt: skip


def _bar(images: int, done: int) -> Any:
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm(total=images, initial=done, unit="image", file=sys.stderr, dynamic_ncols=True)
