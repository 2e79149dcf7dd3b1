"""What panels, tables of amplitudes and wavelengths of a sensor cost: pairs of renders in one run, as ratios.

python benchmarks/panels.py [--backend fast] [--threads 2]
"""

import argparse
import dataclasses
import pathlib
import re
import subprocess
import sys
import time

import numpy as np

import nanobragg as nb
from nanobragg.engine.plan import plan_of
from nanobragg.engine.render import render

STRUCTURE = str(pathlib.Path(__file__).parent.parent / "examples" / "1a8o.pdb")
RUNS, CHANNELS, EDGE_MM = 9, 100, 0.15
CRYSTAL = nb.Crystal(
    cell=nb.cell_of(STRUCTURE), N=(20, 20, 20), misset_deg=(10, 20, 30), mosaic_deg=0.3, mosaic_domains=10
)


def cut(detector, rows, columns):
    slow, fast = detector.shape[0] // rows, detector.shape[1] // columns
    panels = tuple(
        nb.Panel((slow, fast), origin_mm=(c * fast * EDGE_MM, r * slow * EDGE_MM, 0))
        for r in range(rows)
        for c in range(columns)
    )
    return dataclasses.replace(detector, panels=panels)


def fastest(plans, options):
    """Seconds of each, the least of some runs in turn; each is rendered once before it is timed, for its tables."""
    found = [[] for _ in plans]
    for _ in range(RUNS):
        for plan, seconds in zip(plans, found, strict=True):
            render(plan, options.backend, threads=options.threads)
            begun = time.perf_counter()
            render(plan, options.backend, threads=options.threads)
            seconds.append(time.perf_counter() - begun)
    return [min(seconds) for seconds in found]


def of_panels(options, factors):
    whole = nb.Detector(shape=(2048, 1024), pixel_mm=EDGE_MM, distance_mm=150)
    detectors = [whole, cut(whole, 8, 4), cut(whole, 16, 8)]
    plans = [plan_of(nb.set_up(CRYSTAL, d, factors, oversample=1)) for d in detectors]
    one, *many = fastest(plans, options)
    print(f"2048 x 1024 pixels, 10 domains, one panel: {one * 1e3:.1f} ms")
    for count, seconds in zip((32, 128), many, strict=True):
        print(f"  {count} panels: {seconds / one:.3f} times")


def beam_of():
    energies = 9500.0 - CHANNELS / 2 + np.arange(CHANNELS)
    return nb.Beam(spectrum=nb.Spectrum(energies_eV=energies, weights=np.exp(-(((energies - 9500.0) / 20.0) ** 2))))


def with_tables(plan, factors):
    stack = np.stack([factors.table * (1.0 + 0.001 * k) for k in range(CHANNELS)])
    stack.setflags(write=False)
    return plan.changed(table=stack, table_number=np.arange(CHANNELS))


def of_tables(options, factors):
    detector = nb.Detector(shape=(512, 512), pixel_mm=0.3, distance_mm=150)
    sensor = dataclasses.replace(detector, thickness_um=320, material="Si")
    for domains in (1, 10):
        crystal = dataclasses.replace(CRYSTAL, mosaic_domains=domains, mosaic_deg=0.3 if domains > 1 else 0.0)
        plan = plan_of(nb.set_up(crystal, detector, factors, beam_of(), oversample=1))
        absorbed = plan_of(nb.set_up(crystal, sensor, factors, beam_of(), oversample=1))
        flat = absorbed.changed(chromatic=False)
        one, tables, grey, own = fastest([plan, with_tables(plan, factors), flat, absorbed], options)
        steps = plan.evaluations * plan.n_rendered
        print(
            f"512 x 512 pixels, {CHANNELS} channels, {domains} domains: {one / steps * 1e9:.2f} ns a step (all threads)"
        )
        print(f"  {CHANNELS} tables of {factors.table.nbytes / 1e6:.2f} MB instead of one: {tables / one:.3f} times")
        print(f"  a sensor with an absorption for each channel instead of one: {own / grey:.3f} times")


def memory_of(tables):
    """Peak memory (MB) of a process of its own that renders with one table or with all."""
    code = f"import benchmarks.panels as p; p.peak({tables})"
    root = pathlib.Path(__file__).parent.parent
    return float(
        subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True).stdout
    )


def peak(tables):
    factors = nb.structure_factors_from(STRUCTURE, wavelength_A=1.3, d_min_A=1.4)
    detector = nb.Detector(shape=(512, 512), pixel_mm=0.3, distance_mm=150)
    plan = plan_of(nb.set_up(CRYSTAL, detector, factors, beam_of(), oversample=1))
    render(with_tables(plan, factors) if tables else plan, "fast", threads=2)
    status = pathlib.Path("/proc/self/status").read_text()
    print(int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) / 1e3)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", default="fast")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    factors = nb.structure_factors_from(STRUCTURE, wavelength_A=1.3, d_min_A=1.4)
    of_panels(options, factors)
    of_tables(options, factors)
    one, all_tables = memory_of(0), memory_of(1)
    own = 2 * CHANNELS * factors.table.nbytes / 1e6
    print(f"peak memory: one table {one:.0f} MB, {CHANNELS} tables {all_tables:.0f} MB, {own:.0f} of them tables:")
    print(f"  beside these {(all_tables - own) / one:.3f} times")


if __name__ == "__main__":
    main()
