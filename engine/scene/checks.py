"""What does not fit into memory is refused before anything is allocated."""

from __future__ import annotations

from nanobragg.engine import memory
from nanobragg.engine.errors import BadInput

MOST_PIXELS = 2**31 - 1
MOST_DOMAINS = 10_000_000
BYTES_PER_PIXEL = 4 + 8 + 8 + 2 + 2  # image, solid angles, pixel list, integers, noise
BYTES_PER_CELL = 2 * 72  # the rotated cells of the first visit, and of all later ones


def check_size(n_fast: int, n_slow: int, hint: str) -> None:
    """Refuse a detector without pixels, and one whose image does not fit in memory."""
    if n_fast <= 0 or n_slow <= 0:
        raise BadInput(f"the detector has no pixels ({n_fast} x {n_slow}){hint}")
    pixels = n_fast * n_slow
    needed = pixels * BYTES_PER_PIXEL
    if (lacking := memory.lacks(needed)) or pixels > MOST_PIXELS:
        free = f"this machine has {memory.available() / 1e9:.3g} GB free" if lacking else ""
        room = free or "more than 2147483647 pixels"
        raise BadInput(f"a detector of {n_fast} x {n_slow} pixels takes {needed / 1e9:.3g} GB: {room}")


def check_cells(phi_steps: int, domains: int) -> None:
    """Refuse more orientations than there is memory for."""
    table = domains * phi_steps * BYTES_PER_CELL
    if memory.lacks(table):
        raise BadInput(f"{phi_steps} phi steps x {domains} domains take {table / 1e9:.3g} GB")
