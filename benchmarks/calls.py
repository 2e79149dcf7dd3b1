"""Many calls of `nanobragg.simulate` on small images: milliseconds each, by backend.

python benchmarks/calls.py
"""

import statistics
import time

import numpy as np

import nanobragg as nb


def main():
    hkl = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in (25, 25, 50)], indexing="ij"), axis=-1).reshape(-1, 3)
    factors = nb.structure_factors(hkl, np.random.default_rng(1).exponential(100.0, len(hkl)))
    crystal = nb.Crystal(cell=(42, 42, 89, 90, 90, 90), N=(10, 10, 10))
    for pixels in (64, 512):
        detector = nb.Detector((pixels, pixels), pixel_mm=100 / pixels, distance_mm=150)
        for backend in ("cref", "auto"):
            spent = []
            for _ in range(30):
                begun = time.perf_counter()
                nb.simulate(crystal, detector, factors, backend=backend, oversample=1, interpolate=False)
                spent.append((time.perf_counter() - begun) * 1e3)
            first, later = spent[0], statistics.median(spent[1:])
            print(f"{pixels} x {pixels} pixels, {backend}: {later:.2g} ms a call, {first:.2g} the first")


if __name__ == "__main__":
    main()
