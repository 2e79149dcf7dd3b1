"""What dies, breaks or fills up in the course of a batch, and that the frames are the same in the end."""

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

from nanobragg.cli.batch.command import main
from nanobragg.cli.batch.job_file import read_job
from nanobragg.engine.batch.store.claims import is_alive
from nanobragg.engine.batch.store.folder import HOST, open_job
from tests.batch_support import CRYSTAL, batch, command, digests, environment, frames, is_over, wait_until, write_job

LARGER = CRYSTAL + "-distance 100 -pixel 0.1 -detpixels 256 -fluence 1e28 -mosaic 1 -mosaic_domains 3"


def left_over(folder):
    """Hidden files and what else should not be there."""
    return [name for name in os.listdir(folder) if name.startswith(".")]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """200 images of 256 x 256, rendered in peace; their digests."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert main(["run", str(write_job(folder, LARGER, images=200, images_per_shard=7)), "--no-sheet"]) == 0
    return digests(folder / "out" / "master.h5")


def test_the_driver_killed_five_times(undisturbed, tmp_path):
    job = write_job(tmp_path, LARGER, images=200, images_per_shard=7)
    out, chance, kills = tmp_path / "out", random.Random(1), 0
    done_before = -1
    for _ in range(5):
        with subprocess.Popen(command("run", job, "--no-sheet"), stderr=subprocess.PIPE) as run:
            at_work = chance.uniform(0.0, 0.25)  # s; kills come at any moment of an image

            def is_the_moment(run=run, before=done_before, at_work=at_work, seen=[]):  # noqa: B006
                if out.exists() and len(list(out.glob("shard-*.json"))) > before + 1:  # at least a shard more each time
                    seen.append(time.monotonic())
                return run.poll() is not None or (seen and time.monotonic() > seen[0] + at_work)

            wait_until(is_the_moment)
            if run.poll() is None:
                run.kill()
                kills += 1
        done_before = len(list(out.glob("shard-*.json")))
    assert kills >= 4 and done_before < 29, "it was over too soon to be disturbed"
    finished = {path: path.stat().st_mtime_ns for path in out.glob("shard-*.json")}
    found = batch("run", job, "--no-sheet")
    assert found.returncode == 0, found.stderr
    assert digests(out / "master.h5") == undisturbed and len(set(undisturbed)) == 200
    assert {path: path.stat().st_mtime_ns for path in finished} == finished, "a finished shard was rendered again"
    assert main(["verify", str(out)]) == 0 and not left_over(out)


def test_parts_are_the_same(undisturbed, tmp_path):
    job = write_job(tmp_path, LARGER, images=200, images_per_shard=7)
    for part in ("2/3", "0/3", "1/3"):
        assert not (tmp_path / "out" / "master.h5").exists()
        found = batch("run", job, "--part", part, "--threads", 1)
        assert found.returncode == 0, found.stderr
    assert digests(tmp_path / "out" / "master.h5") == undisturbed


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_stops_between_images(number, tmp_path):
    """The image is finished, what is there of the shard is kept, and the next run goes on from it."""
    job = write_job(tmp_path, images=40, images_per_shard=40)
    seen = tmp_path / "seen"
    slow = environment(tmp_path, SLOW_S=0.05, SEEN=seen)
    with subprocess.Popen(command("run", job, "--no-sheet"), env=slow, stderr=subprocess.PIPE, text=True) as run:
        wait_until(lambda: seen.exists() and len(seen.read_text().split()) >= 4)
        run.send_signal(number)
        said = run.stderr.read()
    assert run.returncode == 75 and "goes on from here" in said
    assert left_over(tmp_path / "out") == [".shard-000000.partial"]
    status = json.loads(batch("status", tmp_path / "out", "--json").stdout)
    assert status["shards_stopped"] == [0] and status["images_done"] == 0
    found = batch("run", job, "--no-sheet", env=environment(tmp_path, POISONED="0 1 2"))
    assert found.returncode == 0, "the first images were rendered again"
    assert not left_over(tmp_path / "out")
    (tmp_path / "again").mkdir()
    assert main(["run", str(write_job(tmp_path / "again", images=40)), "--no-sheet"]) == 0
    assert (frames(tmp_path / "out" / "master.h5") == frames(tmp_path / "again" / "out" / "master.h5")).all()


def test_a_damaged_partial_shard_is_begun_again(tmp_path):
    job = write_job(tmp_path, images=6, images_per_shard=6)
    (tmp_path / "out").mkdir()
    assert main(["run", str(job), "--no-sheet"]) == 0
    expected = digests(tmp_path / "out" / "master.h5")
    for junk in (b"", b"\x89HDF\r\n\x1a\n" + bytes(3000), (tmp_path / "out" / "shard-000000.h5").read_bytes()):
        shutil.rmtree(tmp_path / "out")
        (tmp_path / "out").mkdir()
        assert main(["run", str(job), "--part", "1/2"]) == 0  # leaves the job, and no shard
        (tmp_path / "out" / ".shard-000000.partial").write_bytes(junk)
        assert main(["run", str(job), "--no-sheet"]) == 0
        assert digests(tmp_path / "out" / "master.h5") == expected and not left_over(tmp_path / "out")


def test_a_poison_image_is_set_aside(tmp_path):
    """It kills this process, then two of its own; the rest is rendered, and --retry tries again."""
    job, poisoned = write_job(tmp_path, images=12, images_per_shard=3), environment(tmp_path, POISONED="4")
    first = batch("run", job, "--no-sheet", env=poisoned)
    assert first.returncode == -signal.SIGKILL
    second = batch("run", job, "--no-sheet", env=poisoned)
    assert second.returncode == 1, second.stderr
    assert "shard 1: its worker died (SIGKILL): it is tried once more" in second.stderr
    assert "shard 1 is set aside: its worker died 2 times" in second.stderr
    out = tmp_path / "out"
    assert sorted(p.name for p in out.glob("shard-*.json")) == [f"shard-{n:06d}.json" for n in (0, 2, 3)]
    master = frames(out / "master.h5")
    assert (master[3:6] == -1).all() and (master[[0, 1, 2, *range(6, 12)]] >= 0).all()
    third = batch("run", job, "--no-sheet", env=poisoned)
    assert third.returncode == 1 and "was set aside" in third.stderr, "it is not tried for ever"
    found = batch("verify", out)
    assert found.returncode == 1 and "shard 1: set aside" in found.stdout
    assert "set aside" in batch("status", out).stdout
    fourth = batch("run", job, "--no-sheet", "--retry")
    assert fourth.returncode == 0, fourth.stderr
    assert (frames(out / "master.h5") >= 0).all() and batch("verify", out).returncode == 0


def test_an_image_that_cannot_be_is_set_aside_at_once(tmp_path):
    (tmp_path / "t.csv").write_text("-lambda\n" + "1\n" * 4 + "1e-300\n" + "1\n" * 4)
    job = write_job(tmp_path, more='[[axis]]\ntable = "t.csv"\n', images_per_shard=3)
    found = batch("run", job, "--no-sheet")
    assert found.returncode == 1 and "Traceback" not in found.stderr
    assert found.stderr.count("shard 1 is set aside: image 4:") == 1 and "6 of 9 images" in found.stderr, found.stderr
    assert len(list((tmp_path / "out").glob("shard-*.json"))) == 2
    with h5py.File(tmp_path / "out" / "master.h5") as file:
        truth = file["entry/ground_truth"]
        assert (truth["number"][3:6] == -1).all() and np.isnan(truth["phi"][3:6]).all()
        assert (file["entry/instrument/beam/incident_wavelength"][3:6] == 1.0).all(), "readers stumble over NaN"


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk(tmp_path):
    """The job stops with one line, nothing is half written, and it goes on when there is room."""
    job, small = write_job(tmp_path, LARGER, images=60, images_per_shard=10), tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", small], capture_output=True).returncode:
        pytest.skip("this system lets nobody mount a small disk; the write error below is injected in another way")
    try:
        found = batch("run", job, "--no-sheet", "--output", small / "out")
        assert found.returncode == 1 and found.stderr.count("the disk is full") == 1 and "Traceback" not in found.stderr
        assert not left_over(small / "out") and list(small.glob("out/shard-*.json"))
        subprocess.run(["mount", "-o", "remount,size=60m", small], check=True)
        found = batch("run", job, "--no-sheet", "--output", small / "out")
        assert found.returncode == 0 and batch("verify", small / "out").returncode == 0
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_write_error(tmp_path):
    """Files may not grow beyond 60 kB: the system refuses in the middle of a frame."""
    job = write_job(tmp_path, LARGER, images=30, images_per_shard=30)

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    found = batch("run", job, "--no-sheet", preexec_fn=limited)
    assert (
        found.returncode == 1 and "writing failed: File too large" in found.stderr and "Traceback" not in found.stderr
    )
    assert os.listdir(tmp_path / "out") == ["job.json"]
    assert batch("run", job, "--no-sheet").returncode == 0 and batch("verify", tmp_path / "out").returncode == 0


def test_a_folder_that_vanishes(tmp_path):
    job = write_job(tmp_path, images=40, images_per_shard=2)
    with subprocess.Popen(
        command("run", job), env=environment(tmp_path, SLOW_S=0.1), stderr=subprocess.PIPE, text=True
    ) as run:
        wait_until(lambda: list((tmp_path / "out").glob("shard-*.json")))
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        said = run.stderr.read()
    assert run.returncode == 1 and str(tmp_path / "out") in said and "Traceback" not in said


@pytest.mark.parametrize("form", ["nxmx", "smv"])
def test_damaged_shards(form, tmp_path):
    """Each kind of damage is named by verify; what is cut short or gone is rendered again by the next run."""
    job, out = write_job(tmp_path, images=6, images_per_shard=2, format=form), tmp_path / "out"
    assert main(["run", str(job), "--no-sheet"]) == 0
    name = "shard-000001.h5" if form == "nxmx" else "image_000003.img"
    whole = (out / name).read_bytes()
    for at in np.random.default_rng(3).integers(0, len(whole), 12):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << int(at) % 8
        (out / name).write_bytes(damaged)
        found = batch("verify", out)
        assert found.returncode == 1 and name in found.stdout, f"a flipped bit at {at}"
    assert [batch("verify", out, "--part", f"{part}/3").returncode for part in range(3)] == [0, 1, 0]
    for damaged in (whole[:-100], b"", None):
        if damaged is None:
            (out / name).unlink()
        else:
            (out / name).write_bytes(damaged)
        assert batch("verify", out).returncode == 1
        assert json.loads(batch("status", out, "--json").stdout)["shards_damaged"] == [1]
        found = batch("run", job, "--no-sheet")
        assert found.returncode == 0 and "shard 1: its files are missing, cut short" in found.stderr
        assert batch("verify", out).returncode == 0


def test_folders_of_others(tmp_path, capsys):
    job = write_job(tmp_path, images=4)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    assert main(["run", str(job)]) == 1 and "holds files of something else" in capsys.readouterr().err
    (tmp_path / "out" / "thesis.tex").unlink()
    assert main(["run", str(job), "--no-sheet"]) == 0
    assert main(["run", str(write_job(tmp_path, images=4, seed=2))]) == 1
    error = capsys.readouterr().err
    assert "holds another job (seed differ)" in error
    (tmp_path / "out" / "job.json").write_text('{"digest": 3}')
    assert main(["run", str(job)]) == 1 and "not what nb-batch left" in capsys.readouterr().err
    for form in ("status", "verify", "master"):
        assert main([form, str(tmp_path)]) == 1 and "not the output folder of a job" in capsys.readouterr().err
        assert main([form, str(tmp_path / "none")]) == 1


def test_what_others_left_behind(tmp_path):
    """Claims of dead processes are cleared, and their shards rendered in processes of their own."""
    job = read_job(str(write_job(tmp_path, images=4, images_per_shard=2)))
    assert main(["run", str(tmp_path / "job.toml"), "--part", "1/2"]) == 0
    assert is_alive(HOST, os.getpid()) and is_alive("elsewhere", 1) is None
    zombie = subprocess.Popen([sys.executable, "-c", ""])
    wait_until(lambda: is_over(zombie.pid))  # it has ended, and nobody has asked how
    assert is_alive(HOST, zombie.pid) is False
    zombie.wait()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    out = tmp_path / "out"
    (out / f".shard-000000@{HOST}@{dead.pid}.claim").write_text("")
    (out / f".shard-000000.h5@{HOST}@{dead.pid}-0.part").write_text("half a frame")
    (out / ".shard-000000@another-machine@77.claim").write_text("")
    (out / f".shard-000000@{HOST}@1.claim").write_text("12")  # its number belongs to another process now
    found = batch("run", tmp_path / "job.toml", "--no-sheet")
    assert found.returncode == 0, found.stderr
    assert not left_over(out) and (frames(out / "master.h5") >= 0).all() and open_job(str(out)).digest == job.digest


def test_a_master_of_before_does_not_stay(tmp_path):
    """A shard that was set aside is there now; whoever rendered it died before the master was written."""
    job, out = write_job(tmp_path, images=8, images_per_shard=2), tmp_path / "out"
    assert batch("run", job, "--no-sheet", env=environment(tmp_path, POISONED="3")).returncode == -signal.SIGKILL
    assert batch("run", job, "--no-sheet", env=environment(tmp_path, POISONED="3")).returncode == 1
    before = (out / "master.h5").read_bytes()
    assert (frames(out / "master.h5")[2:4] == -1).all()
    assert batch("run", job, "--no-sheet", "--retry").returncode == 0
    (out / "master.h5").write_bytes(before)
    found = batch("verify", out)
    assert found.returncode == 1 and "master" in found.stdout
    assert batch("run", job, "--no-sheet").returncode == 0
    assert (frames(out / "master.h5") >= 0).all() and batch("verify", out).returncode == 0
    (out / "master.h5").unlink()
    assert batch("verify", out).returncode == 1 and batch("master", out).returncode == 0
    assert batch("verify", out).returncode == 0


@pytest.mark.parametrize("parts", [["0/1", "0/1"], ["0/2", "1/2"]])
def test_two_runs_in_one_folder(parts, tmp_path):
    """Neither harms the other, whether they share the shards or want the same."""
    job, out = write_job(tmp_path, images=16, images_per_shard=2), tmp_path / "out"
    slow = environment(tmp_path, SLOW_S=0.05)
    runs = [subprocess.Popen(command("run", job, "--no-sheet", "--part", part), env=slow, stderr=subprocess.PIPE, text=True)
            for part in parts]  # fmt: skip
    said = [run.communicate(timeout=120)[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    assert (out / "master.h5").exists(), "whoever ends last writes it"
    assert batch("verify", out).returncode == 0 and not left_over(out)


def test_records_of_a_wrong_shape(tmp_path):
    job, out = write_job(tmp_path, images=4, images_per_shard=2), tmp_path / "out"
    assert main(["run", str(job), "--no-sheet"]) == 0
    whole = json.loads((out / "shard-000001.json").read_text())
    wrong = [{key: value for key, value in whole.items() if key != name} for name in whole]
    wrong += [whole | change for change in ({"frames": 5}, {"files": [3]}, {"files": []}, {"seconds": "x"}, {"geometry": 1},
                                            {"frames": whole["frames"] * 2}, {"shapes": 3}, {"more": 1})]  # fmt: skip
    for record in [*wrong, [], None]:
        (out / "shard-000001.json").write_text(json.dumps(record))
        assert main(["status", str(out)]) == 0
        assert main(["verify", str(out)]) == 1
        assert main(["run", str(job), "--no-sheet"]) == 0, record
    assert main(["verify", str(out)]) == 0
    kept = json.loads((out / "job.json").read_text())
    for change in ({"folder": 3}, {"digest": 3}, {"job": []}, {"job": kept["job"] | {"images": "many"}}):
        (out / "job.json").write_text(json.dumps(kept | change))
        found = batch("run", job, "--no-sheet")
        assert found.returncode == 1 and "job.json" in found.stderr and "unexpected" not in found.stderr


@pytest.mark.parametrize("junk", ['{"a": 1}', "[]", '{"job": 3, "truths": 3}', ""])
def test_junk_instead_of_a_partial_shard_of_images(junk, tmp_path):
    job, out = write_job(tmp_path, images=4, images_per_shard=4, format="smv"), tmp_path / "out"
    assert main(["run", str(job), "--part", "1/2"]) == 0
    (out / ".shard-000000.partial").write_text(junk)
    assert main(["run", str(job), "--no-sheet"]) == 0 and main(["verify", str(out)]) == 0 and not left_over(out)


def test_images_of_their_own_are_gone_on_with(tmp_path):
    job, out = write_job(tmp_path, images=30, images_per_shard=30, format="smv"), tmp_path / "out"
    with subprocess.Popen(command("run", job, "--no-sheet"), env=environment(tmp_path, SLOW_S=0.05)) as run:
        wait_until((out / "image_000003.img").exists)
        run.send_signal(signal.SIGTERM)
    assert run.returncode == 75 and left_over(out) == [".shard-000000.partial"]
    assert batch("run", job, "--no-sheet", env=environment(tmp_path, POISONED="0 1 2")).returncode == 0
    assert batch("verify", out).returncode == 0 and not left_over(out)


def test_a_signal_at_the_beginning(tmp_path):
    """While packages load and files are read there is nothing to finish; from the first own line on it is 75."""
    job = write_job(tmp_path, images=400, images_per_shard=40)
    for reached, ends in ((lambda: True, {75, -signal.SIGUSR1}), ((tmp_path / "out" / "job.json").exists, {75})):
        with subprocess.Popen(command("run", job, "--no-sheet"), stderr=subprocess.DEVNULL) as run:
            wait_until(reached)
            run.send_signal(signal.SIGUSR1)
        assert run.returncode in ends
    assert batch("run", job, "--no-sheet").returncode == 0


def test_a_job_that_is_moved(tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "a.hkl").write_text("0 0 1 100\n0 1 0 50\n1 0 0 20\n")
    write_job(tmp_path / "here", "-hkl a.hkl -cell 30 40 50 90 90 90 -detpixels 8", images=6, images_per_shard=2)
    assert batch("run", tmp_path / "here" / "job.toml", "--part", "0/2").returncode == 0
    (tmp_path / "here").rename(tmp_path / "there")
    found = batch("run", tmp_path / "there" / "job.toml", "--workers", 1, "--no-sheet")
    assert found.returncode == 0 and batch("verify", tmp_path / "there" / "out").returncode == 0, found.stderr
