"""Real DIALS on what batches write: pixels in space, spots from the true crystals, indexing; stills, sweeps, headers."""

import json
import os
import shutil
import subprocess

import numpy as np
import pytest

from nanobragg.cli.batch.command import main
from nanobragg.cli.batch.scenes import Scenes
from nanobragg.engine.batch.store.folder import open_job
from tests import tolerances
from tests.batch_support import RANDOM, write_job
from tests.support import HERE, REQUIRED
from tests.test_batch_output import PLACED

PYTHON = "/usr/bin/python3"  # the one that DIALS belongs to
IS_THERE = shutil.which("dials.import") is not None and os.path.exists(PYTHON)
CLEAN = {
    k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "HDF5_PLUGIN_PATH")
}
pytestmark = pytest.mark.usefixtures("dials")
CRYSTAL = (
    "-cell 42 47 89 90 90 90 -misset 11 32 53 -default_F 100 -lambda 1 -N 14 -gauss_xtal -nointerpolate -oversample 2 "
)
BEAM = "-polar 0.998 -fluence 2e26 -beamsize 0.01 -water 0.1 "
SENSOR = "-detector_thick 1000 -detector_abs 237.64 -detector_thicksteps 5 "
SWEEP = '[[axis]]\nflag = "-phi"\nstart = 0\nstep = 0.5\n'
DETECTOR = "-distance 100 -pixel 0.25 -detpixels 320 "
CUSTOM = PLACED["custom"].replace("-Xbeam 14 -Ybeam 13", "-Xbeam 40 -Ybeam 41")
SWEPT = {
    "mosflm": "-mosflm -Xbeam 39 -Ybeam 42",
    "denzo": "-denzo -Xbeam 39 -Ybeam 42",
    "adxv": "-adxv -Xbeam 39 -Ybeam 42",
    "xds": "-xds -ORGX 150 -ORGY 170",
    "dials": "-dials -ORGX 150 -ORGY 170",
    "mosflm tilted": "-mosflm -detector_rotx 4 -detector_roty -7 -detector_rotz 11",
    "xds swung": "-xds -ORGX 150 -ORGY 170 -twotheta 15",
    "custom": CUSTOM,
    "custom tilted": CUSTOM + "-detector_rotx 5 -detector_roty -6 -detector_rotz 9 -twotheta 3",
}


@pytest.fixture(scope="module")
def dials():
    if not IS_THERE:
        if "dials" in REQUIRED:
            pytest.fail("DIALS is required (NANOBRAGG_REQUIRE=dials): apt-get install dials python3-dials")
        pytest.skip("DIALS is not installed: apt-get install dials python3-dials")


def reads(form, *names, folder=None):
    found = subprocess.run([PYTHON, str(HERE / "dials_reads.py"), form, *map(str, names)], capture_output=True, text=True,
                           timeout=300, env=CLEAN, cwd=folder)  # fmt: skip
    assert found.returncode == 0, found.stderr[-3000:]
    return json.loads(found.stdout[found.stdout.index("[{" if form != "crystal" else "{") :])


def program(folder, *words):
    found = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=300, env=CLEAN, cwd=folder)
    assert found.returncode == 0, found.stdout[-3000:] + found.stderr[-3000:]


def made(folder, arguments, more=SWEEP, **keys):
    job = write_job(folder, arguments, more, **{"backend": "fast", "compression": "gzip"} | keys)
    assert main(["run", str(job), "--no-sheet"]) == 0
    return folder / "out"


def corners(experiment):
    """Points of a detector in DIALS' laboratory, millimetres: beam along -z, and +x what of the spindle is across it."""
    d, beam, spindle = experiment.detector, np.array(experiment.beam.direction), np.array(experiment.scan.spindle)
    x = spindle - (spindle @ beam) * beam
    x, z = x / np.linalg.norm(x), -beam / np.linalg.norm(beam)
    lab = np.array([x, np.cross(z, x), z])
    fast, slow = d.n_fast, d.n_slow
    places = [(0, 0), (fast, 0), (0, slow), (fast, slow), (fast // 3, slow // 2)]
    pix0, fdet, sdet = (np.array(v) for v in (d.panel.pix0, d.panel.fdet, d.panel.sdet))
    points = [pix0 + d.pixel_size * (f * fdet + s * sdet) for f, s in places]
    return np.array([lab @ point * 1e3 for point in points])


@pytest.mark.parametrize("sensor", ["", SENSOR], ids=["no sensor", "sensor"])
@pytest.mark.parametrize("name", PLACED)
def test_pixels_are_where_we_put_them(name, sensor, tmp_path):
    """By the master as by its .expt: every corner, the wavelength, and the thickness that readers want."""
    out = made(tmp_path, CRYSTAL + "-distance 80 -pixel 0.1 -detpixels_x 60 -detpixels_y 50 " + sensor + PLACED[name],
               RANDOM, images=2, images_per_shard=1)  # fmt: skip
    experiment = Scenes(open_job(str(out)))(0)
    for file in ("master.h5", "master.expt"):
        for seen in reads("geometry", out / file):
            assert np.abs(np.array(seen["corners"]) - corners(experiment)).max() < tolerances.DIALS_MM
            assert seen["beam"] == pytest.approx([0, 0, -1], abs=1e-12) and seen["wavelength"] == 1.0
            if file == "master.h5":
                assert seen["thickness"] == (1.0 if sensor else 1e-3)


def agrees(seen):
    """What was found is where the true crystal says."""
    assert seen["found"] > 100 and seen["matched"] > 0.95 * seen["found"]
    assert np.abs(seen["median"]).max() < tolerances.DIALS_SPOTS, seen


@pytest.mark.parametrize("name", SWEPT)
def test_true_crystals_predict_the_spots_of_sweeps(name, tmp_path):
    """Unrefined, for all conventions."""
    words = CRYSTAL + BEAM + SENSOR + DETECTOR + SWEPT[name] + " -osc 0.5 -phisteps 8 --fix all"
    (seen,) = reads("spots", made(tmp_path, words, images=10) / "master.expt")
    agrees(seen)


@pytest.mark.parametrize("begin, step", [(20, -0.5), (-3, 0.5)])
def test_sweeps_up_and_down_at_the_start_of_their_steps(begin, step, tmp_path):
    """Without --fix sampling: what is rendered is a little off in phi, and said so; downwards is upwards about the other axis."""
    words = CRYSTAL + BEAM + DETECTOR + "-osc 0.5 -phisteps 4 --fix background,spot-shape"
    more = SWEEP.replace("start = 0", f"start = {begin}").replace("step = 0.5", f"step = {step}")
    (seen,) = reads("spots", made(tmp_path, words, more, images=10, images_per_shard=4) / "master.expt")
    agrees(seen)


@pytest.mark.parametrize("form", ["nxmx", "smv", "cbf"])
def test_true_crystals_predict_the_spots_of_stills(form, tmp_path):
    """Six random crystals are six experiments, none of them turning, also to the readers of their headers."""
    words = CRYSTAL.replace("-N 14", "-N 8") + BEAM + DETECTOR + "-phi 40"
    out = made(tmp_path, words, RANDOM, images=6, images_per_shard=4, format=form)
    seen = reads("spots", out / ("master.expt" if form == "nxmx" else "images.expt"))
    assert len(seen) == 6
    assert sum(one["matched"] for one in seen) > 0.95 * sum(one["found"] for one in seen) > 100
    medians = [one["median"] for one in seen if one["matched"] > 20]
    assert len(medians) == 6 and np.abs(np.median(medians, axis=0)).max() < tolerances.DIALS_SPOTS
    if form == "nxmx":
        assert not any("oscillation" in one for one in reads("geometry", out / "master.h5"))


def test_the_depth_of_a_sensor_does_not_depend_on_its_layers(tmp_path):
    """Two layers are enough, and without the fix they are not (Q101).

    What is left is DIALS' own: in a sensor that lets photons through it takes too small a mean depth.
    """
    outwards = []
    for layers, fixes in ((2, "all"), (6, "all"), (20, "all"), (2, "background,spot-shape,sampling")):
        folder = tmp_path / f"{layers} {fixes}"
        folder.mkdir()
        detector = "-distance 50 -pixel 0.125 -detpixels 320 -detector_thick 320 -detector_abs 237.64 "
        words = CRYSTAL + BEAM + detector + f"-detector_thicksteps {layers} -osc 0.5 -phisteps 4 --fix {fixes}"
        (seen,) = reads("spots", made(folder, words, images=6) / "master.expt")
        outwards.append(seen["outwards"])
    assert np.ptp(outwards[:3]) < 0.4 * tolerances.DIALS_SPOTS < 3 * tolerances.DIALS_SPOTS < np.ptp(outwards), outwards


STANDING = {
    "mosflm": "-Xbeam 13.2 -Ybeam 16.4",
    "denzo": "-denzo -Xbeam 13.2 -Ybeam 16.4",
    "xds": "-xds -ORGX 50 -ORGY 61",
}


@pytest.mark.parametrize("sensor", ["", SENSOR], ids=["no sensor", "sensor"])
@pytest.mark.parametrize("name", STANDING)
@pytest.mark.parametrize("form", ["smv", "cbf"])
def test_headers_of_image_files(form, name, sensor, tmp_path):
    """A series is one sweep; pixels in space, wavelength and counts are ours, by headers as by the description."""
    words = CRYSTAL + BEAM + sensor + "-distance 90 -pixel 0.25 -detpixels_x 120 -detpixels_y 100 -osc 0.5 -phisteps 2 "
    out = made(tmp_path, words + STANDING[name], images=4, format=form)
    (seen,) = reads("geometry", *sorted(out.glob("image_*")))
    (described,) = reads("geometry", out / "images.expt")
    wanted = corners(Scenes(open_job(str(out)))(0))
    for one in (seen, described):
        assert one["images"] == 4 and one["array_range"] == [0, 4]
        assert one["oscillation"] == pytest.approx([-0.125, 0.5], abs=1e-6)
        assert one["wavelength"] == 1.0 and one["sum"] == one["sum_without_offset"] == seen["sum"]
        off = np.abs(np.array(one["corners"]) - wanted).max()
        assert off < (tolerances.DIALS_MM if one is described else tolerances.HEADER_DIGITS_MM), (
            one["corners"],
            wanted,
        )
    assert described["fraction"] == pytest.approx(0.999) and described["normal"] == pytest.approx([0, 1, 0])


@pytest.mark.parametrize("form", ["smv", "cbf"])
def test_headers_of_crystals_that_turn_are_no_sweep(form, tmp_path):
    """Random crystals, each at an angle of its own and turning."""
    out = made(tmp_path, CRYSTAL + DETECTOR + "-osc 0.5", SWEEP + RANDOM, images=4, format=form)
    seen = reads("geometry", *sorted(out.glob("image_*")))
    assert len(seen) == 4 and not any(one["oscillation"][1] for one in seen)  # a still is a scan without width to these
    assert len(reads("geometry", out / "images.expt")) == 4


def test_a_sweep_with_a_gap(tmp_path):
    out = made(
        tmp_path, CRYSTAL + DETECTOR + "-osc 0.5 -phisteps 2 --fix sampling", images=6, images_per_shard=2, format="cbf"
    )
    (out / "shard-000001.json").unlink()
    (out / "image_000003.cbf").unlink()
    assert main(["master", str(out)]) == 0
    seen = reads("geometry", out / "images.expt")
    assert [one["array_range"] for one in seen] == [[0, 2], [4, 6]]
    assert [one["oscillation"] for one in seen] == [[0.0, 0.5], [2.0, 0.5]]


def test_unpolarized_beams_and_offsets_stand_in_the_description(tmp_path):
    out = made(tmp_path, CRYSTAL + DETECTOR + "-polar -0.2 -adc 40 -fluence 1e26 -osc 0.5", images=2)
    (seen,) = reads("geometry", out / "master.expt")
    assert seen["fraction"] == pytest.approx(0.4)
    assert seen["sum_without_offset"] == pytest.approx(seen["sum"] - 2 * 40 * 320 * 320)


def test_a_small_rotation_is_indexed(tmp_path):
    """As a user would: import, find spots, index; nothing but the master is given."""
    words = CRYSTAL + BEAM + SENSOR + DETECTOR + "-osc 0.5 -phisteps 8 --fix all"
    out = made(tmp_path, words, images=40, images_per_shard=20)
    program(tmp_path, "dials.import", out / "master.h5")
    program(tmp_path, "dials.find_spots", "imported.expt", "nproc=1")
    program(tmp_path, "dials.index", "imported.expt", "strong.refl")
    seen, true = (
        reads("crystal", tmp_path / "indexed.expt", tmp_path / "indexed.refl"),
        reads("crystal", out / "master.expt"),
    )
    assert seen["strong"] > 1000 and seen["indexed"] >= 0.98 * seen["strong"]
    cell, wanted = sorted(seen["cell"][:3]), sorted(true["cell"][:3])
    assert cell == pytest.approx(wanted, rel=tolerances.DIALS_CELL)
    assert np.abs(np.array(seen["cell"][3:]) - 90.0).max() < tolerances.DIALS_CELL_ANGLE
    basis = np.rint(np.array(seen["real"]) @ np.linalg.inv(true["real"]))
    turned = np.linalg.inv(true["real"]) @ np.linalg.inv(basis) @ np.array(seen["real"])
    u, _, v = np.linalg.svd(turned)
    angle = np.degrees(np.arccos(min((np.trace(u @ v) - 1.0) / 2.0, 1.0)))
    assert angle < tolerances.DIALS_ORIENTATION


@pytest.mark.parametrize("name", ["mosflm", "xds swung", "custom tilted"])
def test_one_image_of_the_command(name, tmp_path):
    """``--output``: pixels in space, counts, wavelength, and gaps that DIALS does not trust."""
    from nanobragg.cli.nanobragg.command import main as nanobragg
    from nanobragg.cli.tools.plans import set_up_of_line, silent
    from tests.support import working_in

    line = f"-cell 50 60 70 90 90 90 -default_F 50 -lambda 1.1 -N 5 -oversample 1 -fluence 1e29 -seed 3 -distance 120 {SWEPT[name]} "
    line += "-detpixels 320 -pixel 0.25"
    with working_in(tmp_path):
        assert nanobragg([*line.split(), "--output", "a.h5", "--output", "a.npy", "--only-output"]) == 0
    (seen,) = reads("geometry", tmp_path / "a.h5")
    assert np.abs(np.array(seen["corners"]) - corners(set_up_of_line(line.split(), silent))).max() < tolerances.DIALS_MM
    assert seen["wavelength"] == 1.1 and seen["sum"] == np.load(tmp_path / "a.npy").sum() and seen["images"] == 1


def test_an_image_on_a_detector_by_name(tmp_path):
    from nanobragg.cli.nanobragg.command import main as nanobragg
    from tests.support import ROOT, working_in

    line = ["--structure", str(ROOT / "examples" / "1a8o.pdb"), "--detector", "Eiger2 1M",
            *"-distance 100 -energy 12400 -N 10 -oversample 1 -fluence 1e28 -seed 1 --output a.h5 --output a_0001.cbf --only-output".split()]  # fmt: skip
    with working_in(tmp_path):
        assert nanobragg(line) == 0
    by_nexus, by_cbf = (reads("geometry", tmp_path / name)[0] for name in ("a.h5", "a_0001.cbf"))
    assert by_nexus["thickness"] == by_cbf["thickness"] == 0.45
    assert np.abs(np.array(by_nexus["corners"]) - by_cbf["corners"]).max() < 1e-3
    assert by_nexus["trusted"][1] == by_cbf["trusted"][1] == 65534
