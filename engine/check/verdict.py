"""How two images that differ are related, in words: by a factor, moved, mirrored, or one of them empty."""

from __future__ import annotations

import numpy as np

SAME = 1e-3  # of the reference's norm: what is left of a difference once a relation explains it
NEAR_1 = 0.01  # factors that need more digits
DIMMED = 99.0  # percentile that brighter pixels are taken to
FURTHEST = 2048  # pixels of an edge, about the middle, that are looked at for shifts: 250 MB


def in_words(a: np.ndarray, b: np.ndarray, kept: np.ndarray, outside: int) -> str:
    """One sentence on two images (slow, fast) of one shape; pixels that are not ``kept`` count as 0.

    ``outside`` pixels are out of tolerance; where none is, that is what is said.
    """
    if not outside:
        return "A and B agree"
    numberless = [name for name, image in (("A", a), ("B", b)) if not np.isfinite(image[kept]).any()]
    if numberless:
        return f"{' and '.join(numberless)}: no pixel is a finite number"
    x, y = (np.where(kept & np.isfinite(image), image, 0).astype(np.float64) for image in (a, b))
    empty = [name for name, image in (("A", x), ("B", y)) if not image.any()]
    if empty:
        return f"{' and '.join(empty)} {'is' if len(empty) == 1 else 'are'} empty: all pixels are 0"
    found = _factor(x, y) or _offset(x, y) or _mirrored(x, y) or _moved(x, y)
    return (
        found or f"A and B differ in {outside} of {int(kept.sum())} pixels, and no factor, shift or mirror explains it"
    )


def _is_explained(y: np.ndarray, by: np.ndarray) -> bool:
    """Whether little is left of an image, also where its brightest pixels, a direct beam say, outweigh no others."""
    top = float(np.percentile(np.abs(y), DIMMED))
    dimmed = [np.clip(image, -top, top) for image in (y, by)] if top > 0.0 else [y, by]
    return all(np.linalg.norm(mine - other) <= SAME * np.linalg.norm(mine) for mine, other in ((y, by), dimmed))


def _factor(x: np.ndarray, y: np.ndarray) -> str | None:
    factor = float((x * y).sum() / (x * x).sum())
    if not (factor and _is_explained(y, factor * x)):
        return None
    if abs(factor - 1.0) < SAME / 10.0:
        return "A and B differ by little: some pixels are out of tolerance"
    return f"B = {factor:#.4g} x A" if abs(factor - 1.0) > NEAR_1 else f"B = {factor:#.6g} x A"


def _offset(x: np.ndarray, y: np.ndarray) -> str | None:
    offset, middle = float(np.median(y - x)), float(np.median(y))
    return f"B = A + {offset:.4g}" if offset and _is_explained(y - middle, x + offset - middle) else None


def _mirrored(x: np.ndarray, y: np.ndarray) -> str | None:
    turned = {
        "mirrored along slow": x[::-1],
        "mirrored along fast": x[:, ::-1],
        "turned by 180 degrees": x[::-1, ::-1],
    }
    if x.shape[0] == x.shape[1]:
        turned |= {"transposed (slow and fast exchanged)": x.T, "turned by 90 degrees": np.rot90(x),
                   "turned by 270 degrees": np.rot90(x, 3)}  # fmt: skip
    return next((f"B is A {how}" for how, image in turned.items() if _is_explained(y, image)), None)


def _moved(x: np.ndarray, y: np.ndarray) -> str | None:
    """A shift by whole pixels, from the highest point of the correlation; what both images have of it must agree."""
    x, y = (_middle(image) for image in (x, y))
    shape = tuple(2 * n for n in x.shape)
    flat_x, flat_y = ((v - v.mean()).astype(np.float32) for v in (x, y))  # else a background is at its best unmoved
    product = np.fft.rfft2(flat_x, shape)
    np.conj(product, out=product)
    product *= np.fft.rfft2(flat_y, shape)
    correlation = np.fft.irfft2(product, shape)
    slow, fast = (int(i) for i in np.unravel_index(np.argmax(correlation), shape))
    slow, fast = slow - shape[0] * (slow >= x.shape[0]), fast - shape[1] * (fast >= x.shape[1])
    mine, theirs = (_overlap(image, sign * slow, sign * fast) for image, sign in ((x, -1), (y, 1)))
    if (slow, fast) == (0, 0) or not mine.size or not theirs.any() or not _is_explained(theirs, mine):
        return None
    return f"B is A moved by ({slow}, {fast}) pixels (slow, fast)"


def _middle(image: np.ndarray) -> np.ndarray:
    slow, fast = (max((n - FURTHEST) // 2, 0) for n in image.shape)
    return image[slow : slow + FURTHEST, fast : fast + FURTHEST]


def _overlap(image: np.ndarray, slow: int, fast: int) -> np.ndarray:
    """What is left of an image whose first rows and columns (or last ones, if negative) have moved out."""
    rows = slice(max(slow, 0), image.shape[0] + min(slow, 0))
    return image[rows, max(fast, 0) : image.shape[1] + min(fast, 0)]
