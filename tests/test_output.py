"""--output: one image in any format, read back by other people's readers."""

import fabio
import h5py
import numpy as np
import nxmx
import pytest
import tifffile

import nanobragg as nb
from nanobragg.cli.nanobragg.command import main
from nanobragg.engine.formats.smv import read_smv
from tests.support import working_in

LINE = (
    "-cell 50 60 70 90 90 90 -default_F 50 -distance 120 -pixel 0.5 -detpixels_x 60 -detpixels_y 40 -lambda 1 -N 3 "
    "-oversample 1 -fluence 1e30 -seed 7 -misset 10 20 30 "
)
COUNTS = ("c.h5", "c.nxs", "c.cbf", "c.npy", "c.tif", "c.img", "c.png")
PHOTONS = ("p.h5", "p.npy", "p.tiff", "p.bin", "p.png")


def rendered(folder, *more, line=LINE):
    with working_in(folder):
        return main([*line.split(), *more])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("output")
    words = [word for name in COUNTS for word in ("--output", name)]
    words += [word for name in PHOTONS for word in ("--output-noiseless", name)]
    assert rendered(folder, *words) == 0
    return folder


def test_every_format_has_the_same_pixels(files):
    counts, photons = np.load(files / "c.npy"), np.load(files / "p.npy")
    assert counts.shape == (40, 60) and counts.dtype == np.int32 and photons.dtype == np.float32
    np.testing.assert_array_equal(photons, nb.read_image(files / "floatimage.bin", (40, 60)))
    np.testing.assert_array_equal(counts, nb.add_noise(photons, 7, dtype=np.int32))
    np.testing.assert_array_equal(fabio.open(str(files / "c.cbf")).data, counts)
    np.testing.assert_array_equal(tifffile.imread(files / "c.tif"), counts)
    np.testing.assert_array_equal(tifffile.imread(files / "p.tiff"), photons)
    np.testing.assert_array_equal(nb.read_image(files / "p.bin", (40, 60)), photons)
    for name in ("c.h5", "c.nxs"):
        with h5py.File(files / name) as file:
            np.testing.assert_array_equal(file["entry/data/data"][0], counts)
    with h5py.File(files / "p.h5") as file:
        np.testing.assert_array_equal(file["entry/data/data"][0], photons)
    smv = read_smv(str(files / "c.img"), "x")
    np.testing.assert_array_equal(smv.pixels.reshape(40, 60), counts.clip(0, 65535))
    for name in ("c.png", "p.png"):
        assert (files / name).read_bytes().startswith(b"\x89PNG")


def test_nxmx_says_where_it_was_taken(files):
    with h5py.File(files / "c.h5") as file:
        entry = nxmx.NXmx(file).entries[0]
        beam = entry.instruments[0].beams[0]
        assert beam.incident_wavelength.to("angstrom").magnitude == pytest.approx(1.0)
        module = entry.instruments[0].detectors[0].modules[0]
        assert module.fast_pixel_direction[()].to("mm").magnitude == pytest.approx(0.5)
        truth = file["entry/ground_truth"]
        assert truth["orientation"].shape == (1, 3, 3) and truth.attrs["spindle_nexus"].shape == (3,)


def test_the_originals_files_can_be_left_out(tmp_path):
    assert rendered(tmp_path, "--only-output", "--output", "a.h5") == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.expt", "a.geom", "a.h5"]


def test_masked_pixels_are_no_counts(tmp_path):
    assert (
        rendered(tmp_path, "-roi", "10", "30", "5", "20", "--output", "a.npy", "--output", "a.cbf", "--only-output")
        == 0
    )
    counts = np.load(tmp_path / "a.npy")
    assert (counts[5:21, 10:31] >= 0).all() and (counts < 0).sum() == counts.size - 16 * 21
    np.testing.assert_array_equal(fabio.open(str(tmp_path / "a.cbf")).data, counts)


def test_an_offset_only_where_one_is_asked_for(tmp_path):
    assert rendered(tmp_path, "--output", "a.npy", "--only-output") == 0
    assert rendered(tmp_path, "-adc", "100", "--output", "b.npy", "--output", "b.h5", "--only-output") == 0
    a, b = (np.load(tmp_path / name) for name in ("a.npy", "b.npy"))
    np.testing.assert_array_equal(a + 100, b)
    with h5py.File(tmp_path / "b.h5") as file:
        assert file["entry/instrument/detector/pedestal"][()] == 100


@pytest.mark.parametrize("words, says", {
    "--output x.xyz": ".xyz is no format", "--output x": "no ending is no format",
    "--output x.bin": ".bin does not hold whole numbers", "--output-noiseless x.cbf": "does not hold expected photons",
    "--output no/where.h5": "the folder", "--only-output": "there is no --output", "--output": "a value must follow",
}.items())  # fmt: skip
def test_what_cannot_be_written_is_said_before(words, says, tmp_path, capsys):
    assert rendered(tmp_path, *words.split()) in (1, 9)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if says in line]
    assert line.startswith("nanoBragg: --o") and not list(tmp_path.iterdir())


def test_curved_detectors_have_no_nxmx(tmp_path, capsys):
    assert rendered(tmp_path, "-curved_det", "1", "--output", "a.h5", "--only-output") == 1
    assert "no words for a curved detector" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch, capsys):
    from nanobragg.engine.formats import output

    def full(*a, **k):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(output.np, "save", full)
    assert rendered(tmp_path, "--output", "a.npy", "--only-output") == 1
    assert "No space left" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_the_same_from_python(files, tmp_path):
    crystal = nb.Crystal(cell=(50, 60, 70, 90, 90, 90), N=(3, 3, 3), misset_deg=(10, 20, 30))
    made = nb.set_up(
        crystal, nb.Detector((40, 60), pixel_mm=0.5, distance_mm=120), nb.constant(50.0), nb.Beam(fluence=1e30)
    )
    photons = np.load(files / "p.npy")
    for name in ("a.h5", "a.npy", "a.tif", "a.png"):
        nb.write(tmp_path / name, photons, made)
        nb.write(tmp_path / f"c{name}", nb.add_noise(photons, 7, dtype=np.int32), made)
    np.testing.assert_array_equal(nb.read_image(tmp_path / "ca.h5"), np.load(files / "c.npy"))
    np.testing.assert_array_equal(nb.read_image(tmp_path / "a.h5"), photons)
    for wrong in (photons[:5], [["x"]], np.full((40, 60), 2**40)):
        with pytest.raises(nb.BadInput, match="image:"):
            nb.write(tmp_path / "x.npy", wrong, made)
    with pytest.raises(nb.BadInput, match="is no format"):
        nb.write(tmp_path / "x.foo", photons, made)


def test_names_that_dials_does_not_open(tmp_path, capsys):
    assert rendered(tmp_path, "--output", "a.cbf", "--output", "b_0001.cbf", "--only-output") == 0
    err = capsys.readouterr().err
    assert err.count("only with a number in the name") == 1 and "--output a.cbf: DIALS" in err
