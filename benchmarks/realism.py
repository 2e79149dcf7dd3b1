"""What background, response and truth cost beside the Bragg part of an image: pairs in one run, as ratios.

python benchmarks/realism.py [--backend fast] [--threads 2]
"""

import argparse
import dataclasses
import itertools
import pathlib
import time
from unittest import mock

import numpy as np

import nanobragg as nb
from nanobragg.engine.exposure import expose
from nanobragg.engine.model.experiment import Experiment
from nanobragg.engine.plan import plan_of
from nanobragg.engine.render import counts_of, render
from nanobragg.engine.surroundings.around import surroundings_of
from nanobragg.engine.surroundings.photons import background_of
from nanobragg.engine.truth.labels import labels_of, pixels_of
from nanobragg.kernels.response import host
from nanobragg.kernels.response.plan import counting

STRUCTURE = str(pathlib.Path(__file__).parent.parent / "examples" / "1a8o.pdb")
RUNS, LARGEST_DIRECT = 9, 35
FACTORS = nb.structure_factors_from(STRUCTURE, d_min_A=1.2)
CCD = nb.Response(point_spread="fiber", spread_um=80, calibration_percent=3, readout=3, offset=40)


def experiment(**fields):
    crystal = nb.Crystal(cell=nb.cell_of(STRUCTURE), N=(20, 20, 20), misset_deg=(10, 20, 30))
    detector = nb.Detector(shape=(2527, 2463), pixel_mm=0.172, distance_mm=250)
    beam = nb.Beam(wavelength_A=1.0, fluence=1e27, beamsize_mm=0.005)
    factors = FACTORS
    scan, sampling = nb.Scan(range_deg=0.1, steps=10), nb.Sampling(oversample=1)
    return Experiment(crystal, detector, factors, beam, scan, sampling, **fields)


def shot_of(number, **fields):
    e = experiment(**fields)
    spectrum = nb.SaseSpectrum(bandwidth_eV=20)
    return dataclasses.replace(e, beam=dataclasses.replace(e.beam, spectrum=spectrum, shot=number))


def fastest(works):
    """Milliseconds of each, the least of some runs in turn, after one that makes what is kept."""
    found = [[] for _ in works]
    for number in range(RUNS + 1):
        for work, seconds in zip(works, found, strict=True):
            begun = time.perf_counter()
            work()
            if number:
                seconds.append(1e3 * (time.perf_counter() - begun))
    return [min(seconds) for seconds in found]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", default="fast")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    bare = nb.scene(experiment())
    slab, gas = nb.Amorphous(material="water", thickness_um=2e-8), nb.Gas(material="air", pressure=2e-7)
    full = nb.scene(experiment(backgrounds=(slab, gas), beamstop=nb.Beamstop(), response=CCD))
    counter = dataclasses.replace(full, response=None)
    plan, how = plan_of(bare), {"threads": options.threads}
    rendered = expose(full, plan, options.backend, **how)
    lit = dataclasses.replace(full, shade=bare.shade)
    faint, shaded = render(plan, options.backend, **how), render(plan, options.backend, **how)
    print(f"{rendered.panels.mean():.2f} photons a pixel, up to {rendered.panels.max():.0f}")
    labels = labels_of(full, rendered.panels, options.threads)

    def surrounded_by(scene, image):
        around = surroundings_of(scene, options.threads)
        image.surround(around, options.threads)
        background_of(scene, image, options.threads)

    shots = itertools.cycle(nb.scene(shot_of(n, backgrounds=(slab, gas))) for n in range(RUNS + 1))
    kernel = np.full((LARGEST_DIRECT, LARGEST_DIRECT), 1.0, np.float32) / LARGEST_DIRECT**2
    spread = counting(1, 0.0, 2**31 - 1)._replace(kernel=kernel)

    def spread_by(fft):
        with mock.patch.object(host, "quicker_by_fft", lambda n, shape: fft):
            host.counts_of(plan, spread, rendered.panels, options.threads)

    works = {
        "background, in a batch": lambda: surrounded_by(lit, faint),
        "background and shades, in a batch": lambda: surrounded_by(full, shaded),
        "background of water and air, of another shot of a spectrum": lambda: surrounded_by(next(shots), faint),
        "counts, of a counter": lambda: counts_of(counter, rendered, philox=True, **how, dtype=np.int32),
        "counts, of a CCD": lambda: counts_of(full, rendered, philox=True, **how, dtype=np.int32),
        f"counts, of a kernel of {LARGEST_DIRECT} pixels, by a sum": lambda: spread_by(False),
        "  and by Fourier transforms": lambda: spread_by(True),
        "truth of spots": lambda: labels_of(full, rendered.panels, options.threads),
        "truth of pixels": lambda: pixels_of(full, labels, rendered.panels, 1e6, options.threads),
    }
    for name, work in works.items():
        bragg, spent = fastest([lambda: render(plan, options.backend, **how), work])
        print(f"  {name}: {spent:.1f} ms, {spent / bragg:.3f} of the Bragg part ({bragg:.0f} ms)")


if __name__ == "__main__":
    main()
