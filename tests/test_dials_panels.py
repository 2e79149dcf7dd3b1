"""Real DIALS on detectors of many panels and on spectra; DIALS' own experiments in, and out unchanged in meaning."""

import json
import os

import numpy as np
import pytest

import nanobragg as nb
from nanobragg.cli.batch.command import main as batch
from nanobragg.cli.nanobragg.command import main as nanobragg
from nanobragg.engine.detectors.catalogue import MODELS
from nanobragg.engine.formats.expt import to_dials
from tests import tolerances
from tests.support import ROOT, working_in
from tests.test_dials import CLEAN, dials, program, reads  # noqa: F401 (dials is a fixture)
from tests.test_geometry_files import scene_of

pytestmark = pytest.mark.usefixtures("dials")
STRUCTURE = ROOT / "examples" / "1a8o.pdb"


def pixels(scene):
    """Points of all panels in DIALS' laboratory, millimetres: (panel, point, 3)."""
    d, lab = scene.detector, to_dials(scene)
    fast, slow = d.n_fast, d.n_slow
    places = [(0, 0), (fast, 0), (0, slow), (fast, slow), (fast // 3, slow // 2)]
    return np.array([
        [lab @ (np.array(p.pix0) + d.pixel_size * (f * np.array(p.fdet) + s * np.array(p.sdet))) * 1e3 for f, s in places]
        for p in d.panels
    ])  # fmt: skip


def empty(folder, name, scene):
    from nanobragg.engine.formats.beside import write_beside

    nb.write(folder / f"{name}.h5", np.zeros(scene.detector.shape, np.int32), scene)
    write_beside(str(folder / f"{name}.h5"), scene, "int32")


PRESETS = [name for name in MODELS if "bin" not in name]


def test_every_detector_by_name_is_where_we_put_it(tmp_path):
    """By NXmx as by .expt, tilted and swung; the highest count, sensor and sizes of panels too."""
    scenes, names = {}, []
    for number, name in enumerate(PRESETS):
        detector = nb.Detector(model=name, distance_mm=120 + number, tilt_deg=(2, -3, 4), twotheta_deg=5)
        scenes[number] = scene_of(detector)
        empty(tmp_path, str(number), scenes[number])
        names += [tmp_path / f"{number}.h5", tmp_path / f"{number}.expt"]
    seen = reads("panels", *names)
    assert len(seen) == 2 * len(PRESETS)
    for number, name in enumerate(PRESETS):
        model, scene = MODELS[name], scenes[number]
        for one in seen[2 * number : 2 * number + 2]:
            assert np.abs(np.array(one["corners"]) - pixels(scene)).max() < tolerances.DIALS_MM, name
            assert len(one["corners"]) == model.number_of_panels and one["trusted"][1] == model.saturation
            assert one["pixel"] == pytest.approx(model.pixel_mm) and one["wavelength"] == pytest.approx(1.1)
            if model.sensor != "phosphor":
                assert one["thickness"] == pytest.approx(model.thickness_mm) and one["material"] == model.sensor


TURNED = nb.Group(
    (nb.Group((nb.Panel((30, 40)), nb.Panel((30, 40), origin_mm=(21, 0.2, 1))), (0, 1, 0), (-1, 0, 0), (50, 2, 3)),
     nb.Panel((30, 40), (0.6, 0.8, 0), (-0.8, 0.6, 0), (-3, -2, -1)), nb.Panel((30, 40), (1, 0, 0), (0, 0.6, 0.8), (0, 9, 0))),
    (0.8, 0, 0.6), (0, 1, 0), (4, 5, 6),
)  # fmt: skip


@pytest.mark.parametrize("convention", ["MOSFLM", "XDS", "DIALS", "ADXV", "DENZO"])
def test_a_tilted_detector_of_four_panels(convention, tmp_path):
    """Groups in groups, pixel by pixel."""
    detector = nb.Detector(shape=(60, 80), pixel_mm=0.5, distance_mm=90, convention=convention, panels=(TURNED,),
                           tilt_deg=(3, -4, 5), twotheta_deg=6)  # fmt: skip
    scene = scene_of(detector)
    empty(tmp_path, "a", scene)
    for one in reads("panels", tmp_path / "a.h5", tmp_path / "a.expt"):
        assert np.abs(np.array(one["corners"]) - pixels(scene)).max() < tolerances.DIALS_MM
        assert one["beam"] == pytest.approx([0, 0, -1], abs=1e-12)


def test_panels_of_different_sizes(tmp_path):
    """Rows and pixels that a panel lacks, and masked rectangles, are none to DIALS either; the counts are each panel's."""
    panels = (nb.Panel((30, 40), masked=((0, 0, 40, 2), (5, 6, 8, 9))), nb.Panel((20, 40), origin_mm=(0, 16, 0)),
              nb.Panel((30, 25), origin_mm=(21, 0, 1)))  # fmt: skip
    scene = scene_of(nb.Detector(shape=(60, 80), pixel_mm=0.5, distance_mm=90, panels=panels))
    image = np.arange(3 * 30 * 40, dtype=np.int32).reshape(3, 30, 40)
    nb.write(tmp_path / "a.h5", image, scene)
    from nanobragg.engine.formats.beside import write_beside

    write_beside(str(tmp_path / "a.h5"), scene, "int32")
    kept = scene.detector.mask.reshape(3, 30, 40)
    for one in reads("masks", tmp_path / "a.h5", tmp_path / "a.expt"):
        assert one["kept"] == kept.sum(axis=(1, 2)).tolist()
        assert one["sums"] == (image.astype(float) * kept).sum(axis=(1, 2)).tolist()


def same_meaning(one, other):
    """The same experiment in the same laboratory."""
    for key in ("corners", "beam"):
        assert np.abs(np.array(one[key]) - np.array(other[key])).max() < tolerances.DIALS_MM, key
    across = [np.cross(e["beam"], e["normal"]) for e in (one, other)]  # of the normal, what is across the beam counts
    assert np.abs(np.subtract(*(v / np.linalg.norm(v) for v in across))).max() < 1e-9
    assert one["wavelength"] == pytest.approx(other["wavelength"], rel=1e-9)
    assert one["fraction"] == pytest.approx(other["fraction"]) and one["sizes"] == other["sizes"]
    assert one["thickness"] == pytest.approx(other["thickness"]) and one["material"] == other["material"]
    assert one["mu"] == pytest.approx(other["mu"], rel=1e-6) and one["trusted"][1] == other["trusted"][1]
    assert ("axis" in one) == ("axis" in other)
    if "axis" in one:
        assert np.abs(np.array(one["axis"]) - other["axis"]).max() < 1e-9
        assert one["oscillation"] == pytest.approx(other["oscillation"])
    if "A" in one:
        assert np.abs(np.array(one["A"]) - other["A"]).max() < 1e-9


def through(folder, name, *more):
    """What DIALS reads of a file, and of what the command writes that was given the file's geometry."""
    line = [
        "--geometry",
        name,
        "--structure",
        str(STRUCTURE),
        *"-N 5 -oversample 1 -fluence 1e26 -seed 1 --fix all".split(),
    ]
    with working_in(folder):
        assert nanobragg([*line, "--only-output", "--output", "out.h5", *more]) == 0
    return reads("panels", folder / name)[0], reads("panels", folder / "out.expt")[0]


def test_dials_own_experiment_goes_in_and_out(tmp_path):
    """Groups in groups, three axes, a beam that is not along z, a mask: what dxtbx has made itself."""
    reads("write", tmp_path / "dxtbx.expt")
    one, other = through(tmp_path, "dxtbx.expt", "-phisteps", "1")
    same_meaning(one, other)
    assert one["masked"][2] == [[1, 2, 5, 6]]
    shown = nb.read_image(tmp_path / "out.h5:0").reshape(4, 40, 60)
    assert (shown[2, 2:6, 1:5] == -1).all() and (shown == -1).sum() == 16


@pytest.mark.parametrize("form", ["h5", "cbf", "img"])
def test_what_dials_imports_goes_in_and_out(form, tmp_path):
    """Images in the formats of three makers, imported by dials.import; its imported.expt is what is simulated."""
    line = f"--structure {STRUCTURE} -N 5 -oversample 1 -fluence 1e26 -seed 1 -polar 0.998 --fix all --only-output"
    what = "-detpixels_x 100 -detpixels_y 120 -pixel 0.3 -distance 90 -energy 11000 -phi 2 -osc 0.5 -phisteps 1"
    detector = {"h5": "--detector Jungfrau1M -distance 80 -energy 11000 -phi 2 -osc 0.5 -phisteps 1 "
                      "-detector_rotx 3 -twotheta 4"}  # fmt: skip
    name = f"image_0001.{form}"
    with working_in(tmp_path):
        assert nanobragg([*line.split(), *detector.get(form, what).split(), "--output", name]) == 0
    program(tmp_path, "dials.import", tmp_path / name)
    same_meaning(*through(tmp_path, "imported.expt", "-phisteps", "1"))


STILLS = int(os.environ.get("NANOBRAGG_STILLS", "4"))  # 20 take five minutes
SERIAL = f"""
images = {STILLS}
seed = 7
output = "out"
compression = "gzip"
detector = "Jungfrau 4M"

[factors]
structure = "{STRUCTURE}"
tables = 3

[crystal]
N = [14, 14, 14]
shape = "gauss"

[beam]
energy_eV = 9500
fluence = 3e27
polarization = 0.98
pulse_jitter_percent = 15

[beam.spectrum]
kind = "sase"
channels = 12
bandwidth_eV = 8

[sampling]
oversample = 1

[[axis]]
orientation = "random"
"""


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    folder = tmp_path_factory.mktemp("serial")
    (folder / "job.toml").write_text(SERIAL)
    assert batch(["run", str(folder / "job.toml")]) == 0
    return folder


def test_a_serial_job_is_read_with_its_spectra(serial):
    """Each shot's wavelengths and weights, and the mean of them; shots differ."""
    from nanobragg.cli.batch.scenes import Scenes
    from nanobragg.engine.batch.store.folder import open_job

    seen = reads("spectra", serial / "out" / "master.h5")
    scenes = Scenes(open_job(str(serial / "out")))
    assert len(seen) == STILLS == len({tuple(one["weights"]) for one in seen})
    for number, one in enumerate(seen):
        beam = scenes(number).beam
        order = np.argsort(beam.wavelengths)
        energies = 12398.41984 / (beam.wavelengths[order] * 1e10)
        assert one["energies"] == pytest.approx(energies.tolist(), rel=1e-6)
        assert one["weights"] == pytest.approx((beam.weights[order] / beam.weights.sum()).tolist(), rel=1e-9)
        assert one["wavelength"] == pytest.approx(beam.mean_wavelength * 1e10, rel=1e-9)
    assert len({scenes(number).beam.fluence for number in range(STILLS)}) == STILLS


def test_spots_of_a_serial_job_are_where_its_crystals_put_them(serial):
    seen = reads("spots", serial / "out" / "master.expt")
    assert len(seen) == STILLS and all(one["found"] > 60 for one in seen)
    assert sum(one["matched"] for one in seen) > 0.9 * sum(one["found"] for one in seen)
    medians = np.array([one["median"] for one in seen])
    assert np.abs(np.median(medians[:, :2], axis=0)).max() < tolerances.SERIAL_SPOTS


def turn_between(found, true):
    """Degrees between two crystals, of all that the lattice has in common with itself."""
    basis = np.rint(found @ np.linalg.inv(true))
    if abs(abs(np.linalg.det(basis)) - 1.0) > 0.1:
        return 180.0
    turned = np.linalg.inv(true) @ np.linalg.inv(basis) @ found
    u, _, v = np.linalg.svd(turned)
    return float(np.degrees(np.arccos(np.clip((np.trace(u @ v) - 1.0) / 2.0, -1.0, 1.0))))


def test_a_serial_job_is_indexed_on_its_true_orientations(serial):
    """Import, find spots, index, as a user would: nothing but the master and the cell is given."""
    for name in ("xfel_mono_sim_ext.py",):  # which Debian's stills indexer imports and does not have
        (serial / name).write_text("")
    environment = CLEAN | {"PYTHONPATH": str(serial)}
    cell = ",".join(f"{x:.4f}" for x in nb.cell_of(STRUCTURE))

    def run(*words):
        import subprocess

        found = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=900, env=environment,
                               cwd=serial)  # fmt: skip
        assert found.returncode == 0, found.stdout[-3000:] + found.stderr[-3000:]

    run("dials.import", "out/master.h5")
    run("dials.find_spots", "imported.expt", f"nproc={os.cpu_count()}")
    run("dials.index", "imported.expt", "strong.refl", "stills.indexer=stills", "indexing.method=fft1d",
        "indexing.joint_indexing=False",
        f"known_symmetry.unit_cell={cell}", "known_symmetry.space_group=P1", f"indexing.nproc={os.cpu_count()}")  # fmt: skip
    true = [np.array(one["real"]) for one in reads("crystals", serial / "out" / "master.expt")]
    text = json.loads((serial / "indexed.expt").read_text())
    found = [np.array(one["real"]) for one in reads("crystals", serial / "indexed.expt")]
    images = [text["imageset"][e["imageset"]]["single_file_indices"][0] for e in text["experiment"]]
    angles = [turn_between(real, true[image]) for real, image in zip(found, images, strict=True)]
    assert len(set(images)) >= 0.75 * STILLS and np.median(angles) < tolerances.SERIAL_ORIENTATION, (images, angles)
