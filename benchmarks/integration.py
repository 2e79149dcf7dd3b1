"""A rotation of 1A8O with background and response, integrated by DIALS, against Darwin's formula.

python benchmarks/integration.py [FOLDER]    needs dials and python3-dials; some six minutes on two cores
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import h5py
import numpy as np

from nanobragg.cli.batch.command import main as nb_batch
from nanobragg.cli.batch.scenes import Scenes
from nanobragg.engine.batch.store.folder import open_job

PDB = pathlib.Path(__file__).parent.parent / "examples" / "1a8o.pdb"
JOB = """
images = 80
images_per_shard = 40
output = "out"
compression = "gzip"
truth = ["refl"]
[factors]
structure = "1a8o.pdb"
[crystal]
N = [18, 18, 9]
shape = "gauss"
mosaic_deg = 0.1
mosaic_domains = 8
mosaic_seed = 5
misset_deg = [10, 25, 40]
[detector]
shape = [900, 900]
pixel_mm = 0.172
distance_mm = 130
[beam]
fluence = 3e28
beamsize_mm = 0.001
polarization = 0.98
[scan]
range_deg = 0.15
steps = 6
[sampling]
oversample = 2
[[background]]
kind = "amorphous"
material = "water"
thickness_um = 2e-5
[response]
point_spread = "gaussian"
spread_um = 100
calibration_percent = 1
[[axis]]
field = "scan.start_deg"
start = 0
step = 0.15
"""
READ = """
import json, sys, numpy as np
from dials.array_family import flex
ours, theirs = (flex.reflection_table.from_file(name) for name in sys.argv[1:])
theirs = theirs.select(theirs.get_flags(theirs.flags.integrated_sum))
said = {name: np.array(ours[name]).tolist() for name in ("miller_index", "xyzcal.px", "d", "s1")}
said |= {"px": np.array(theirs["xyzcal.px"]).tolist(), "sum": list(theirs["intensity.sum.value"]),
         "whole": (np.array(theirs["partiality"]) > 0.99).tolist()}
json.dump(said, open("read.json", "w"))
"""
R_E_SQR = 7.94079248018965e-30
GAUSS = (np.pi * 0.63 / 2.0) ** 1.5  # the integral of such spots over h, k and l, times the counts of cells
PROGRAMS = (
    "dials.import out/master.h5", "dials.find_spots imported.expt nproc=2", "dials.index imported.expt strong.refl",
    "dials.refine indexed.expt indexed.refl", "dials.integrate refined.expt refined.refl profile.fitting=False nproc=2",
)  # fmt: skip


def made(folder):
    """The images, and what DIALS makes of them."""
    (folder / "job.toml").write_text(JOB)
    shutil.copy(PDB, folder)
    if nb_batch(["run", str(folder / "job.toml"), "--no-sheet"]):
        sys.exit("the job has failed")
    for line in PROGRAMS:
        subprocess.run(line.split(), cwd=folder, check=True, stdout=subprocess.DEVNULL)
    words = ["/usr/bin/python3", "-c", READ, "out/master.refl", "integrated.refl"]
    subprocess.run(words, cwd=folder, check=True)
    return {name: np.array(values) for name, values in json.loads((folder / "read.json").read_text()).items()}


def nearest(read):
    """Which of our reflections each of DIALS' is, and whether it is one."""
    from scipy.spatial import cKDTree

    distance, which = cKDTree(read["xyzcal.px"]).query(read["px"])
    return which, (distance < 0.6) & read["whole"]


def theory(folder, read):
    """Photons of full rotations: Darwin's formula with the factors of Lorentz and Kahn; F is what was simulated."""
    scene = Scenes(open_job(str(folder / "out")))(0)
    F = {}
    for shard in sorted((folder / "out").glob("shard-*.h5")):
        with h5py.File(shard) as file:
            spots = file["entry/ground_truth/spots"]
            F |= dict(zip(map(tuple, spots["hkl"][()].tolist()), spots["F"][()].tolist(), strict=True))
    F = np.array([F[tuple(h)] for h in read["miller_index"].tolist()])
    s1 = read["s1"] / np.linalg.norm(read["s1"], axis=1)[:, None]
    beam, axis, across = np.array([0.0, 0.0, -1.0]), np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])  # DIALS'
    lorentz = 1.0 / np.abs(np.cross(beam, s1) @ axis)
    cosine, psi = s1 @ beam, np.arctan2(s1 @ across, s1 @ axis)
    kahn = 0.5 * (1.0 + cosine**2 - scene.beam.kahn * np.cos(2.0 * psi) * (1.0 - cosine**2))
    volume = scene.crystal.volume * 1e-30
    per_radian = scene.beam.fluence / scene.scan.osc
    scale = per_radian * R_E_SQR * scene.beam.mean_wavelength**3 * np.prod(scene.crystal.n_cells) / volume * GAUSS
    return scale * lorentz * kahn * F**2, F, lorentz * kahn


def compare(folder):
    read = made(folder)
    wanted, F, factor = theory(folder, read)
    which, found = nearest(read)
    frame = read["xyzcal.px"][which, 2]
    found &= (frame > 6) & (frame < 74) & (factor[which] < 10.0)
    for least in (1e3, 1e4):
        some = found & (wanted[which] > least)
        i, sums = which[some], read["sum"][some]
        ratio, x = sums / wanted[i], 1.0 / read["d"][i] ** 2
        A = np.column_stack([np.ones(len(x)), x])
        fit = np.linalg.lstsq(A, ratio, rcond=None)[0]
        error = np.sqrt(((ratio - A @ fit) ** 2).sum() / (len(x) - 2) * np.linalg.inv(A.T @ A)[1, 1])
        correlation = np.corrcoef(sums / factor[i], F[i] ** 2)[0, 1]
        print(f"{some.sum()} reflections of {least:g} photons or more: scale {ratio.mean():.4f}, "
              f"correlation with |F|^2 {correlation:.5f}, slope in 1/d^2 {fit[1]:+.4f} +- {error:.4f}")  # fmt: skip


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        place = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else temporary)
        place.mkdir(exist_ok=True)
        compare(place.resolve())
