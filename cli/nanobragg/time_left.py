"""What is left of a long run, in one line of a terminal that is written over."""

from __future__ import annotations

import sys
import time

from nanobragg.engine.cost import duration

EVERY_S = 1.0


class TimeLeft:
    """Hears of pixels that are done; ``expected_s`` is what all of them should take."""

    def __init__(self, pixels: int, expected_s: float):
        self._pixels, self._expected = pixels, expected_s
        self._begun = self._told = time.monotonic()

    def __call__(self, done: int) -> None:
        """So many pixels are done."""
        now = time.monotonic()
        if done < self._pixels and now - self._told < EVERY_S:
            return
        self._told = now
        spent, share = now - self._begun, done / max(self._pixels, 1)
        left = spent * (1.0 - share) / share if share > 0.0 else self._expected
        text = f"nanoBragg: {share:.0%} rendered, {duration(left)} left"
        sys.stderr.write(f"\r{text:<60}" + ("\r" + " " * 60 + "\r") * (done >= self._pixels))
        sys.stderr.flush()
