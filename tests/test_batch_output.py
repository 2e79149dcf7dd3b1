"""What a batch writes: NXmx that readers understand, spots where the ground truth says, images that the command makes too."""

import shlex

import fabio
import h5py
import numpy as np
import nxmx
import pytest

from nanobragg.cli.batch.command import main
from nanobragg.cli.batch.job_file import read_job
from nanobragg.cli.batch.lines import SetUps
from nanobragg.cli.batch.scenes import Scenes
from nanobragg.cli.nanobragg.command import main as nanobragg
from nanobragg.engine.batch.run.work import How, ShardRenderer
from nanobragg.engine.batch.store.folder import open_job
from nanobragg.engine.formats.any_image import read_image
from nanobragg.engine.formats.nexus import turn
from nanobragg.engine.formats.smv import read_smv
from nanobragg.engine.original.frame import CONVENTIONS
from tests.batch_support import CRYSTAL, RANDOM, SMALL, frames, write_job
from tests.support import ROOT, assert_same_image, working_in

DETECTOR = "-distance 80 -pixel 0.1 -detpixels_x 300 -detpixels_y 260 -default_F 100 "
SHARP = CRYSTAL.split("-hkl")[0] + "-lambda 1 -N 60 -nointerpolate -oversample 3 -default_F 100 "
CUSTOM = (
    "-fdet_vector 0.6 0.8 0 -sdet_vector 0.8 -0.6 0 -odet_vector 0 0 1 -beam_vector 0 0 1 -spindle_axis 0.6 0.8 0 "
    "-polar_vector 0 1 0 -twotheta_axis 1 0 0 -pivot sample -Xbeam 14 -Ybeam 13 "
)
PLACED = {
    "mosflm": "-mosflm -Xbeam 12 -Ybeam 16",
    "denzo": "-denzo -Xbeam 12 -Ybeam 16",
    "adxv": "-adxv -Xbeam 12 -Ybeam 16",
    "xds": "-xds -ORGX 140 -ORGY 120",
    "dials": "-dials -ORGX 140 -ORGY 120",
    "mosflm tilted": "-mosflm -detector_rotx 4 -detector_roty -7 -detector_rotz 11",
    "xds swung": "-xds -twotheta 15",
    "custom": CUSTOM,
    "custom tilted": CUSTOM + "-detector_rotx 5 -detector_roty -6 -detector_rotz 9 -twotheta 3",
    "mosflm turned": "-mosflm -phi 33",
    "xds turned": "-xds -ORGX 140 -ORGY 120 -phi 33",
    "mosflm rotated": "-mosflm -phi 33 -osc 0.001 -phisteps 1",
    "custom rotated": CUSTOM + "-detector_rotx 5 -phi -71 -osc 0.001 -phisteps 1",
}


def made(folder, arguments=SMALL, more=RANDOM, **keys):
    job = write_job(folder, arguments, more, **{"images": 3} | keys)
    assert main(["run", str(job), "--no-sheet"]) == 0
    return folder / "out"


class Described:
    """What an independent reader makes of an NXmx file: pixels in space, and the crystal, in NeXus' laboratory."""

    def __init__(self, path):
        self.file = h5py.File(path)
        entry = nxmx.NXmx(self.file).entries[0]
        detector = entry.instruments[0].detectors[0]
        fast, slow = detector.modules[0].fast_pixel_direction, detector.modules[0].slow_pixel_direction
        chain = list(nxmx.get_dependency_chain(fast))[1:]  # old readers look at nothing else
        self.origin = sum(np.ravel(t[()].to("mm").magnitude)[0] * np.array(t.vector) for t in chain)
        assert not np.any(fast.offset.to("mm").magnitude)
        self.fast, self.slow = (np.array(v.vector) * np.ravel(v[()].to("mm").magnitude)[0] for v in (fast, slow))
        self.wavelength = np.ravel(entry.instruments[0].beams[0].incident_wavelength.to("angstrom").magnitude)[0]
        self.data = entry.data[0][entry.data[0].signal]
        self.recip = self.file["entry/ground_truth/orientation_nexus"][()]
        truth, omega = self.file["entry/ground_truth"], entry.samples[0].depends_on
        axis, angles = truth.attrs["spindle_nexus"], (truth["phi"][()] + truth["phi_end"][()]) / 2.0
        if omega is not None:
            axis = np.array(omega.vector)
            angles = (omega[()].to("deg").magnitude + self.file["entry/sample/transformations/omega_end"][()]) / 2.0
        turns = [rotation(axis, angle) for angle in np.radians(angles)]
        self.recip = np.array([recip @ turn.T for recip, turn in zip(self.recip, turns, strict=True)])

    def direction(self, fast, slow):
        """The unit vector from the sample to the middle of a pixel."""
        place = self.origin + (fast + 0.5) * self.fast + (slow + 0.5) * self.slow
        return place / np.linalg.norm(place)

    def spot(self, hkl, number):
        """Where a reflection is seen (fast, slow, pixels), and how far it is from the Ewald sphere (1/Angstrom)."""
        q = hkl @ self.recip[number]
        ray = np.array([0.0, 0.0, 1.0 / self.wavelength]) + q
        along, fast, slow = np.linalg.solve(np.column_stack([ray, -self.fast, -self.slow]), self.origin)
        return fast, slow, abs(np.linalg.norm(ray) - 1.0 / self.wavelength) if along > 0 else np.inf


def rotation(axis, angle):
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


@pytest.mark.parametrize("name", PLACED)
def test_spots_are_where_the_ground_truth_says(name, tmp_path):
    """Both ways: the brightest pixel has whole indices, and these are seen there; 40 reflections near the sphere too."""
    check_spots(made(tmp_path, SHARP + DETECTOR + PLACED[name], noise="none", backend="fast"))


def test_spots_of_stills_that_are_turned_one_by_one(tmp_path):
    """A range of -phi without -osc: each image has an angle of its own."""
    more = '[[axis]]\nflag = "-phi"\nstart = 0\nstep = 7.5\n'
    out = made(tmp_path, SHARP + DETECTOR + "-misset 10 20 30", more, noise="none", backend="fast", images_per_shard=2)
    check_spots(out)
    with h5py.File(out / "shard-000001.h5") as file:
        assert file["entry/sample/depends_on"][()] == b"." and file["entry/ground_truth/phi"][()] == [15.0]


def check_spots(out):
    seen = Described(out / "master.h5")
    for number in range(3):
        image = seen.data[number].astype(float)
        x0, y0, _ = seen.spot(np.zeros(3), number)
        image[max(int(y0) - 15, 0) : int(y0) + 16, max(int(x0) - 15, 0) : int(x0) + 16] = 0.0  # the direct beam
        slow, fast = np.unravel_index(image.argmax(), image.shape)
        q = (seen.direction(fast, slow) - [0.0, 0.0, 1.0]) / seen.wavelength
        index = q @ np.linalg.inv(seen.recip[number])
        assert np.abs(index - np.rint(index)).max() < 0.05 and np.rint(index).any(), "not a node of the lattice"
        x, y, _ = seen.spot(np.rint(index), number)
        assert abs(x - fast - 0.5) < 1.0 and abs(y - slow - 0.5) < 1.0
        grid = np.stack(np.meshgrid(*[np.arange(-25, 26)] * 3, indexing="ij"), -1).reshape(-1, 3)
        spots = sorted((seen.spot(hkl, number) for hkl in grid[np.abs(grid).sum(1) > 0]), key=lambda spot: spot[2])
        near = [(x, y) for x, y, far in spots[:200] if 1 < x < 299 and 1 < y < 259][:40]
        bright = [image[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2].max() for x, y in near]
        assert len(near) > 3 and np.median(bright) > 30 * np.median(image), "predicted spots are not there"


def test_an_independent_turn_of_the_laboratory(tmp_path):
    """MOSFLM's frame: x along the beam, y up, z the spindle; NeXus: z along the beam, y up, -x the spindle."""
    out = made(tmp_path, SMALL + " -mosflm -Xbeam 10 -Ybeam 12")
    seen = Described(out / "shard-000000.h5")
    assert np.allclose(seen.fast, [-0.4, 0, 0]) and np.allclose(seen.slow, [0, -0.4, 0])
    assert np.allclose(seen.origin, [12.2, 10.2, 100.0]), "the corner: beam centre and half a pixel, MOSFLM's X is slow"
    truth = seen.file["entry/ground_truth"]
    x, y, z = truth["orientation"][0].T
    assert np.allclose(truth["orientation_nexus"][0].T, [-z, y, x])
    to_nexus = truth.attrs["laboratory_to_nexus"]
    assert np.allclose(to_nexus @ to_nexus.T, np.eye(3)) and np.linalg.det(to_nexus) == pytest.approx(1.0)


def test_readers_find_everything(tmp_path):
    more = RANDOM + '[[axis]]\nflag = "-lambda"\nvalues = [1, 1.1, 1.2]\n'
    line = SMALL + " -detector_thick 450 -detector_abs 300 -phi 5 -osc 0.5 -flux 1e20 -exposure 0.1 -beamsize 0.05"
    out = made(tmp_path, line, more, images_per_shard=2, sensor_material="CdTe")
    for name, images in (("master.h5", 3), ("shard-000000.h5", 2), ("shard-000001.h5", 1)):
        with h5py.File(out / name) as file:
            entry = nxmx.NXmx(file).entries[0]
            beam, detector = entry.instruments[0].beams[0], entry.instruments[0].detectors[0]
            wavelengths = np.ravel(beam.incident_wavelength.to("angstrom").magnitude)
            first = 2 if name == "shard-000001.h5" else 0
            assert np.allclose(wavelengths, [1, 1.1, 1.2][first : first + images])
            assert beam.total_flux.to("Hz").magnitude == pytest.approx(1e20)
            assert detector.sensor_material == "CdTe" and detector.sensor_thickness.to("mm").magnitude == pytest.approx(
                0.45
            )
            assert (
                detector.bit_depth_readout == 32
                and detector.saturation_value == 2**31 - 2
                and entry.definition == "NXmx"
            )
            assert detector.count_time.to("s").magnitude == pytest.approx(0.1) and entry.start_time.year > 2000
            module = detector.modules[0]
            assert list(module.data_size) == [64, 64] and list(module.data_origin) == [0, 0]
            assert entry.samples[0].depends_on is None, "three crystals are no sweep"
            # two steps of 0.25 degrees, at the beginning of each: half a step early in all (Q38)
            assert np.allclose(file["entry/ground_truth/phi"], 4.875) and np.allclose(
                file["entry/ground_truth/phi_end"], 5.375
            )
            data = entry.data[0][entry.data[0].signal]
            assert data.shape == (images, 64, 64) and data.dtype == np.int32 and data[()].max() > 0
            if name != "master.h5":
                assert data.chunks == (1, 64, 64) and data.id.get_create_plist().get_filter(0)[0] == 32008
    image = fabio.open(f"{out}/master.h5::/entry/data/data")
    assert image.nframes == 3 and (image.getframe(2).data == frames(out / "master.h5")[2]).all()


def test_the_ground_truth_makes_the_image_again(tmp_path, capsys):
    """The recorded command line, given to nanoBragg, leaves the same pixels, noise included."""
    line = SMALL + " -mosaic 1 -mosaic_domains 5"
    out = made(tmp_path, line, values="uint16", noise="original", images_per_shard=2)
    job = open_job(str(out))
    with h5py.File(out / "master.h5") as file:
        truth = {name: data[()] for name, data in file["entry/ground_truth"].items()}
        counts = file["entry/data/data"][()]
    for number in range(3):
        words = shlex.split(truth["argv"][number].decode())
        assert words == job.words(number) and truth["number"][number] == number
        with working_in(tmp_path):
            assert nanobragg([*words, "--backend", "strict"]) == 0
        again = read_smv(str(tmp_path / "noiseimage.img"), "image")
        assert_same_image(again.pixels.reshape(64, 64), counts[number])
        expected = read_image(str(tmp_path / "floatimage.bin"))
        assert truth["photons"][number] == pytest.approx(expected.sum(dtype=float), rel=1e-12)
        made_again = SetUps(job).set_up(words)
        assert np.allclose(truth["orientation"][number], made_again.crystal.recip, rtol=0, atol=0)
        assert truth["seed"][number] == int(words[words.index("-seed") + 1])
    assert len({bytes(c) for c in counts}) == 3 and len(set(truth["seed"])) == 3


def test_formats_hold_the_same_counts(tmp_path, capsys):
    """Of one job: NXmx in 16 and 32 bits, SMV and CBF; and expected photons as float and NXmx."""
    folders = {}
    for name, keys in {
        "wide": {}, "narrow": {"values": "uint16"}, "smv": {"format": "smv"}, "cbf": {"format": "cbf"},
        "float": {"format": "float"}, "photons": {"noise": "none"}, "rounded": {"noise": "none", "values": "int32"},
    }.items():  # fmt: skip
        (tmp_path / name).mkdir()
        folders[name] = made(tmp_path / name, images_per_shard=2, **keys)
    counts, photons = frames(folders["wide"] / "master.h5"), frames(folders["photons"] / "master.h5")
    assert counts.dtype == np.int32 and photons.dtype == np.float32 and counts.max() > 20
    assert (frames(folders["narrow"] / "master.h5") == np.minimum(counts, 65535)).all()
    assert (frames(folders["rounded"] / "master.h5") == np.rint(photons)).all()
    assert np.abs(counts - photons).max() < 6 * np.sqrt(photons.max()) + 6
    for number in range(3):
        assert_same_image(
            read_image(str(folders["smv"] / f"image_{number + 1:06d}.img")), counts[number].astype(np.uint16)
        )
        assert_same_image(fabio.open(str(folders["cbf"] / f"image_{number + 1:06d}.cbf")).data, counts[number])
        assert_same_image(read_image(str(folders["float"] / f"image_{number + 1:06d}.bin")), photons[number])
    header = fabio.open(str(folders["cbf"] / "image_000001.cbf")).header["_array_data.header_contents"]
    assert "Pixel_size 0.0004 m x 0.0004 m" in header and "Beam_xy (33.0000, 33.0000) pixels" in header
    for folder in folders.values():
        assert main(["verify", str(folder)]) == 0


def test_a_detector_that_varies_has_a_master_for_each_place(tmp_path, capsys):
    (tmp_path / "out").mkdir()
    more = '[[axis]]\nflag = "-distance"\nvalues = [100, 150]\n[[axis]]\norientation = "random"\n'
    out = made(tmp_path, more=more, combine="product", images=4, images_per_shard=1)
    assert sorted(p.name for p in out.glob("master*.h5")) == ["master-000.h5", "master-001.h5"]
    for name, distance in (("master-000.h5", 100), ("master-001.h5", 150)):
        with h5py.File(out / name) as file:
            assert len(file["entry/data/data"]) == 2
            assert file["entry/instrument/detector/distance"][()] == pytest.approx(distance)
    (out / "master-backup.h5").write_text("a user's own")
    (out / "master-001.h5").unlink()
    assert main(["verify", str(out)]) == 1
    assert main(["run", str(tmp_path / "job.toml"), "--no-sheet"]) == 0 and main(["verify", str(out)]) == 0
    assert (out / "master-001.h5").exists() and (out / "master-backup.h5").read_text() == "a user's own"


@pytest.mark.parametrize("per_shard", [1, 2, 9])
def test_longer_spellings_vary_too(per_shard, tmp_path):
    more = '[[axis]]\nflag = "-wavelength"\nvalues = [1, 1.1, 1.2]\n[[axis]]\nflag = "-oscillation"\nvalues = [0, 0.1, 0.2]\n'
    out = made(tmp_path, more=more, images_per_shard=per_shard)
    with h5py.File(out / "master.h5") as file:
        assert np.allclose(file["entry/instrument/beam/incident_wavelength"], [1, 1.1, 1.2])
        truth = file["entry/ground_truth"]
        assert np.allclose(truth["phi_end"][()] - truth["phi"][()], [0, 0.1, 0.2])
        assert file["entry/sample/depends_on"][()] == b".", "ranges that vary are no sweep"


def test_flux_and_sizes_that_vary(tmp_path, capsys):
    more = '[[axis]]\nflag = "-fluence"\nvalues = [1e28, 2e28, 3e28]\n'
    out = made(tmp_path, SMALL + " -beamsize 0.1 -exposure 2", more, images_per_shard=2)
    with h5py.File(out / "master.h5") as file:
        assert np.allclose(file["entry/instrument/beam/total_flux"], np.array([1, 2, 3]) * 1e28 * 1e-8 / 2)
        photons = file["entry/ground_truth/photons"][()]
        assert np.allclose(photons / photons[0], [1, 2, 3], rtol=1e-6)
    (tmp_path / "sizes").mkdir()
    more = '[[axis]]\nflag = "-detpixels"\nvalues = [32, 48, 40]\n'
    out = made(tmp_path / "sizes", SMALL, more, format="float", images_per_shard=3)
    assert [read_image(str(out / f"image_{n + 1:06d}.bin")).shape for n in range(3)] == [(32, 32), (48, 48), (40, 40)]
    assert main(["verify", str(out)]) == 0 and main(["master", str(out)]) == 0 and (out / "contact-sheet.png").exists()


def test_unrendered_pixels_are_masked(tmp_path):
    out = made(tmp_path, SMALL + " -roi 3 20 10 63")
    with h5py.File(out / "master.h5") as file:
        mask = file["entry/instrument/detector/pixel_mask"][()]
        assert (mask[10:, 3:21] == 0).all() and (mask != 0).sum() == 64 * 64 - 54 * 18
        assert (file["entry/data/data"][()][:, mask != 0] == 0).all()


def test_the_contact_sheet(tmp_path):
    job = write_job(tmp_path, images=7)
    assert main(["run", str(job)]) == 0
    from matplotlib.image import imread

    picture = imread(tmp_path / "out" / "contact-sheet.png")
    assert picture.shape[0] > 300 and 0.05 < (picture[..., 0] > 0.9).mean() < 1.0


def test_the_example_is_a_job(tmp_path):
    """It is checked as it stands, and its first image rendered."""
    job = read_job(str(ROOT / "examples" / "random-1a8o.toml"), str(tmp_path / "out"))
    assert job.images == 100 and job.shards == 5 and job.format == "nxmx" and job.values == "int32"
    frame = ShardRenderer(job, Scenes, How(2)).frame(0)
    assert frame.pixels.shape == (720, 720) and 5 < np.median(frame.pixels) < 100 < frame.pixels.max()
    assert frame.truth.cell[0] == pytest.approx(41.98, abs=0.1)


def test_frames_do_not_depend_on_threads_or_shards(tmp_path):
    """With fast numerics too, and by whatever number of shards."""
    found = []
    for name, keys, options in (
        ("one", {"images_per_shard": 3}, ["--threads", "1"]),
        ("three", {"images_per_shard": 2}, ["--threads", "3"]),
        ("alone", {"images_per_shard": 1}, []),
    ):
        (tmp_path / name).mkdir()
        job = write_job(tmp_path / name, SMALL + " -mosaic 1 -mosaic_domains 7", images=3, backend="fast", **keys)
        assert main(["run", str(job), "--no-sheet", *options]) == 0
        found.append(frames(tmp_path / name / "out" / "master.h5"))
    assert_same_image(found[0], found[1])
    assert_same_image(found[0], found[2])


def test_format_and_backend_on_the_command_line(tmp_path, capsys):
    job = write_job(tmp_path, images=2)
    assert main(["run", str(job), "--format", "cbf", "--backend", "fast", "--no-sheet"]) == 0
    kept = open_job(str(tmp_path / "out"))
    assert (kept.format, kept.backend) == ("cbf", "fast") and (tmp_path / "out" / "image_000002.cbf").exists()
    assert main(["run", str(tmp_path / "out"), "--format", "cbf"]) == 1
    assert main(["run", str(job), "--format", "smv"]) == 1 and "values, format differ" in capsys.readouterr().err


def test_beam_and_spindle_in_nexus():
    """For every convention, and any two directions: z along the beam, the spindle as near -x as it can be."""
    rng = np.random.default_rng(4)
    pairs = [(table[0], table[6]) for table in CONVENTIONS.values()]
    pairs += [tuple(v / np.linalg.norm(v) for v in rng.normal(size=(2, 3))) for _ in range(50)]
    for beam, spindle in pairs:
        to_nexus = turn(tuple(beam), tuple(spindle))
        assert np.allclose(to_nexus @ to_nexus.T, np.eye(3)) and np.linalg.det(to_nexus) == pytest.approx(1.0)
        assert np.allclose(to_nexus @ beam, [0, 0, 1])
        x, y, _ = to_nexus @ spindle
        assert x < 0 and abs(y) < 1e-12
    for beam in ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (0.6, 0.0, -0.8)):
        to_nexus = turn(beam, beam)
        assert np.allclose(to_nexus @ to_nexus.T, np.eye(3)) and np.allclose(to_nexus @ beam, [0, 0, 1])
