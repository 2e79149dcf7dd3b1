"""The truth beside images: against Darwin's formula, DIALS, the geometry of files, and images of parts."""

import dataclasses
import json
import math
import os
import subprocess

import h5py
import hdf5plugin  # noqa: F401 (its filters are found by being imported)
import numpy as np
import pytest

import nanobragg as nb
from nanobragg.cli.batch.command import main
from nanobragg.engine.model.experiment import Experiment
from nanobragg.engine.truth.labels import SpotTruth, labels_of, most_photons, pixels_of
from nanobragg.kernels.image.boxes import BAD, BRAGG, GAP, SATURATED
from nanobragg.kernels.image.claims import halves
from tests import tolerances
from tests.test_dials import PYTHON
from tests.test_dials import dials as dials  # a fixture

R_E_SQR = 7.94079248018965e-30
CELL = (40, 45, 50, 80, 95, 100)
CRYSTAL = nb.Crystal(
    cell=CELL, N=(14, 14, 14), shape="gauss", misset_deg=(10, 20, 30), mosaic_deg=0.15, mosaic_domains=6
)
DETECTOR = nb.Detector(shape=(420, 440), pixel_mm=0.2, distance_mm=150)
BEAM = nb.Beam(wavelength_A=1.0, fluence=1e28, polarization=0.8)
SCAN = nb.Scan(start_deg=1.0, range_deg=5.0, steps=120)
GAUSS = (math.pi * 0.63 / 2.0) ** 1.5  # the integral of such spots over h, k and l, times the counts of cells


def experiment(**fields):
    known = {"crystal": CRYSTAL, "detector": DETECTOR, "factors": nb.constant(40.0), "beam": BEAM, "scan": SCAN,
             "sampling": nb.Sampling(oversample=2)}  # fmt: skip
    return Experiment(**(known | fields))


def labelled(e):
    scene, rendered = nb.scene(e), nb.render_experiment(e, backend="fast")
    return scene, rendered.panels, labels_of(scene, rendered.panels, 2)


def darwin(scene, spots, F):
    """Photons of a full rotation: Darwin's formula with the factors of Lorentz and Kahn."""
    recip, axis = np.array(scene.crystal.recip), np.array(scene.scan.spindle)
    wavelength, beam = scene.beam.mean_wavelength, np.array(scene.beam.direction)
    phi = np.radians(spots.phi_deg)[:, None]
    q = spots.hkl @ recip
    along = np.outer(q @ axis, axis)
    q = along + (q - along) * np.cos(phi) + np.cross(axis, q) * np.sin(phi)
    d = q * wavelength * 1e10 + beam
    d /= np.linalg.norm(d, axis=1)[:, None]
    lorentz = 1.0 / np.abs(np.cross(beam, d) @ axis)
    polar, across = np.array(scene.beam.polar), np.cross(scene.beam.polar, beam)
    cosine, psi = d @ beam, np.arctan2(d @ across, d @ polar)
    kahn = 0.5 * (1.0 + cosine**2 - scene.beam.kahn * np.cos(2.0 * psi) * (1.0 - cosine**2))
    cells, volume = np.prod(scene.crystal.n_cells), scene.crystal.volume * 1e-30
    per_radian = scene.beam.fluence / scene.scan.osc
    return per_radian * R_E_SQR * wavelength**3 * cells / volume * lorentz * kahn * F**2 * GAUSS, 1.0 / lorentz


def test_full_rotations_are_darwins():
    """Of a mosaic crystal with water around, whose photons are not counted."""
    scene, _, labels = labelled(experiment(backgrounds=(nb.Water(edge_um=0.02),)))
    spots = labels.spots
    wanted, zeta = darwin(scene, spots, 40.0)
    room = np.minimum(spots.box[:, 1] - spots.box[:, 0], spots.box[:, 3] - spots.box[:, 2])
    full = (spots.partiality > 0.99) & (zeta > 0.15) & (room == room.max())
    ratio = spots.photons[full] / wanted[full] / spots.partiality[full]
    assert full.sum() > 40 and abs(ratio.mean() - 1.0) < tolerances.DARWIN
    assert np.abs(ratio - 1.0).max() < 5 * tolerances.DARWIN
    off = np.hypot(spots.mean_slow - spots.slow, spots.mean_fast - spots.fast)[full]
    assert np.median(off) < 0.1 and off.max() < 0.5


def test_partiality_is_the_recorded_share():
    """A rotation in five slices: what each has of a spot's photons, against what is predicted of it."""
    whole = labelled(experiment())[2].spots
    photons = {
        tuple(h): p for h, p, x in zip(whole.hkl.tolist(), whole.photons, whole.partiality, strict=True) if x > 0.999
    }
    shares, predicted = [], []
    for n in range(5):
        part = labelled(experiment(scan=nb.Scan(1.0 + n, 1.0, 24)))[2].spots
        for h, p, x in zip(part.hkl.tolist(), part.photons, part.partiality, strict=True):
            if tuple(h) in photons:
                shares.append(p / 5.0 / photons[tuple(h)])  # each slice has all of the beam's photons
                predicted.append(x)
    shares, predicted = np.array(shares), np.array(predicted)
    assert len(shares) > 80 and np.median(np.abs(shares - predicted)) < 0.03
    assert np.abs(shares - predicted).mean() < 0.05


def test_pixels_say_what_they_show():
    """Nearest indices by the geometry of a pixel; the crystal's share by an image without background."""
    mask = np.ones(DETECTOR.shape, np.uint8)
    mask[100:110] = 0
    detector = dataclasses.replace(DETECTOR, saturation=3000.0)
    still = nb.Scan(start_deg=3.0, range_deg=0.1, steps=4)
    slab = nb.Amorphous(material="water", thickness_um=0.05)
    beam = dataclasses.replace(BEAM, beamsize_mm=0.001)
    response = nb.Response(dead_pixels=0.002, hot_pixels=0.002)
    e = experiment(scan=still, beam=beam, backgrounds=(slab,), mask=mask, detector=detector, response=response)
    scene, panels, labels = labelled(e)
    pixels = pixels_of(scene, labels, panels, most_photons(scene, "int32"), 2)
    crystal = nb.render_experiment(dataclasses.replace(e, backgrounds=())).panels
    bright = panels > 1.0
    assert np.abs(pixels.bragg_share[bright] - crystal[bright] / panels[bright]).max() < 2e-3
    assert (pixels.classes[:, 100:110] == GAP).all() and (pixels.classes[:, :100] != GAP).all()
    assert np.array_equal(pixels.classes[0] == SATURATED, (panels[0] > 3000) & (pixels.classes[0] != BAD) & (mask > 0))
    assert 0.001 < (pixels.classes == BAD).mean() < 0.01
    shown = pixels.classes == BRAGG
    assert 50 < shown.sum() < 20000 and (pixels.bragg_share[shown] > 0.01).all()
    at = _turned(scene)
    agree = (pixels.hkl[0] == at).all(axis=-1)[shown[0]]
    assert agree.mean() > 0.95


def test_halves_are_those_of_numpy():
    values = np.concatenate([np.random.default_rng(1).uniform(0.0, 1.0, 20000), 2.0 ** -np.arange(14.0), [0.0]])
    values = np.concatenate([values, 0.5 + (np.arange(2048) + 0.5) / 4096.0]).astype(np.float32)  # middles too
    values[values < 2.0**-14] = 0.0
    assert np.array_equal(halves(values), values.astype(np.float16)) and halves(np.float32([1e-5])) == 0.0


def _turned(scene):
    """Nearest indices of pixels, the crystal as it stands in the middle of the rotation."""
    from nanobragg.engine.placed import of_scene

    placed = of_scene(scene)
    slow, fast = np.meshgrid(*(np.arange(n) + 0.5 for n in scene.detector.shape), indexing="ij")
    return np.rint(placed.hkl(slow, fast))


def test_several_crystals_are_labelled_by_their_number():
    e = experiment(
        crystal=dataclasses.replace(CRYSTAL, lattices=3, lattice_seed=4), scan=nb.Scan(range_deg=0.5, steps=12)
    )
    _, panels, labels = labelled(e)
    alone = [dataclasses.replace(e, crystal=c) for c in e.crystal.in_all_lattices]
    images = [nb.render_experiment(one, backend="fast").panels for one in alone]
    assert np.allclose(sum(images), panels, rtol=1e-6)
    for number, (one, image) in enumerate(zip(alone, images, strict=True)):
        own = labels_of(nb.scene(one), image, 1).spots
        found = labels.spots.hkl[labels.spots.crystal == number]
        assert np.array_equal(found, own.hkl) and len(found) > 20


def test_where_sensors_absorb_is_where_spots_are():
    sensor = dataclasses.replace(
        DETECTOR, shape=(240, 260), distance_mm=60, thickness_um=600, attenuation_um=300, layers=4
    )
    spots = labelled(experiment(detector=sensor, scan=nb.Scan(1.0, 3.0, 40)))[2].spots
    full = (spots.partiality > 0.99) & (spots.photons > np.median(spots.photons))
    off = np.column_stack([spots.mean_slow - spots.slow, spots.mean_fast - spots.fast])[full]
    front = np.column_stack([spots.mean_slow - spots.slow_mm / 0.2, spots.mean_fast - spots.fast_mm / 0.2])[full]
    outwards = np.column_stack([spots.slow, spots.fast])[full] - np.array(sensor.shape) / 2
    outwards /= np.linalg.norm(outwards, axis=1)[:, None]
    assert abs(np.median((off * outwards).sum(1))) < 0.03 < 0.2 < np.median((front * outwards).sum(1))


JOB = """
images = {images}
images_per_shard = 5
output = "out"
compression = "gzip"
truth = ["spots", "pixels", "refl", "stream", "boxes"]
[factors]
default_F = 60
[crystal]
cell = [40, 45, 50, 80, 95, 100]
N = [12, 12, 12]
shape = "gauss"
mosaic_deg = 0.1
mosaic_domains = 4
misset_deg = [10, 20, 30]
lattices = {lattices}
[detector]
shape = [200, 220]
pixel_mm = 0.2
distance_mm = 90
[beam]
wavelength_A = 1.0
fluence = 1e28
beamsize_mm = 0.001
[scan]
range_deg = 0.5
steps = 10
[sampling]
oversample = 1
[[background]]
kind = "amorphous"
material = "water"
thickness_um = 1e-4
"""
TURNS = '[[axis]]\nfield = "scan.start_deg"\nstart = {start}\nstep = {step}\n'


def run(folder, text):
    (folder / "job.toml").write_text(text)
    assert main(["run", str(folder / "job.toml")]) == 0
    return folder / "out"


PREDICT = """
import sys, json, numpy as np
from dials.array_family import flex
from dxtbx.model.experiment_list import ExperimentList
experiments = ExperimentList.from_file(sys.argv[1] + "/master.expt", check_format=False)
ours = flex.reflection_table.from_file(sys.argv[1] + "/master.refl")
ours.assert_experiment_identifiers_are_consistent(experiments)
said = {"rows": len(ours), "columns": sorted(ours.keys()), "experiments": len(experiments)}
if experiments[0].scan is not None and experiments[0].scan.get_oscillation()[1]:
    theirs = flex.reflection_table.from_predictions_multi(experiments, dmin=1.0)
    def by_index(table):
        rows = zip(np.array(table["id"]), np.array(table["miller_index"]).tolist(), np.array(table["entering"]))
        return {(int(n), *h, bool(e)): i for i, (n, h, e) in enumerate(rows)}
    a, b = by_index(ours), by_index(theirs)
    both = [key for key in a if key in b]
    off = lambda name: (np.array(ours[name])[[a[k] for k in both]] - np.array(theirs[name])[[b[k] for k in both]])
    said |= {"theirs": len(b), "both": len(both), "px": np.abs(off("xyzcal.px")).max(0).tolist(),
             "mm": np.abs(off("xyzcal.mm")).max(0).tolist(), "s1": float(np.abs(off("s1")).max())}
    r = np.array(ours["rlp"]); A = np.array(experiments[0].crystal.get_A()).reshape(3, 3)
    own = np.array(ours["id"]) == 0
    said["rlp"] = float(np.abs(r - np.array(ours["miller_index"]) @ A.T)[own].max())
else:
    worst = 0.0
    for n, e in enumerate(experiments):
        some = ours.select(ours["id"] == n)
        A = np.array(e.crystal.get_A()).reshape(3, 3)
        worst = max(worst, float(np.abs(np.array(some["rlp"]) - np.array(some["miller_index"]) @ A.T).max()))
        for s1, panel, mm in zip(some["s1"], some["panel"], some["xyzcal.mm"]):
            x, y = e.detector[panel].get_ray_intersection(s1)
            worst = max(worst, abs(x - mm[0]), abs(y - mm[1]))
    said["worst"] = worst
print(json.dumps(said))
"""


def by_dials(out):
    found = subprocess.run([PYTHON, "-c", PREDICT, str(out)], capture_output=True, text=True, timeout=300)
    assert not found.returncode, found.stderr
    return json.loads(found.stdout.splitlines()[-1])


@pytest.mark.parametrize("step", [0.5, -0.5])
@pytest.mark.parametrize(
    "sensor", ["", 'thickness_um = 450\nmaterial = "Si"\nlayers = 3\n'], ids=["no sensor", "sensor"]
)
def test_dials_predicts_the_same_reflections(step, sensor, dials, tmp_path):
    """Of a scan, rising and falling, with two crystals: the same reflections, at the same pixels, images and angles."""
    text = JOB.format(images=12, lattices=2).replace("distance_mm = 90\n", f"distance_mm = 90\n{sensor}")
    out = run(tmp_path, text + TURNS.format(start=3.0 if step > 0 else 9.0, step=step))
    said = by_dials(out)
    assert said["experiments"] == 2 and said["both"] > 0.97 * said["theirs"] > 200
    assert max(said["px"]) < tolerances.DIALS_PREDICTIONS and max(said["mm"][:2]) < 0.01 and said["mm"][2] < 1e-4
    assert said["s1"] < 1e-4 and said["rlp"] < 1e-6


def test_dials_reads_the_truth_of_stills(dials, tmp_path):
    text = JOB.format(images=7, lattices=2).replace("range_deg = 0.5\nsteps = 10\n", "start_deg = 20\n")
    out = run(tmp_path, text + '[[axis]]\norientation = "random"\n')
    said = by_dials(out)
    assert said["experiments"] == 14 and said["rows"] > 200 and said["worst"] < 1e-6
    assert "xyzobs.px.variance" in said["columns"]


def test_boxes_maps_and_spots_belong_together(tmp_path):
    """In files, over shards: boxes are those of spots that can be seen, in the pixels of the master's frames."""
    out = run(tmp_path, JOB.format(images=7, lattices=1) + '[[axis]]\norientation = "random"\n')
    boxes = json.loads((out / "boxes.json").read_text())
    assert [image["frame"] for image in boxes["images"]] == list(range(7)) and len(boxes["annotations"]) > 30
    with h5py.File(out / "master.h5") as file:
        counts, classes = file["entry/data/data"][()], file["entry/ground_truth/pixels/classes"][()]
        hkl = file["entry/ground_truth/pixels/hkl"][()]
        photons, background = (file[f"entry/ground_truth/{name}"][()] for name in ("photons", "background"))
        spots = file["entry/ground_truth/spots/shard-000001"]
        assert set(spots) == {*SpotTruth._fields, "image"} and set(spots["image"][()]) == {5, 6}
    assert counts.shape == classes.shape == hkl.shape[:3] == (7, 200, 220) and (photons > background).all()
    shares, taken = [], np.zeros(counts.shape, bool)
    for one in boxes["annotations"]:
        left, top, width, height = one["bbox"]
        part = (one["image_id"], slice(top, top + height), slice(left, left + width))
        taken[part] = True
        middle = hkl[one["image_id"], top + height // 2, left + width // 2]
        shares.append((middle == one["hkl"]).all())
        assert counts[part].sum() > 0.5 * one["photons"] and one["area"] == width * height
    assert np.mean(shares) > 0.95
    seen = classes == BRAGG
    assert seen[taken].sum() > 0.8 * seen.sum() > 100


def test_a_stream_says_what_the_images_show(tmp_path):
    """Its places and indices give the scattering vectors that its a*, b* and c* do, by CrystFEL's own geometry."""
    out = run(tmp_path, JOB.format(images=3, lattices=2) + '[[axis]]\norientation = "random"\n')
    text = (out / "master.stream").read_text()
    assert text.startswith("CrystFEL stream format 2.3\n") and (out / "master.geom").read_text() in text
    chunks = text.split("----- Begin chunk -----\n")[1:]
    assert len(chunks) == 3 and all(chunk.count("--- Begin crystal") == 2 for chunk in chunks)
    numbers = dict(line.split(" = ") for line in (out / "master.geom").read_text().splitlines() if " = " in line)
    corner = np.array([float(numbers["p0/corner_x"]), float(numbers["p0/corner_y"])])
    axes = [[float(word[:-1]) for word in numbers[f"p0/{name}"].split()[:2]] for name in ("fs", "ss")]
    clen, res = float(numbers["clen"].split()[0]), float(numbers["res"])
    for n, chunk in enumerate(chunks):
        assert f"Event: //{n}\n" in chunk and "Image filename: master.h5" in chunk
        for crystal in chunk.split("--- Begin crystal")[1:]:
            stars = np.array(
                [[float(x) for x in line.split()[2:5]] for line in crystal.splitlines() if "star = " in line]
            )
            rows = crystal.split("fs/px  ss/px panel\n")[1].split("End of reflections")[0].splitlines()
            table = np.array([[float(x) for x in row.split()[:-1]] for row in rows])
            strong = table[:, 3] > np.quantile(table[:, 3], 0.8)
            place = np.column_stack([corner + table[:, 7:9] @ axes, np.full(len(table), clen * res)]) / res
            q = (place / np.linalg.norm(place, axis=1)[:, None] - [0, 0, 1]) * 10.0
            off = np.linalg.norm(q - table[:, :3] @ stars, axis=1)[strong]
            assert np.median(off) < 0.05 and len(table) > 20, "nm^-1, of spots as wide as that"


def test_what_truth_cannot_be(tmp_path, capsys):
    text = JOB.format(images=2, lattices=1)
    for wrong, says in (
        (text.replace('"boxes"]', '"masks"]'), "must be a list of spots, pixels, refl, stream, boxes"),
        ('format = "smv"\n' + text, "format = 'nxmx' alone"),
    ):
        (tmp_path / "job.toml").write_text(wrong)
        assert main(["run", str(tmp_path / "job.toml")]) != 0
        assert says in capsys.readouterr().err


def test_a_shard_goes_on_with_its_truth(tmp_path, monkeypatch):
    """Stopped after two images and run again: the same spots and maps as in one go."""
    from nanobragg.engine.batch.run import work

    text = JOB.format(images=5, lattices=1) + '[[axis]]\norientation = "random"\n'
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = run(tmp_path / "a", text)
    frame, asked = work.ShardRenderer.frame, []

    def stopping(self, number):
        asked.append(number)
        if len(asked) == 3:
            raise work.DeviceLost("gone")
        return frame(self, number)

    monkeypatch.setattr(work.ShardRenderer, "frame", stopping)
    (tmp_path / "b" / "job.toml").write_text(text)
    main(["run", str(tmp_path / "b" / "job.toml")])
    monkeypatch.setattr(work.ShardRenderer, "frame", frame)
    again = run(tmp_path / "b", text)
    with h5py.File(whole / "shard-000000.h5") as one, h5py.File(again / "shard-000000.h5") as other:
        for group in ("spots", "pixels"):
            for name, data in one[f"entry/ground_truth/{group}"].items():
                assert np.array_equal(data[()], other[f"entry/ground_truth/{group}/{name}"][()]), name
    assert (whole / "boxes.json").read_text() == (again / "boxes.json").read_text()
    assert os.path.getsize(again / "master.refl") == os.path.getsize(whole / "master.refl")
