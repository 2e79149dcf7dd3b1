"""Turn an image into a PNG that can be looked at: SMV, raw binary32, npy, CBF, HDF5 (FILE:N is frame N).

    python examples/picture.py noiseimage.img picture.png

Dark is bright, on a square-root scale; needs matplotlib (``pip install "nanobragg[pictures]"``).
"""

import os
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import nanobragg as nb


def picture(image: np.ndarray, path: str) -> None:
    """Write an image as a PNG of the same number of pixels; what is no number is white."""
    photons = np.nan_to_num(image.astype(float), nan=0.0, posinf=0.0, neginf=0.0)
    signal = np.sqrt(photons - photons.min())
    plt.imsave(path, signal, cmap="gray_r", vmin=0.0, vmax=float(np.percentile(signal, 99.8)) or 1.0)


def main() -> int:
    """The command; returns its exit status."""
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        if os.path.exists(sys.argv[2]) and os.path.samefile(*sys.argv[1:]):
            raise nb.BadInput(f"{sys.argv[2]}: is the image itself: name another file")
        picture(nb.read_image(sys.argv[1]), sys.argv[2])
    except (nb.BadInput, OSError, ValueError) as error:
        print(f"picture.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
