"""The standard workloads that backends are measured on, made from nothing but a seed."""

from __future__ import annotations

import pathlib
from typing import NamedTuple

import numpy as np


class Workload(NamedTuple):
    """A name, what it shows, its command line, and the rows of it that are enough for a slow program."""

    name: str
    shows: str
    arguments: str
    rows: int


CRYSTAL = (
    "-hkl {hkl} -default_F 50 -cell 42 55 48 88 81 95 -misset 11 22 33 -lambda 1 -oversample 1 "
    "-nonoise -noprogress -nopgm "
)
SMALL = CRYSTAL + "-distance 120 -pixel 0.4 -detpixels 256 "
TURNED = "-phi 1 -osc 1 -phisteps 10 "
WORKLOADS = (
    Workload("single", "one step a pixel: geometry", SMALL + "-detpixels 1024 -pixel 0.1 -N 20 -nointerpolate", 128),
    Workload("mosaic", "10 phi steps x 50 domains", SMALL + TURNED + "-N 50 -mosaic 0.5 -mosaic_domains 50", 16),
    Workload(
        "sources",
        "48 sources x 10 domains",
        SMALL + "-N 50 -mosaic 0.5 -mosaic_domains 10 -hdivrange 1 -hdivsteps 4 -vdivrange 1 -vdivsteps 4 -square_div "
        "-dispersion 1 -dispsteps 3",
        16,
    ),
    Workload(
        "detector",
        "2463 x 2527 pixels, 10 phi steps",
        CRYSTAL + TURNED + "-distance 231 -pixel 0.172 -detpixels_x 2463 -detpixels_y 2527 -N 20 -nointerpolate",
        64,
    ),
    Workload(
        "tricubic",
        "interpolated amplitudes",
        SMALL + TURNED + "-lambda 4 -detpixels 128 -N 5 -interpolate -mosaic 0.5 -mosaic_domains 10",
        32,
    ),
    Workload("gauss", "Gaussian spots", SMALL + TURNED + "-N 50 -gauss_xtal -mosaic 0.5 -mosaic_domains 50", 32),
    Workload("tophat", "sharp-edged spots", SMALL + TURNED + "-N 50 -tophat_spots -mosaic 0.5 -mosaic_domains 50", 32),
    Workload("round", "ellipsoidal crystal", SMALL + TURNED + "-N 50 -round_xtal -mosaic 0.5 -mosaic_domains 50", 16),
)
LARGEST_INDEX = 24


def write_amplitudes(folder: pathlib.Path) -> pathlib.Path:
    """An hkl file of exponential intensities on a full box of indices, always the same."""
    axis = np.arange(-LARGEST_INDEX, LARGEST_INDEX + 1)
    indices = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    amplitudes = np.sqrt(np.random.default_rng(20).exponential(1e4, len(indices)))
    path = folder / "amplitudes.hkl"
    rows = zip(*indices.T.tolist(), amplitudes.tolist(), strict=True)
    path.write_text("".join(f"{h} {k} {x} {f:.3f}\n" for h, k, x, f in rows))
    return path
