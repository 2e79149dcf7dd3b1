"""A GPU behind the commands: one image with all its files, and a batch, whose images reuse everything on the device."""

import contextlib
import io

import numpy as np

from nanobragg.cli.batch.command import main as nb_batch
from nanobragg.cli.nanobragg.command import main as nanobragg
from tests.batch_support import frames, write_job
from tests.support import assert_close_image, read_smv

LINE = (
    "-cell 50 60 70 80 95 100 -default_F 7 -lambda 1 -N 5 -distance 100 -pixel 0.4 -detpixels 48 -oversample 2 -mosaic 1 "
    "-mosaic_domains 3 -seed 5 -floatfile float.bin -intfile int.img -pgmfile pgm.pgm -noisefile noise.img"
)


def test_one_image(tmp_path, monkeypatch):
    made = {}
    for backend in ("cuda", "strict"):
        folder = tmp_path / backend
        folder.mkdir()
        monkeypatch.chdir(folder)
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            assert nanobragg(["--backend", backend, *LINE.split()]) == 0
        image = np.fromfile(folder / "float.bin", "<f4").reshape(48, 48)
        made[backend] = image, read_smv(folder / "int.img")[1], said.getvalue().splitlines()
    (ours, counts, lines), (theirs, expected, those) = made["cuda"], made["strict"]
    assert_close_image(ours, theirs)
    assert np.abs(counts.astype(int) - expected).max() <= 1
    assert len(lines) == len(those)


def test_a_batch(tmp_path, engine):
    images, asked = {}, {}
    for backend in ("cuda", "strict"):
        folder = tmp_path / backend
        folder.mkdir()
        before = {name: engine.number(name) for name in ("launches", "allocations", "loads")} if engine else {}
        job = write_job(folder, backend=backend, images=20, images_per_shard=10)
        assert nb_batch(["run", str(job), "--no-sheet"]) == 0
        asked[backend] = {name: engine.number(name) - number for name, number in before.items()}
        images[backend] = frames(folder / "out" / "master.h5")
    assert images["cuda"].shape == images["strict"].shape and images["cuda"].any()
    different = images["cuda"] != images["strict"]
    assert (
        different.mean() < 1e-4 and np.abs(images["cuda"].astype(int) - images["strict"])[different].max(initial=0) <= 1
    )
    if engine:
        assert asked["cuda"]["launches"] == 3 * 20 and asked["cuda"]["allocations"] < 8, "sum, photons, noise"
        assert not asked["strict"]["launches"]
