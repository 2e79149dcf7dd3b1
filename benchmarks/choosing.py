"""The figures of docs/choosing.md: what cell counts, mosaic domains, sub-pixels and fluence do to an image of 1A8O.

python benchmarks/choosing.py
"""

import pathlib
import time

import numpy as np

import nanobragg as nb

PDB = pathlib.Path(__file__).resolve().parent.parent / "examples" / "1a8o.pdb"
DETECTOR = nb.Detector((1062, 1028), pixel_mm=0.075, distance_mm=100)
BEAM = nb.Beam(energy_eV=12400, fluence=1e28)
FACTORS = nb.structure_factors_from(PDB, wavelength_A=BEAM.wavelength_A, d_min_A=2.0)
CELL = nb.cell_of(PDB)


def crystal(n, domains=1):
    mosaic = {"mosaic_deg": 0.4, "mosaic_domains": domains} if domains > 1 else {}
    return nb.Crystal(cell=CELL, N=(n, n, n), misset_deg=(12, 34, 56), **mosaic)


def rendered(block, oversample=1, steps=1, width=0.0):
    begun = time.perf_counter()
    image = nb.simulate(block, DETECTOR, FACTORS, BEAM, nb.Scan(0, width, steps), oversample=oversample).astype(float)
    return image, time.perf_counter() - begun


def spots(block, width=0.0):
    """Boxes about the stronger predicted spots."""
    found = nb.predict_spots(
        nb.set_up(block, DETECTOR, FACTORS, BEAM, nb.Scan(0, width, 2 if width else 1), oversample=1), 0.3
    )
    strong = np.argsort(-found.F * found.partiality)[:60]
    return [
        (int(found.slow[n]), int(found.fast[n]))
        for n in strong
        if 9 < found.slow[n] < 1050 and 9 < found.fast[n] < 1015
    ]


def integrated(image, places, reach=7):
    return np.array([image[s - reach : s + reach + 1, f - reach : f + reach + 1].sum() for s, f in places])


def table(title, head, rows):
    print(f"\n{title}\n\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(str(x) for x in row)} |")


def main():
    rendered(crystal(5))
    rows = []
    for n in (5, 10, 20, 40):
        image, spent = rendered(crystal(n), oversample=4)
        places = spots(crystal(n))
        edge = CELL[2] * n / 10.0
        rows.append(
            (n, f"{edge:.0f} nm", f"{image.max():.3g}", f"{np.median(integrated(image, places)):.3g}", f"{spent:.1f} s")
        )
    table("cells", ("`-N`", "along c", "brightest pixel", "photons in a spot (median)", "time"), rows)
    for n in (10, 20, 40):
        places, rows = spots(crystal(n)), []
        true, _ = rendered(crystal(n), oversample=16)
        for oversample in (1, 2, 4, 8):
            image, spent = rendered(crystal(n), oversample=oversample)
            off = integrated(image, places) / integrated(true, places) - 1.0
            rows.append((oversample, f"{np.abs(off).mean():.1%}", f"{np.abs(off).max():.0%}", f"{spent:.2f} s"))
        table(f"sub-pixels, N = {n}", ("`-oversample`", "spots are off by (mean)", "at most", "time"), rows)
    rows, places = [], spots(crystal(20, 400), 0.5)
    true, _ = rendered(crystal(20, 400), steps=20, width=0.5)
    for domains in (1, 5, 25, 100):
        image, spent = rendered(crystal(20, domains), steps=20, width=0.5)
        off = integrated(image, places) / integrated(true, places) - 1.0
        rows.append((domains, f"{np.abs(off).mean():.0%}", f"{spent:.1f} s"))
    table(
        "domains, 0.4 degrees, half a degree of rotation", ("`-mosaic_domains`", "spots differ by (mean)", "time"), rows
    )
    rows, places = [], spots(crystal(20, 25), 0.5)
    true, _ = rendered(crystal(20, 25), steps=200, width=0.5)
    for steps in (1, 5, 20, 50):
        image, spent = rendered(crystal(20, 25), steps=steps, width=0.5)
        off = integrated(image, places) / integrated(true, places) - 1.0
        rows.append((steps, f"{np.abs(off).mean():.0%}", f"{spent:.1f} s"))
    table("phi steps, the same with 25 domains", ("`-phisteps`", "spots differ by (mean)", "time"), rows)


if __name__ == "__main__":
    main()
