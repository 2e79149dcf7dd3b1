"""The Python API: the same image as the command in c mode, right by default, and clear refusals."""

import re
import warnings

import numpy as np
import pytest

import nanobragg as nb
from nanobragg.engine.original.quirks import fixes_of
from nanobragg.engine.render import render
from tests.support import INPUT_FOLDERS, ROOT, assert_same_image, frozen, plan_of, read_smv
from tests.test_fixes import fixed

INPUTS = INPUT_FOLDERS[0]
CELL = (50, 60, 70, 80, 85, 95)
CRYSTAL = nb.Crystal(cell=CELL, N=(4, 5, 6), misset_deg=(10, 20, 30))
DETECTOR = nb.Detector(shape=(20, 30), pixel_mm=1.0, distance_mm=90)
LINE = "-cell 50 60 70 80 85 95 -Na 4 -Nb 5 -Nc 6 -misset 10 20 30 -default_F 9 -detpixels_x 30 -detpixels_y 20 -pixel 1 -distance 90 "


@pytest.mark.parametrize("page", ["api", "beamlines", "realism"])
def test_the_documented_examples(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / f"{page}.md").read_text(), re.DOTALL)
    assert len(blocks) >= 3
    names: dict = {}
    for block in blocks:
        exec(block, names)


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("-lambda 1.1 -polar 0.9 -oversample 2", {"beam": nb.Beam(wavelength_A=1.1, polarization=0.9), "oversample": 2}),
        ("-lambda 1 -phi 5 -osc 2 -phisteps 4 -oversample 1", {"scan": nb.Scan(5, 2, 4), "oversample": 1}),
        ("-lambda 1 -hdivrange 2 -hdivsteps 3 -dispersion 1 -dispsteps 2 -oversample 1",
         {"beam": nb.Beam(divergence_mrad=(2, 0), divergence_steps=(3, 1), dispersion_percent=1, dispersion_steps=2),
          "oversample": 1}),
        ("-lambda 1 -nopolar -roi 3 20 4 15 -dmin 3", {"beam": nb.Beam(polarization=None), "roi": (3, 20, 4, 15), "dmin_A": 3.0}),
    ],
)  # fmt: skip
def test_c_mode_is_the_command(line, parts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    theirs = render(plan_of(LINE + line, tmp_path), "strict").image
    image = nb.simulate(CRYSTAL, DETECTOR, nb.constant(9.0), quirks="c", backend="strict", **parts)
    np.testing.assert_allclose(image, theirs, rtol=2e-6, atol=1e-9 * theirs.max())


def test_right_by_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    e = fixed(LINE + "-lambda 1 -osc 1 -phisteps 2 -oversample 2", fixes_of("all"), tmp_path)
    theirs = render(frozen(e), "strict").image
    image = nb.simulate(CRYSTAL, DETECTOR, nb.constant(9.0), scan=nb.Scan(0, 1, 2), oversample=2, backend="strict")
    np.testing.assert_allclose(image, theirs, rtol=2e-6, atol=1e-9 * theirs.max())


def test_structure_factors_from_arrays_and_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = np.loadtxt(INPUTS / "triclinic.hkl")
    arrays, file = nb.structure_factors(rows[:, :3], rows[:, 3]), nb.read_structure_factors(INPUTS / "triclinic.hkl")
    np.testing.assert_array_equal(arrays.table, file.table)
    assert not list(tmp_path.iterdir()), "no dump is left"


def test_files(tmp_path):
    made = nb.set_up(CRYSTAL, DETECTOR, nb.constant(9.0), oversample=1)
    counts = np.arange(600, dtype=np.uint16).reshape(20, 30)
    nb.write_smv_image(tmp_path / "a.img", counts, made)
    assert_same_image(read_smv(tmp_path / "a.img")[1], counts)
    assert_same_image(nb.read_image(str(tmp_path / "a.img")), counts)
    nb.write_float_image(tmp_path / "a.bin", counts)
    assert_same_image(nb.read_image(str(tmp_path / "a.bin"), (20, 30)), counts.astype(np.float32))


def test_noise_is_reproducible():
    image = np.full((30, 40), 25.0)
    a = nb.add_noise(image, 3)
    assert_same_image(nb.add_noise(image, 3, threads=2), a)
    assert abs(a.mean() - 25.0) < 0.6 and (nb.add_noise(image, 4) != a).any()
    for offset in (100.0, 100, np.float32(100), np.uint8(100), np.int16(100)):
        assert (nb.add_noise(image, 3, offset=offset) == a + 100).all()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda: {"crystal": nb.Crystal()}, "cell or reciprocal"),
        (lambda: {"crystal": nb.Crystal(cell=CELL, reciprocal=np.eye(3))}, "cell or reciprocal"),
        (lambda: {"crystal": nb.Crystal(reciprocal=np.eye(2))}, "(3, 3)"),
        (lambda: {"crystal": nb.Crystal(reciprocal=np.zeros((3, 3)))}, "cell"),
        (lambda: {"detector": nb.Detector(shape=(20, 30), convention="LAUE")}, "convention"),
        (lambda: {"detector": nb.Detector(shape=(20, 30), distance_mm=float("nan"))}, "distance"),
        (lambda: {"beam": nb.Beam(wavelength_A=0.0)}, "wavelength"),
        (lambda: {"quirks": "wrong"}, "quirks"),
        (lambda: {"mask": np.ones((3, 3))}, "mask"),
        (lambda: {"backend": "best"}, "best"),
    ],
)
def test_what_cannot_be_simulated(change, says):
    parts = {"crystal": CRYSTAL, "detector": DETECTOR, "factors": nb.constant(9.0), "oversample": 1}
    with pytest.raises(nb.BadInput, match=re.escape(says)):
        nb.simulate(**parts | change())


@pytest.mark.parametrize(
    ("hkl", "F"),
    [(np.zeros((0, 3)), []), ([[1, 2]], [1]), ([[1, 2, 3]], [1, 2]), ([[1, 2, 0.5]], [1]), ([[1, 2, 3]], [np.nan])],
)
def test_arrays_that_do_not_fit(hkl, F):
    with pytest.raises(nb.BadInput):
        nb.structure_factors(hkl, F)


def test_importing_costs_nothing():
    import subprocess
    import sys

    code = "import sys, nanobragg; sys.exit('numpy' in sys.modules or 'numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


REFUSED = {  # in the API's own words, never those of flags
    "threads": (lambda: {"threads": 0}, "threads: must be a whole number, 1 or more"),
    "a path for factors": (lambda: {"factors": "P1.hkl"}, "factors: must be made by structure_factors"),
    "a tuple for a scan": (lambda: {"scan": (0, 1, 2)}, "scan: must be a Scan, not tuple"),
    "a text for a number": (lambda: {"dmin_A": "2"}, "dmin_A: must be a finite number"),
    "no panels": (lambda: {"detector": []}, "the list of panels is empty"),
    "fluence": (lambda: {"beam": nb.Beam(fluence=1e300)}, "overflow"),
    "flat": (lambda: {"crystal": nb.Crystal(cell=(50, 60, 70, 10, 20, 95))}, "no cell has the angles 10, 20, 95"),
    "flatter": (lambda: {"crystal": nb.Crystal(cell=(50, 60, 70, 120, 120, 120))}, "no cell has the angles"),
    "zero vectors": (lambda: {"crystal": nb.Crystal(reciprocal=np.zeros((3, 3)))}, "Crystal: reciprocal"),
    "no vectors": (lambda: {"crystal": nb.Crystal(reciprocal="abc")}, "Crystal: reciprocal"),
    "wavelength": (lambda: {"beam": nb.Beam(wavelength_A=0.0)}, "Beam: wavelength_A: must be a finite number above 0"),
    "polarization": (lambda: {"beam": nb.Beam(polarization="x")}, "Beam: polarization"),
    "N": (lambda: {"crystal": nb.Crystal(cell=CELL, N=(1, 2, 2.5))}, "Crystal: N: must be 3 whole numbers, 1 or more"),
    "beam": (lambda: {"beam": 1.0}, "beam: must be a Beam"),
    "quirks": (lambda: {"quirks": 3}, "quirks: must be a text"),
    "interpolate": (lambda: {"interpolate": "yes"}, "interpolate: must be True, False or None"),
    "half a panel": (lambda: {"detector": nb.Detector(shape=(9, 9), fast=(1, 0, 0))}, "fast, slow and origin_mm go together"),
    "skew panel": (lambda: {"detector": nb.Detector(shape=(9, 9), fast=(0, 0, 1), slow=(0, -1, 1), origin_mm=(9, 0, 0))}, "at right angles"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_are_in_the_words_of_the_api(name):
    change, says = REFUSED[name]
    parts = {"crystal": CRYSTAL, "detector": DETECTOR, "factors": nb.constant(9.0), "oversample": 1}
    with pytest.raises(nb.BadInput, match=re.escape(says)) as error:
        nb.simulate(**parts | change())
    assert not re.search(r"(?<![\w-])-[A-Za-z]", str(error.value)), error.value


def test_a_list_of_panels_is_for_simulate():
    with pytest.raises(nb.BadInput, match="detector: must be a Detector"):
        nb.set_up(CRYSTAL, [DETECTOR], nb.constant(9.0))


def test_crystals_can_be_compared():
    a, b = nb.Crystal(reciprocal=np.eye(3) / 50), nb.Crystal(reciprocal=(np.eye(3) / 50).tolist())
    assert a == b and hash(a) == hash(b) and a != nb.Crystal(reciprocal=np.eye(3) / 60) and a != CRYSTAL


def test_no_warnings_of_numpy(recwarn):
    with pytest.raises(nb.BadInput):
        nb.add_noise(np.full((3, 3), 1e300), 1)
    nb.simulate(CRYSTAL, DETECTOR, nb.constant(1e200), oversample=1, quirks="c", backend="fast")
    assert not [
        warning for warning in recwarn if "overflow" in str(warning.message) or "invalid" in str(warning.message)
    ]


def test_panels_have_noise_of_their_own():
    image = np.full((30, 40), 25.0)
    first, second = nb.add_noise([image, image], 3)
    assert_same_image(first, nb.add_noise(image, 3))
    assert_same_image(second, nb.add_noise(image, 3, panel=1))
    assert (first != second).mean() > 0.8 and abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.12
    bright = nb.add_noise(np.full((3, 3), 2e9), 3, dtype=np.int32)
    assert (
        bright.dtype == np.int32 and (bright > 1.9e9).all() and (nb.add_noise(np.full((3, 3), 2e9), 3) == 65535).all()
    )
    for wrong in ({"dtype": float}, {"panel": -1}, {"threads": 0}):
        with pytest.raises(nb.BadInput):
            nb.add_noise(image, 3, **wrong)


@pytest.mark.parametrize("convention", ["MOSFLM", "XDS", "DIALS", "ADXV", "DENZO"])
def test_a_panel_by_its_vectors_is_the_panel(convention):
    """Placed by a convention, tilted and swung, then by the vectors and the corner that come of it."""
    placed = nb.Detector(shape=(20, 30), pixel_mm=1.0, distance_mm=90, convention=convention, tilt_deg=(3, -4, 5), twotheta_deg=8,
                         thickness_um=300, attenuation_um=200, layers=3)  # fmt: skip
    d = nb.set_up(CRYSTAL, placed, nb.constant(9.0), oversample=1).detector
    by_vectors = nb.Detector(shape=(20, 30), pixel_mm=1.0, convention=convention, fast=d.panel.fdet, slow=d.panel.sdet,
                             origin_mm=tuple(1e3 * x for x in d.panel.pix0), thickness_um=300, attenuation_um=200, layers=3)  # fmt: skip
    a, b = (nb.simulate(CRYSTAL, one, nb.constant(9.0), oversample=1, backend="strict") for one in (placed, by_vectors))
    np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9 * a.max())


def test_a_panel_that_is_mirrored_still_faces_the_sample():
    """The order of the axes decides where their product points; layers must lie behind the first one all the same."""
    keys = {"shape": (20, 20), "pixel_mm": 1.0, "thickness_um": 500, "attenuation_um": 300, "layers": 4}
    a = nb.Detector(fast=(0, 0, 1), slow=(0, -1, 0), origin_mm=(100, 10, -10), **keys)
    b = nb.Detector(fast=(0, -1, 0), slow=(0, 0, 1), origin_mm=(100, 10, -10), **keys)
    one, other = (nb.simulate(CRYSTAL, d, nb.constant(9.0), oversample=1) for d in (a, b))
    np.testing.assert_allclose(one, other.T, rtol=1e-6, atol=1e-9 * one.max())


def test_long_headers_do_not_shift_the_pixels(tmp_path):
    """Right by default: the header says how long it is."""
    detector = nb.Detector(shape=(1012, 1010), pixel_mm=0.123456789, distance_mm=123.456789, convention="XDS",
                           beam_center_mm=(61.2345678, 61.2345678), tilt_deg=(1.2345678, 2.3456789, 0), twotheta_deg=3.4567891)  # fmt: skip
    made = nb.set_up(
        CRYSTAL, detector, nb.constant(9.0), nb.Beam(1.23456789), nb.Scan(1.2345678, 0.2345678, 2), oversample=1
    )
    counts = np.random.default_rng(1).integers(0, 65536, (1012, 1010)).astype(np.uint16)
    nb.write_smv_image(tmp_path / "a.img", counts, made)
    data = (tmp_path / "a.img").read_bytes()
    size = int(data.split(b"HEADER_BYTES=")[1].split(b";")[0])
    assert len(data) == size + 2 * counts.size, "whoever believes the header finds the first pixel"
    assert_same_image(np.frombuffer(data[size:], "<u2").reshape(counts.shape), counts)


HEXAGONAL = np.linalg.inv(np.array([[60.0, 0, 0], [-30, 60 * np.sqrt(3) / 2, 0], [0, 0, 80]])).T
OTHER_SETTING = np.array([[1, 1, 0], [-1, 0, 0], [0, 0, 1]])  # a' = a + b, b' = -a


@pytest.mark.parametrize("shape", ["gauss_round", "tophat_round"])
def test_round_spots_do_not_know_the_setting(shape):
    """A hexagonal cell in two settings is one crystal; a block along a, b, c is not the same in both."""
    other = np.linalg.inv(OTHER_SETTING).T @ HEXAGONAL
    detector = nb.Detector(shape=(80, 80), pixel_mm=0.5, distance_mm=80)

    def image(reciprocal, kind):
        crystal = nb.Crystal(reciprocal=reciprocal, N=(6, 6, 6), shape=kind, misset_deg=(10, 20, 30))
        return nb.simulate(crystal, detector, nb.constant(9.0), oversample=2, backend="strict").astype(float)

    a, b = image(HEXAGONAL, shape), image(other, shape)
    assert (a > 0).mean() > 0.01
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.9999 and abs(a.sum() / b.sum() - 1.0) < 1e-3
    block = shape.removesuffix("_round")
    assert np.corrcoef(image(HEXAGONAL, block).ravel(), image(other, block).ravel())[0, 1] < 0.98


@pytest.mark.parametrize("quirks", ["right", "c"])
def test_round_spots_are_those_of_the_crystals_volume(quirks):
    """F_latt = N exp(-(L dq)^2 fudge / 0.63), L the edge of a cube of the crystal's volume, from indices and vectors."""
    from nanobragg.engine.check.trace import trace

    crystal = nb.Crystal(cell=CELL, N=(3, 4, 6), misset_deg=(10, 20, 30), shape="gauss_round", fudge=0.7)
    e = nb.set_up(crystal, DETECTOR, nb.constant(9.0), oversample=1, quirks=quirks)
    figures = {f.label: f.values for f in trace(frozen(e), 7, 11)}
    dh = np.array(figures["hkl_frac"]) - figures["hkl_rounded"]
    dq = dh @ np.array(e.crystal.recip)
    edge = (72 * abs(e.crystal.volume)) ** (1 / 3)
    assert figures["F_latt"][0] == pytest.approx(72 * np.exp(-(edge**2) * (dq @ dq) * 0.7 / 0.63), rel=1e-9)
    if quirks == "c":
        return  # there the cell of -cell and its reciprocal vectors do not quite fit together (Q100)
    stars = [figures[f"rot_{axis}_star_A_inv"] for axis in "abc"]
    np.testing.assert_allclose(stars, e.crystal.recip, rtol=1e-9, atol=1e-12)


def test_public_names_are_listed():
    assert {"simulate", "Crystal", "read_image"} <= set(dir(nb))


def test_descriptions_can_be_compared():
    """Whatever their numbers came in."""
    cell = (50, 60, 70, 90, 90, 90)
    assert nb.Crystal(cell=np.array(cell, float)) == nb.Crystal(cell=list(cell)) == nb.Crystal(cell=cell)
    assert nb.Crystal(cell=cell, N=np.ones(3, int)) == nb.Crystal(cell=cell) != nb.Crystal(cell=cell, N=(1, 1, 2))
    assert nb.Detector((4, 4), tilt_deg=np.zeros(3)) == nb.Detector([4, 4])


@pytest.mark.parametrize("name", ["curved", "point_pixel"])
def test_words_are_no_switches(name):
    with pytest.raises(nb.BadInput, match=f"Detector: {name}: must be True or False, not str"):
        nb.simulate(nb.Crystal(cell=(50, 60, 70, 90, 90, 90)), nb.Detector((4, 4), **{name: "no"}), nb.constant(1.0))


@pytest.mark.parametrize(
    "image", [None, "abc", np.zeros((2, 2, 2)), np.ones((2, 2), complex), np.zeros((0, 3)), [[1, 2], [3]]]
)
def test_what_is_no_image_is_not_written(image, tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"good")
    with pytest.raises(nb.BadInput):
        nb.write_float_image(path, image)
    assert path.read_bytes() == b"good"


@pytest.mark.parametrize("path", [None, 5, "", "a\0b"])
def test_what_names_no_file(path):
    with pytest.raises(nb.BadInput, match="path: "):
        nb.write_float_image(path, np.ones((2, 2)))


def test_what_the_command_would_remark_on():
    told = []
    crystal, factors = nb.Crystal(cell=(50, 60, 70, 90, 90, 90), N=(5, 5, 5)), nb.constant(10.0)
    nb.simulate(crystal, nb.Detector((4, 4)), factors, nb.Beam(wavelength_A=1000), remark=told.append)
    nb.simulate(crystal, nb.Detector((4, 4)), factors, roi=(50, 60, 50, 60), remark=told.append)
    assert any("is that meant?" in line for line in told) and any(
        "roi and mask leave no pixel" in line for line in told
    )


def test_sub_pixels_may_be_counted_in_reals():
    crystal, factors = nb.Crystal(cell=(50, 60, 70, 90, 90, 90), N=(5, 5, 5)), nb.constant(10.0)
    images = [nb.simulate(crystal, nb.Detector((4, 4)), factors, oversample=n) for n in (2, 2.0)]
    np.testing.assert_array_equal(*images)


def test_messages_name_no_flags(tmp_path):
    crystal, detector = nb.Crystal(cell=(50, 60, 70, 90, 90, 90)), nb.Detector((4, 4))
    (tmp_path / "bad.hkl").write_text("1 2 x\n")
    wrong = {
        "hkl": lambda: nb.read_structure_factors(tmp_path / "bad.hkl"),
        "no file": lambda: nb.read_structure_factors(tmp_path / "none"),
        "null": lambda: nb.read_structure_factors("a\0b"),
        "folder": lambda: nb.write_float_image(tmp_path / "no" / "x", np.ones((2, 2))),
        "quirks": lambda: nb.simulate(crystal, detector, nb.constant(1.0), quirks="c+foo"),
        "remark": lambda: nb.simulate(crystal, detector, nb.constant(1.0), remark="x"),
        "panel": lambda: nb.simulate(crystal, nb.Detector((4, 4), fast=(0, 0, 1e300), slow=(0, 1, 0),
                                                          origin_mm=(1, 1, 1)), nb.constant(1.0)),
        "noise": lambda: nb.add_noise([[1.0, "x"]], 1),
        "ragged": lambda: nb.add_noise([[1.0], [1.0, 2.0]], 1),
    }  # fmt: skip
    for what, call in wrong.items():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(nb.BadInput) as found:
                call()
        assert not re.search(r"(^|\s)--?[A-Za-z]", str(found.value)), (what, str(found.value))


def test_noise_of_an_image_as_lists():
    image = np.full((3, 4), 50.0, np.float32)
    assert (nb.add_noise(image.tolist(), 1) == nb.add_noise(image, 1)).all()
    assert len(nb.add_noise([image, image], 1)) == 2


def test_images_without_frames_have_no_frame(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((1, 1), np.float32))
    assert nb.read_image(tmp_path / "a.npy").shape == (1, 1)
    with pytest.raises(nb.BadInput, match="only HDF5 files have frames"):
        nb.read_image(f"{tmp_path / 'a.npy'}:1")
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(nb.BadInput, match="is empty"):
        nb.read_image(tmp_path / "empty")
