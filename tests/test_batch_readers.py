"""What readers of a batch depend on beside the geometry: filters, sweeps, wavelengths, spectra, names, words and counts."""

import json
import os
import re
import shlex

import fabio
import h5py
import hdf5plugin
import numpy as np
import pytest

from nanobragg.cli.batch.command import main
from nanobragg.cli.batch.job_file import read_job
from nanobragg.engine.batch.job.job import FALLING, RISING, STILLS
from nanobragg.engine.batch.run.on_dask import Counts
from nanobragg.engine.batch.run.work import Outcome
from nanobragg.engine.batch.store.sheet import SheetImage, in_counts, smaller
from tests.batch_support import RANDOM, SMALL, batch, frames, write_job

TURNING = '[[axis]]\nflag = "-phi"\nstart = {}\nstep = {}\n'
# Directions are unit vectors towards the sources; wavelengths in metres: 1.0 A and 1.2 A, one to three.
SOURCES = "-10 0 0 1 1.0e-10\n-10 0 0 3 1.2e-10\n"


def made(folder, arguments=SMALL, more=RANDOM, **keys):
    assert main(["run", str(write_job(folder, arguments, more, **{"images": 3} | keys)), "--no-sheet"]) == 0
    return folder / "out"


@pytest.mark.parametrize("compression, filters", [("bitshuffle-lz4", ["32008"]), ("gzip", ["gzip"]), ("none", [])])
def test_compression(compression, filters, tmp_path):
    out = made(tmp_path, compression=compression)
    with h5py.File(out / "shard-000000.h5") as file:
        data = file["entry/data/data"]
        assert [name for name in data._filters if name != "shuffle"] == filters and data[()].any()


def test_with_a_plugin_path_of_the_users_own(tmp_path):
    env = os.environ | {"HDF5_PLUGIN_PATH": hdf5plugin.PLUGIN_PATH}
    found = batch("run", write_job(tmp_path, images=2), "--no-sheet", env=env)
    assert found.returncode == 0, found.stderr
    assert len(frames(tmp_path / "out" / "master.h5")) == 2


@pytest.mark.parametrize(
    "words, more, scan",
    [
        (" -osc 0.5", TURNING.format(-1, 0.5), RISING),
        (" -osc 0.5", TURNING.format(0.3, -0.5), FALLING),
        (" -osc 0.5", TURNING.format(0, 0.6), STILLS),
        ("", TURNING.format(0, 0.5), STILLS),
        (" -osc 0.5", RANDOM, STILLS),
        (" -osc 0.5", TURNING.format(0, 0.5) + RANDOM, STILLS),
        (" -osc 0.5", '[[axis]]\nflag = "-phi"\nvalues = [0, 0.5, 1]\n', RISING),
        (" -osc 0.5", '[[axis]]\nflag = "-phi"\nvalues = [0, 1, 0.5]\n', STILLS),
        (" -osc 0.5", TURNING.format(0, 0.5) + '[[axis]]\nflag = "-mosaic_seed"\nvalues = [-1, -2, -3]\n', RISING),
    ],
)
def test_what_is_a_sweep(words, more, scan, tmp_path):
    """A rotation is one crystal: its mosaic domains stay, unless the job varies them."""
    job = read_job(str(write_job(tmp_path, SMALL + words, more, images=3)))
    seeds = [job.words(n)[job.words(n).index("-mosaic_seed") + 1] for n in range(3)]
    assert job.scan == scan
    assert len(set(seeds)) == (3 if scan == STILLS or "-mosaic_seed" in more else 1)


def test_a_sweep_downwards_is_one_upwards_about_the_other_axis(tmp_path):
    out = made(tmp_path, SMALL + " -osc 0.5 -phisteps 2 --fix sampling", TURNING.format(3, -0.5), images_per_shard=2)
    with h5py.File(out / "master.h5") as file:
        omega = file["entry/sample/transformations/omega"]
        assert omega[()].tolist() == [-3.5, -3.0, -2.5]
        assert file["entry/sample/transformations/omega_end"][()].tolist() == [-3.0, -2.5, -2.0]
        assert np.allclose(omega.attrs["vector"], [1, 0, 0])
        assert file["entry/ground_truth/phi"][()].tolist() == [3.0, 2.5, 2.0]
    with h5py.File(out / "shard-000001.h5") as file:  # one image alone is turned the same way
        assert file["entry/sample/transformations/omega"][()].tolist() in ([-2.5], [2.0])


@pytest.mark.parametrize("form", ["nxmx", "cbf", "smv"])
def test_wavelengths_are_those_rendered(form, tmp_path):
    (tmp_path / "sources.txt").write_text(SOURCES)
    for fixes, mean in (("weights", 1.15), ("sampling", 1.1)):
        folder = tmp_path / fixes
        folder.mkdir()
        (folder / "sources.txt").write_text(SOURCES)
        out = made(folder, SMALL + f" -sourcefile sources.txt --fix {fixes}", format=form, images=1)
        if form == "nxmx":
            with h5py.File(out / "master.h5") as file:
                beam = file["entry/instrument/beam"]
                assert beam["incident_wavelength"][()] == pytest.approx(mean, rel=1e-12)
                assert file["entry/ground_truth/wavelength"][0] == pytest.approx(mean, rel=1e-12)
                name = beam["incident_wavelength"].attrs["variant"]
                share = 0.75 if fixes == "weights" else 0.5
                assert np.allclose(beam[name], [1.0, 1.2]) and np.allclose(beam[f"{name}_weights"], [1 - share, share])
        else:
            (file,) = out.glob("image_000001.*")
            said = re.search(rb"(?i)WAVELENGTH[= ]([0-9.]+)", file.read_bytes())
            assert float(said.group(1)) == pytest.approx(mean, rel=1e-6)


def test_a_master_whose_first_shard_is_lost(tmp_path):
    out = made(tmp_path, more='[[axis]]\nflag = "-lambda"\nvalues = [1, 1.1, 1.2]\n', images_per_shard=1)
    (out / "shard-000000.json").unlink()
    (out / "shard-000000.h5").unlink()
    assert main(["master", str(out)]) == 0
    with h5py.File(out / "master.h5") as file:
        assert np.allclose(file["entry/instrument/beam/incident_wavelength"], [1.1, 1.1, 1.2])
        assert np.isfinite(file["entry/instrument/beam/total_flux"]).all()
    assert len(json.loads((out / "master.expt").read_text())["experiment"]) == 2


def test_data_of_cbf_is_called_after_the_image(tmp_path):
    out = made(tmp_path, format="cbf", images=2)
    assert b"data_image_000002\r\n" in (out / "image_000002.cbf").read_bytes()[:200]
    assert fabio.open(out / "image_000002.cbf").data.shape == (64, 64)


def test_descriptions_follow_detectors(tmp_path):
    more = '[[axis]]\nflag = "-distance"\nvalues = [100, 150]\n[[axis]]\norientation = "random"\n'
    out = made(tmp_path, more=more, combine="product", images=4, images_per_shard=1)
    assert sorted(p.name for p in out.glob("*.expt")) == ["master-000.expt", "master-001.expt"]
    seen = json.loads((out / "master-001.expt").read_text())
    assert [image["single_file_indices"] for image in seen["imageset"]] == [[0], [1]]
    assert seen["imageset"][0]["images"] == ["master-001.h5"] and len(seen["detector"]) == 1
    assert seen["detector"][0]["panels"][0]["origin"][2] == pytest.approx(-150)


def test_bent_detectors_have_no_description(tmp_path, capsys):
    out = made(tmp_path, SMALL + " -curved_det 1", format="cbf", images=1)
    assert not list(out.glob("*.expt")) and "no .expt for DIALS" in capsys.readouterr().err


def test_expand_quotes_words(tmp_path, capsys):
    (tmp_path / "my amplitudes.hkl").write_text("0 0 1 10\n")
    job = write_job(tmp_path, SMALL + " -hkl 'my amplitudes.hkl'", images=1)
    assert main(["expand", str(job)]) == 0
    line = capsys.readouterr().out.splitlines()[1].split("\t")[3]
    assert shlex.split(line) == read_job(str(job)).words(0) and "my amplitudes.hkl" in shlex.split(line)


def test_what_is_rendered_is_told_in_counts():
    nothing = np.zeros((2, 2)), (0.0, 0.0)
    images = [SheetImage(n, *nothing, total, top, np.empty((0, 4))) for n, total, top in ((0, 12, 2), (1, 0, 0))]
    assert in_counts(images, "int32") == (
        "images of 0 to 12 photons, the brightest pixel has 2: too few for programs to find spots, which want 10 or more"
    )
    assert "raise" not in in_counts([images[0]._replace(brightest=500)], "int32")
    assert in_counts([images[0]._replace(brightest=65535)], "uint16").endswith(
        "the most that uint16 holds: counts are cut there"
    )


def test_the_sheet_keeps_spots():
    image = np.zeros((1000, 700))
    image[999, 699] = image[0, 3] = 7
    small = smaller(image)
    assert small.shape == (250, 175) and small[-1, -1] == small[0, 0] == 7 and small.sum() == 14


def test_images_of_workers_are_counted_once():
    seen = []
    counts = Counts(seen.append)
    counts.begin(0)
    counts.begin(1)
    for shard, count in ((0, 3), (1, 2), (0, 7)):
        counts.heard((0.0, [shard, count]))
    counts.end(Outcome(0, "finished"), 10)
    counts.heard((0.0, [0, 9]))  # too late
    counts.end(Outcome(1, "died"), 10)
    assert sum(seen) == 10
