"""Turn an SMV image that nanoBragg wrote into a PNG that can be looked at.

    python examples/picture.py noiseimage.img picture.png

Dark is bright, on a square-root scale; needs matplotlib (``pip install "nanobragg[pictures]"``).
"""

import pathlib
import re
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np


def read_counts(path: str) -> np.ndarray:
    """Pixels of an SMV image, (slow, fast); they begin after the header's form feed where it is longer than it says."""
    data = pathlib.Path(path).read_bytes()
    header_bytes, fast, slow = (
        int(re.search(rb"%s=\s*(\d+)" % key, data).group(1)) for key in (b"HEADER_BYTES", b"SIZE1", b"SIZE2")
    )
    start = max(header_bytes, data.index(b"}\f") + 2)
    return np.frombuffer(data[start : start + 2 * fast * slow], "<u2").reshape(slow, fast)


def picture(counts: np.ndarray, path: str) -> None:
    """Write counts as a PNG of the same number of pixels."""
    signal = np.sqrt(counts - float(counts.min()))
    plt.imsave(path, signal, cmap="gray_r", vmin=0.0, vmax=float(np.percentile(signal, 99.8)))


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    picture(read_counts(sys.argv[1]), sys.argv[2])
    return 0


if __name__ == "__main__":
    sys.exit(main())
