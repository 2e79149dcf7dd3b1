"""Geometry out and in again, spectra of files, and what is wrong in them; other programs read what is written."""

import json
import logging

import h5py
import numpy as np
import pytest

import nanobragg as nb
from nanobragg.cli.nanobragg import messages
from nanobragg.cli.nanobragg.command import main
from nanobragg.engine.formats.geom import geom_of
from nanobragg.engine.spectra import channels_of_file
from tests import tolerances
from tests.support import ROOT, installed_apart, working_in

CRYSTAL = nb.Crystal(cell=(40, 50, 60, 80, 95, 100), N=(3, 3, 3))
ANGSTROM_EV = 12398.41984
TILTED = nb.Detector(
    shape=(60, 80), pixel_mm=0.5, distance_mm=90, tilt_deg=(3, -4, 5), twotheta_deg=6, thickness_um=320, material="Si",
    saturation=9000.0,
    panels=(
        nb.Panel((30, 40), name="a"), nb.Panel((30, 40), (0.6, 0.8, 0), (-0.8, 0.6, 0), (20, 1, 1.5), name="b"),
        nb.Group((nb.Panel((30, 40)), nb.Panel((30, 40), origin_mm=(20.5, 0, 0))), (1, 0, 0), (0, 0.8, 0.6), (0, 16, 0)),
    ),
)  # fmt: skip


def scene_of(detector=TILTED, **parts):
    beam = nb.Beam(1.1, polarization=0.9)
    return nb.scene(
        nb.Experiment(CRYSTAL, detector, nb.constant(10.0), **{"beam": beam, "sampling": nb.Sampling(1)} | parts)
    )


def points(scene):
    """Pixels' corners and directions of all panels in a laboratory with the beam along z, +y where it was."""
    beam = np.array(scene.beam.direction)
    x = np.cross((0.0, 1.0, 0.0), beam)
    lab = np.array([x / np.linalg.norm(x), np.cross(beam, x / np.linalg.norm(x)), beam])
    d = scene.detector
    found = []
    for panel in d.panels:
        for f, s in ((0, 0), (d.n_fast, 0), (0, d.n_slow), (7.5, 11.5)):
            point = np.array(panel.pix0) + d.pixel_size * (f * np.array(panel.fdet) + s * np.array(panel.sdet))
            found.append(lab @ point * 1e3)
    return np.array(found)


def written(folder, name="a.h5", scene=None):
    scene = scene_of() if scene is None else scene
    nb.write(folder / name, np.zeros(scene.detector.shape, np.int32), scene)
    return scene


def rebuilt(found):
    """The scene of what a file says, with the parts that it has."""
    parts = {"beam": found.beam, "scan": found.scan, "mask": found.mask}
    return scene_of(found.detector, **parts)


def test_nxmx_goes_out_and_in(tmp_path):
    """Places, sensor, wavelength and the highest count; gaps of a detector by name as a mask."""
    scene = written(tmp_path)
    found = nb.read_geometry(tmp_path / "a.h5")
    again = rebuilt(found)
    assert np.abs(points(again) - points(scene)).max() < tolerances.DIALS_MM
    assert found.beam.wavelength_A == pytest.approx(1.1) and found.crystal is None
    assert again.detector.mu == pytest.approx(
        scene.detector.mu, rel=1e-9
    ) and again.detector.thickness == pytest.approx(320e-6)
    assert again.detector.saturation == 9000.0
    eiger = written(tmp_path, "b.h5", scene_of(nb.detectors.eiger_1m(distance_mm=100)))
    with_gaps = nb.read_geometry(tmp_path / "b.h5")
    assert (with_gaps.mask.ravel() == eiger.detector.mask).all() and with_gaps.detector.image_shape == (1065, 1030)


@pytest.fixture
def cfelpyutils(tmp_path_factory, monkeypatch):
    """CrystFEL's Python tools, in a folder of their own: they bring a package that is called as our tests are."""
    folder = installed_apart(tmp_path_factory.mktemp("cfelpyutils"), "cfel", "cfelpyutils>=2")
    monkeypatch.syspath_prepend(folder)


def test_geom_is_read_by_other_programs_and_by_us(tmp_path, cfelpyutils):
    """CrystFEL's own parser (cfelpyutils): each panel's corner and axes; then ours."""
    from cfelpyutils import geometry

    scene = scene_of()
    path = tmp_path / "a.geom"
    path.write_text(geom_of(scene))
    panels = list(geometry.load_crystfel_geometry(str(path)).detector["panels"].values())
    theirs = []
    for p in panels:
        clen = float(p["clen_from"].split("m")[0]) if p["clen"] < 0 else p["clen"]
        corner = np.array([p["cnx"], p["cny"], (clen + p["coffset"]) * p["res"]])
        fast, slow = (np.array([p[a + axis] for axis in "xyz"]) for a in ("fs", "ss"))
        assert (p["orig_max_fs"] - p["orig_min_fs"], p["orig_max_ss"] - p["orig_min_ss"]) == (39, 29)
        theirs += [corner + f * fast + s * slow for f, s in ((0, 0), (40, 0), (0, 30), (7.5, 11.5))]
    assert len(panels) == 4
    assert np.abs(np.array(theirs) / panels[0]["res"] * 1e3 - points(scene)).max() < tolerances.GEOM_MM
    found = nb.read_geometry(path)
    assert np.abs(points(rebuilt(found)) - points(scene)).max() < tolerances.DIALS_MM
    assert found.beam.wavelength_A == pytest.approx(1.1, rel=1e-8)


def test_a_geom_as_beam_lines_write_them(tmp_path):
    """Defaults for all panels, units, comments, groups, bad regions in the laboratory and on a panel."""
    path = tmp_path / "x.geom"
    path.write_text("""; a comment
photon_energy = 9.5 keV
clen = 80 mm ; and another
res = 5000
coffset = 0.5
data = /data
rigid_group_q0 = a,b
a/min_fs = 0
a/max_fs = 19
a/min_ss = 0
a/max_ss = 9
a/corner_x = -10
a/corner_y = -20.5
a/fs = x
a/ss = -0.001x + y
a/coffset = 0.0
b/min_fs = 20
b/max_fs = 39
b/min_ss = 0
b/max_ss = 9
b/corner_x = 12
b/corner_y = 3
b/fs = -y
b/ss = +1.0x
bad_beam/min_x = -10
bad_beam/max_x = -7
bad_beam/min_y = -30
bad_beam/max_y = 30
badrow/min_fs = 22
badrow/max_fs = 23
badrow/min_ss = 4
badrow/max_ss = 4
badrow/panel = b
""")
    found = nb.read_geometry(path)
    assert found.beam.wavelength_A == pytest.approx(ANGSTROM_EV / 9500)
    a, b = found.detector.panels_in_frame
    assert a.origin_mm.tolist() == pytest.approx([-2, -4.1, 80]) and b.origin_mm.tolist() == pytest.approx(
        [2.4, 0.6, 580]
    )
    assert found.detector.pixel_mm == pytest.approx(0.2) and b.fast.tolist() == [0, -1, 0]
    wanted = np.ones((2, 10, 20))
    wanted[0, :, :3] = 0
    wanted[1, 4, 2:4] = 0
    assert (found.mask == wanted).all()


def test_simulate_my_experiment_is_one_command(tmp_path):
    """A data set's .expt gives all but amplitudes and size; the image has the same spots; what is written beside goes in."""
    line = f"--structure {ROOT}/examples/1a8o.pdb -N 12 -oversample 1 -fluence 1e28 -seed 1 --fix all --only-output"
    first = "--detector AGIPD1M -distance 120 -energy 9500 -misset 10 20 30 -phi 3 -osc 0.2 -phisteps 2 -polar 0.9"
    with working_in(tmp_path):
        assert main([*line.split(), *first.split(), "--output", "a.h5", "--output-noiseless", "a.npy"]) == 0
        again = [*line.split(), "--geometry", "a.expt", "-phisteps", "2"]
        assert main([*again, "--output", "b.h5", "--output-noiseless", "b.npy"]) == 0
        one, other = np.load("a.npy"), np.load("b.npy")
        assert one.shape == (128 * 64, 128) and np.abs(one - other).max() < tolerances.AGAIN * one.max()
        texts = [json.loads((tmp_path / f"{name}.expt").read_text()) for name in "ab"]
        assert np.allclose(*[[p["origin"] for p in t["detector"][0]["panels"]] for t in texts], atol=1e-6, rtol=0)
        assert main([*line.split(), "--geometry", "a.geom", "-misset", "10", "20", "30", "--output", "c.h5"]) == 0


@pytest.mark.parametrize("what", ["--detector Jungfrau1M -distance 90", "--geometry a.h5", "--geometry a.geom -phi 1"])
def test_with_the_originals_oddities(what, tmp_path, caplog):
    """Without --fix, with a trace of a pixel of a later panel, a picture, and an image that is compared."""
    written(tmp_path)
    (tmp_path / "a.geom").write_text(geom_of(scene_of()))
    line = "-default_F 10 -cell 50 60 70 90 90 90 -N 3 -oversample 1 -fluence 1e28 -water 1 -nonoise".split()
    more = "--output x.h5 --output-noiseless x.png --output-noiseless x.npy --trace 31,3".split()
    with working_in(tmp_path):
        assert main([*line, *what.split(), *more]) == 0, caplog.messages
        image = np.load("x.npy")
        (stacked,) = h5py.File("x.h5")["entry/data/data"]
    assert image.ndim == 2 and image.shape == stacked.shape and image.max() > 1


def test_sizes_and_masks_of_panels_go_out_and_in(tmp_path):
    """Of three panels, two smaller ones, in all three files; real photons only where there are pixels."""
    from nanobragg.engine.formats.beside import write_beside

    panels = (nb.Panel((30, 40), masked=((0, 0, 40, 2), (5, 6, 8, 9))), nb.Panel((20, 40), origin_mm=(0, 16, 0)),
              nb.Panel((30, 25), origin_mm=(21, 0, 1)))  # fmt: skip
    scene = scene_of(nb.Detector(shape=(60, 80), pixel_mm=0.5, distance_mm=90, panels=panels))
    written(tmp_path, "a.h5", scene)
    write_beside(str(tmp_path / "a.h5"), scene, "int32")
    for name in ("a.h5", "a.expt", "a.geom"):
        found = nb.read_geometry(tmp_path / name)
        assert [each.panel.shape for each in found.detector.panels_in_frame] == [(30, 40), (20, 40), (30, 40)], name
        again = rebuilt(found)
        assert (again.detector.mask == scene.detector.mask).all(), name
        assert np.abs(points(again) - points(scene)).max() < tolerances.DIALS_MM


def test_sensors_and_wavelengths_that_flags_change(tmp_path):
    """A sensor's depth and layers with a detector by name; a wavelength instead of a file's spectrum."""
    from nanobragg.cli.tools.plans import set_up_of_line, silent

    base = "-default_F 10 -cell 50 60 70 90 90 90 -N 3 --fix all -detector_thicksteps 4 --detector Jungfrau1M".split()
    told = set_up_of_line([*base, "-detector_abs", "50", "-detector_thick", "100"], silent).scene.detector
    assert (told.layers, told.thickness, told.mu) == (4, pytest.approx(1e-4), pytest.approx(1 / 50e-6))
    spread = set_up_of_line([*base, "-dispersion", "5", "-dispsteps", "3"], silent).scene.detector
    assert len(set(spread.absorption.tolist())) == 3
    scene = scene_of(beam=nb.Beam(spectrum=nb.Spectrum([1.0, 1.1], [1, 3])))
    written(tmp_path, "a.h5", scene)
    line = [
        "-default_F",
        "10",
        "-cell",
        "50",
        "60",
        "70",
        "90",
        "90",
        "90",
        "-N",
        "3",
        "--geometry",
        str(tmp_path / "a.h5"),
    ]
    both, one = (set_up_of_line([*line, *more], silent).scene.beam for more in ([], ["-lambda", "1.3"]))
    assert both.wavelengths.tolist() == pytest.approx([1e-10, 1.1e-10]) and both.weights.tolist() == [0.5, 1.5]
    assert one.wavelengths.tolist() == pytest.approx([1.3e-10])


@pytest.fixture
def heard(caplog):
    """What the command says, whoever has used its logger before."""
    with caplog.at_level(logging.INFO, messages.LOG.name):
        messages.LOG.addHandler(caplog.handler)
        yield caplog
        messages.LOG.removeHandler(caplog.handler)


def test_flags_that_say_what_a_file_says(tmp_path, heard):
    written(tmp_path)
    (tmp_path / "a.geom").write_text(geom_of(scene_of()).replace("photon_energy", "; photon_energy"))
    base = ["-default_F", "10", "-cell", "50", "60", "70", "90", "90", "90", "--output", "x.h5", "--only-output"]
    for more, said in (
        (["--geometry", "a.h5", "-distance", "100"], "-distance: --geometry a.h5 says so already"),
        (["--geometry", "a.geom"], "a.geom: does not say the wavelength: give -lambda or -energy"),
        (["--geometry", "a.h5", "--detector", "Eiger 1M"], "take one"),
        (["--detector", "Jungfrau 1M", "-pixel", "0.1"], "-pixel: --detector says so already"),
        (["--geometry", "a.h5", "--output", "x.cbf"], "no words for several panels"),
        (["--geometry", "no.expt"], "no.expt: No such file"),
        (["--spectrum", "no.txt"], "--spectrum no.txt: No such file, and no model"),
        (["--spectrum", "sase,spike=2"], "did you mean spike"),
        (["--spectrum", "gaussian", "-dispersion", "1", "-dispsteps", "2"], "the spectrum says the wavelengths"),
        (["--tables", "3"], "--tables: belongs to --structure"),
        (["--geometry", "a.h5", "--output", "a.h5"], "is the file that --geometry reads"),
    ):
        heard.clear()
        with working_in(tmp_path):
            assert main([*base, *more]) == 1
        assert said in heard.messages[-1], heard.messages
    with working_in(tmp_path):
        assert main([*base[:-3], "--geometry", "a.h5"]) == 1
    assert "give --output" in heard.messages[-1]


def test_spectra_of_files(tmp_path):
    """Electronvolts or Angstrom, with and without a line that says so; a row for each shot."""
    energies, weights = np.array([9490.0, 9500.0, 9510.0]), np.array([1.0, 3.0, 0.5])
    rows = "\n".join(f"{e} {w}" for e, w in zip(energies, weights, strict=True))
    waves = "\n".join(f"{ANGSTROM_EV / e},{w}" for e, w in zip(energies, weights, strict=True))
    for text in (rows, f"energy (eV) weight\n{rows}", f"# wavelength weight\n{waves}\n", waves):
        (tmp_path / "s.txt").write_text(text)
        found = channels_of_file(str(tmp_path / "s.txt"), 4)
        assert found[0] == pytest.approx(ANGSTROM_EV / energies, rel=1e-7) and found[1].tolist() == weights.tolist()
    path = str(tmp_path / "s.h5")
    with h5py.File(path, "w") as file:
        file["energies_eV"], file["weights"] = energies, np.stack([weights, weights[::-1]])
    assert channels_of_file(path, 3)[1].tolist() == weights[::-1].tolist()
    beam = nb.Beam(spectrum=nb.SpectrumFile(path), shot=1)
    assert beam.channels().weights.tolist() == weights[::-1].tolist()
    assert beam.nominal_A == pytest.approx(ANGSTROM_EV / 9500, rel=1e-5)


WRONG_SPECTRA = {
    "": "no line with two numbers", "1 2 3\n": "line 1: has 3 numbers", "a b\nc d\n": "line 2: 'c d': must be two numbers",
    "9500 -1\n": "second column", "9500 0\n": "second column", "-1 1\n": "first column: must be numbers above 0",
    "9500 nan\n": "second column", "9.5 1\n": "first column: 9.5 to 9.5: must be 0.01 to 5 A",
    "1.3 1\n9500 1\n9600 1": "must be 100 to 1e\\+06 eV",
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG_SPECTRA, ids=WRONG_SPECTRA.values())
def test_spectra_that_are_none(text, tmp_path):
    path = tmp_path / "s.txt"
    path.write_text(text)
    with pytest.raises(nb.BadInput, match=WRONG_SPECTRA[text]) as error:
        channels_of_file(str(path), 0)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("change, said", [
    (lambda f: f.pop("weights"), "weights: is missing"),
    (lambda f: f.pop("energies_eV"), "must have one of energies_eV and wavelengths_A"),
    (lambda f: f.__setitem__("weights", np.ones((2, 4))), r"weights \(2, 4\) and energies_eV \(3,\)"),
    (lambda f: f.__setitem__("energies_eV", np.array(["a", "b", "c"], "S1")), "energies_eV: holds no numbers"),
    (lambda f: f.__setitem__("energies_eV", -np.ones(3)), "energies_eV: must be numbers above 0"),
    (lambda f: f.__setitem__("weights", np.zeros((2, 3))), "weights of row 0"),
])  # fmt: skip
def test_hdf5_spectra_that_are_none(change, said, tmp_path):
    data = {"energies_eV": np.array([1e4, 1.1e4, 1.2e4]), "weights": np.ones((2, 3))}
    change(data)
    with h5py.File(tmp_path / "s.h5", "w") as file:
        for name, values in data.items():
            file[name] = values
    with pytest.raises(nb.BadInput, match=said) as error:
        channels_of_file(str(tmp_path / "s.h5"), 0)
    assert "s.h5" in str(error.value)


def expt_of(scene):
    from nanobragg.engine.formats import expt

    return json.loads(expt.stills([("a.h5", 0, scene)], "int32", "Si"))


def at(tree, *keys):
    for key in keys:
        tree = tree[key]
    return tree


WRONG_EXPT = [
    (lambda t: t.__setitem__("__id__", "x"), "__id__ is not ExperimentList"),
    (lambda t: t.__setitem__("experiment", []), "experiment: must be a list"),
    (lambda t: at(t, "experiment", 0).__setitem__("detector", 7), "detector 7: there is no such detector"),
    (lambda t: at(t, "experiment", 0).pop("beam"), "has no beam"),
    (lambda t: at(t, "beam").__setitem__(0, "beam.json"), "must be a table, not the name of another file"),
    (lambda t: at(t, "beam", 0).pop("wavelength"), "beam: wavelength: is missing"),
    (lambda t: at(t, "beam", 0).__setitem__("wavelength", -1), "beam: wavelength: must be a number above 0"),
    (lambda t: at(t, "beam", 0).__setitem__("direction", [0, 0, 0]), "beam: direction: has no length"),
    (lambda t: at(t, "beam", 0).__setitem__("polarization_fraction", 3), "polarization_fraction: must be from 0 to 1"),
    (lambda t: at(t, "beam", 0).__setitem__("polarization_normal", [0, 0, 1]), "is along the beam"),
    (lambda t: at(t, "detector", 0).__setitem__("panels", []), "panels: must be a list"),
    (lambda t: at(t, "detector", 0, "panels", 2).__setitem__("pixel_size", [0.1, 0.2]), "pixel_size: pixels of 0.1 and"),
    (lambda t: at(t, "detector", 0, "panels", 1).__setitem__("slow_axis", [0, 1]), "panel 1: slow_axis: must be three"),
    (lambda t: at(t, "detector", 0, "panels", 1).__setitem__("fast_axis", at(t, "detector", 0, "panels", 1)["slow_axis"]),
     "panel 1: fast_axis and slow_axis: must be at right angles"),
    (lambda t: at(t, "detector", 0, "panels", 1).__setitem__("image_size", [0, 3]), "panel 1: image_size"),
    (lambda t: at(t, "detector", 0, "panels", 1).__setitem__("mu", 9.0), "must be those of all panels"),
    (lambda t: at(t, "detector", 0, "hierarchy", "children").pop(), "hierarchy: does not have each of the 4 panels once"),
    (lambda t: at(t, "detector", 0, "hierarchy", "children").append({"panel": 9}), "panel 9: there is no such panel"),
    (lambda t: at(t, "detector", 0).__setitem__("hierarchy", "x"), "hierarchy: must be a table"),
    (lambda t: at(t, "detector", 0, "hierarchy").__setitem__("children", None), "children: must be a list"),
    (lambda t: at(t, "detector", 0, "panels", 1).__setitem__("mask", 5), "panel 1: mask: must be a list of rectangles"),
    (lambda t: at(t, "detector", 0, "panels", 1).__setitem__("mask", [["a"]]), "masked: a rectangle"),
    (lambda t: [p.__setitem__("material", ["Si"]) for p in at(t, "detector", 0, "panels")] and None, None),
    (lambda t: at(t, "detector", 0, "panels", 1).__setitem__("origin", [10**400, 0, 0]), "panel 1: origin: must be three"),
    (lambda t: at(t, "beam", 0).__setitem__("wavelength", 1e300), "is no wavelength of X-rays"),
    (lambda t: at(t, "crystal", 0).pop("real_space_b"), "crystal: real_space_b: is missing"),
    (lambda t: at(t, "crystal", 0).__setitem__("real_space_b", [0, 0, 0]), "make no cell"),
]  # fmt: skip


@pytest.mark.parametrize("change, said", WRONG_EXPT, ids=[said for _, said in WRONG_EXPT])
def test_experiments_that_are_none(change, said, tmp_path):
    tree = expt_of(scene_of())
    change(tree)
    path = tmp_path / "x.expt"
    path.write_text(json.dumps(tree))
    if said is None:  # it is taken for what has no word
        assert nb.read_geometry(path).detector.material is None
        return
    with pytest.raises(nb.BadInput, match=said.replace("(", r"\(")) as error:
        _ = nb.read_geometry(path).detector
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


WRONG_NXMX = [
    (lambda f: f["entry/instrument/detector"].pop("module_002/fast_pixel_direction"), "module_002: has no fast_pixel"),
    (lambda f: f["entry/instrument"].pop("beam"), "has no NXbeam"),
    (lambda f: f["entry/instrument/beam"].pop("incident_wavelength"), "has no incident_wavelength"),
    (lambda f: f["entry/instrument/beam/incident_wavelength"].attrs.pop("units"), "has no units"),
    (lambda f: f["entry/instrument/beam/incident_wavelength"].attrs.modify("units", "furlong"), "units 'furlong'"),
    (lambda f: f["entry/instrument/detector/transformations"].pop("det_z"), "det_z: is missing"),
    (lambda f: f["entry/instrument"].pop("detector"), "has no NXdetector"),
    (lambda f: f.pop("entry"), "has no NXentry"),
    (lambda f: f["entry/instrument/detector/module_001/module_offset"].attrs.modify(
        "depends_on", "/entry/instrument/detector/module_001/module_offset"), "depends on itself"),
    (lambda f: f["entry/instrument/detector/module_001/slow_pixel_direction"].__setitem__((), np.nan), "edges of pixels"),
    (lambda f: f["entry/instrument/detector/transformations/det_z"].attrs.modify("vector", [0.0, 0, 0]), "have a length"),
    (lambda f: f["entry/instrument/detector/transformations/det_z"].attrs.modify("transformation_type", "x"), "neither"),
    (lambda f: f["entry/instrument/beam/incident_wavelength"].__setitem__((), 1e9), "is no wavelength of X-rays"),
]  # fmt: skip


@pytest.mark.parametrize("change, said", WRONG_NXMX, ids=[said for _, said in WRONG_NXMX])
def test_nxmx_that_is_none(change, said, tmp_path):
    written(tmp_path)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        change(file)
    with pytest.raises(nb.BadInput, match=said) as error:
        nb.read_geometry(tmp_path / "a.h5")
    assert str(error.value).startswith(str(tmp_path / "a.h5")) and "\n" not in str(error.value)


WRONG_GEOM = [
    ("p0/fs = ", "p0/fs = 1.0q ;", "panel p0: fs"), ("p1/corner_x = ", "p1/corner_x = a;", "panel p1: corner_x"),
    ("res = ", "res = 0;", "res: must be a number above 0"), ("clen = ", "clen = /LCLS/z;", "stands in another file"),
    ("clen = ", ";", "clen: is missing"), ("p2/max_ss = ", ";", "panel p2: max_ss: is missing"),
    ("photon_energy = ", "photon_energy = 9 lightyears;", "photon_energy"), ("p3/ss = ", "p3/ss = 1x;", "panel p3"),
    ("data = ", "data ; ", "must be KEY = VALUE"), ("p0/max_fs = ", "p0/max_fs = -5;", "must not be below"),
    ("p0/fs = ", "p0/fs = 2.0x;", "about 1 long"), ("photon_energy = ", "wavelength = 1.3 m;", "no wavelength of X-rays"),
    ("adu_per_photon", "badx/min_x = 3\nbadx/max_x = 1\nbadx/min_y = 0\nbadx/max_y = 1\n", "min_x is above max_x"),
    ("adu_per_photon", "badx/min_fs = 3\nbadx/max_fs = 4\nbadx/min_ss = 0\nbadx/max_ss = 1\nbadx/panel = q\n", "no such panel"),
]  # fmt: skip


@pytest.mark.parametrize("begin, instead, said", WRONG_GEOM, ids=[f"{b}{s}" for b, _, s in WRONG_GEOM])
def test_geoms_that_are_none(begin, instead, said, tmp_path):
    path = tmp_path / "x.geom"
    lines = [instead + line if line.startswith(begin) else line for line in geom_of(scene_of()).splitlines()]
    assert "\n".join(lines) != geom_of(scene_of())
    path.write_text("\n".join(lines))
    with pytest.raises(nb.BadInput, match=said) as error:
        nb.read_geometry(path)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content", [b"", b"\x00\x01\xff" * 100, b"{", b"{}", b"\x89HDF\r\n\x1a\n" + b"\0" * 50, b"[" * 9000]
)
def test_files_of_other_kinds(content, tmp_path):
    path = tmp_path / "x.any"
    path.write_bytes(content)
    with pytest.raises(nb.BadInput) as error:
        nb.read_geometry(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value) and len(str(error.value)) < 400


def test_folders_and_numbers(tmp_path):
    for name in (tmp_path, tmp_path / "no.expt", f"{tmp_path}/no.expt:3", "a\0b"):
        with pytest.raises(nb.BadInput):
            nb.read_geometry(name)
    path = tmp_path / "x.expt"
    path.write_text(json.dumps(expt_of(scene_of())))
    assert nb.read_geometry(f"{path}:0").detector.image_shape == (4, 30, 40)
    written(tmp_path)
    with pytest.raises(nb.BadInput, match="has 1 images, from 0 on; 7 is not among them"):
        nb.read_geometry(f"{tmp_path}/a.h5:7")
    with pytest.raises(nb.BadInput, match="has 1 experiments"):
        nb.read_geometry(f"{path}:1")
