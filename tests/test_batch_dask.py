"""Workers of dask: the same frames as in one process, whoever is killed on the way."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from nanobragg.cli.batch.command import main
from nanobragg.engine.batch.run import on_slurm
from nanobragg.engine.errors import BadInput
from tests.batch_support import batch, command, digests, environment, is_over, wait_until, write_job
from tests.test_batch_faults import LARGER, left_over

IMAGES = {"images": 200, "images_per_shard": 7}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """200 images of 256 x 256, rendered by one process in peace; their digests."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert main(["run", str(write_job(folder, LARGER, **IMAGES)), "--no-sheet"]) == 0
    return digests(folder / "out" / "master.h5")


def workers_at_work(out):
    """Process numbers of workers that have claimed shards."""
    return sorted({int(name.split("@")[2].split(".")[0]) for name in os.listdir(out) if name.endswith(".claim")})


def test_workers_and_driver_killed_five_times(undisturbed, tmp_path):
    job, out, chance = write_job(tmp_path, LARGER, **IMAGES), tmp_path / "out", random.Random(2)
    victims = []
    for victim in ("worker", "driver", "worker", "worker", "driver"):
        before = len(list(out.glob("shard-*.json")))
        run = subprocess.Popen(command("run", job, "--workers", 2, "--no-sheet"), stderr=subprocess.PIPE, text=True)
        at_work = chance.uniform(0.0, 0.1)  # s; kills come at any moment of an image

        def is_the_moment(run=run, before=before, at_work=at_work, seen=[]):  # noqa: B006
            if out.exists() and len(list(out.glob("shard-*.json"))) > before and workers_at_work(out):
                seen.append(time.monotonic())
            return run.poll() is not None or (seen and time.monotonic() > seen[0] + at_work)

        wait_until(is_the_moment)
        pids = workers_at_work(out)
        if run.poll() is None and pids:
            os.kill(run.pid if victim == "driver" else pids[0], signal.SIGKILL)
            victims.append(victim)
        if victim == "worker":
            wait_until(lambda pids=pids: not pids or is_over(pids[0]))
            run.terminate()
        run.stderr.close()
        run.wait(60)
        wait_until(
            lambda pids=pids: not any(os.path.exists(f"/proc/{pid}") for pid in pids), 90
        )  # none outlives its driver
    assert len(victims) >= 4 and len(list(out.glob("shard-*.json"))) < 29, "it was over too soon to be disturbed"
    found = batch("run", job, "--workers", 2, "--no-sheet", "--retry")
    assert found.returncode == 0, found.stderr
    assert digests(out / "master.h5") == undisturbed and batch("verify", out).returncode == 0 and not left_over(out)


def test_a_poison_image_kills_two_workers_and_no_more(tmp_path):
    job, poisoned = write_job(tmp_path, images=20, images_per_shard=2), environment(tmp_path, POISONED="5")
    found = batch("run", job, "--workers", 2, "--no-sheet", env=poisoned)
    assert found.returncode == 1, found.stderr
    assert "shard 2: its worker died" in found.stderr and "shard 2 is set aside" in found.stderr
    assert len(list((tmp_path / "out").glob("shard-*.json"))) == 9 and "Traceback" not in found.stderr


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("to_all", [False, True])
def test_a_signal_stops_the_workers(number, to_all, tmp_path):
    """Sent to the driver alone, or to all processes, as terminals and Slurm do."""
    job, slow = write_job(tmp_path, images=60, images_per_shard=30), environment(tmp_path, SLOW_S=0.1)
    with subprocess.Popen(
        command("run", job, "--workers", 2, "--no-sheet"),
        env=slow,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as run:
        wait_until(lambda: len(list((tmp_path / "out").glob(".shard-*.part"))) == 2)  # each has an image
        (os.killpg if to_all else os.kill)(run.pid, number)
        said = run.stderr.read()
    assert run.returncode == 75 and "Traceback" not in said, said
    assert left_over(tmp_path / "out") and all(name.endswith(".partial") for name in left_over(tmp_path / "out"))


def test_a_full_disk_stops_all(tmp_path):
    import resource

    job = write_job(tmp_path, LARGER, images=60, images_per_shard=30)
    found = batch("run", job, "--workers", 2, "--no-sheet",
                  preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000)))  # fmt: skip
    assert found.returncode == 1 and found.stderr.count("writing failed") == 1 and "Traceback" not in found.stderr
    assert os.listdir(tmp_path / "out") == ["job.json"]


@contextlib.contextmanager
def scheduler_of_others(folder, env=None):
    """The file of a scheduler with two workers, which have the environment ``env``."""
    file, dask = folder / "scheduler.json", [sys.executable, "-m"]
    processes = [
        subprocess.Popen([*dask, "distributed.cli.dask_scheduler", "--scheduler-file", file, "--port", "0",
                          "--no-dashboard"], stderr=subprocess.DEVNULL),
        subprocess.Popen([*dask, "distributed.cli.dask_worker", "--scheduler-file", file, "--nthreads", "1",
                          "--nworkers", "2", "--no-dashboard"], stderr=subprocess.DEVNULL, env=env),
    ]  # fmt: skip
    try:
        wait_until(file.exists)
        yield file
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(30)


def test_a_scheduler_that_is_there_already(undisturbed, tmp_path):
    """Two jobs on one scheduler, by its file; then one that is not there."""
    with scheduler_of_others(tmp_path) as file:
        for name, keys in (("first", IMAGES), ("second", {"images": 5})):
            (tmp_path / name).mkdir()
            found = batch("run", write_job(tmp_path / name, LARGER, **keys), "--scheduler", file, "--no-sheet")
            assert found.returncode == 0, found.stderr
        assert digests(tmp_path / "first" / "out" / "master.h5") == undisturbed
        assert digests(tmp_path / "second" / "out" / "master.h5") == undisturbed[:5]


def test_a_driver_that_is_followed_at_once(undisturbed, tmp_path):
    """Workers of a killed driver are still at shards when the next one begins."""
    job, out = write_job(tmp_path, LARGER, **IMAGES), tmp_path / "out"
    with subprocess.Popen(command("run", job, "--workers", 2, "--no-sheet"), stderr=subprocess.DEVNULL) as run:
        wait_until(lambda: out.exists() and len(workers_at_work(out)) == 2)
        run.kill()
    found = batch("run", job, "--no-sheet")
    assert found.returncode == 0 and digests(out / "master.h5") == undisturbed, found.stderr


def test_poison_on_a_scheduler_of_others(tmp_path):
    """Two workers die, however many deaths the scheduler would allow."""
    deaths = tmp_path / "deaths"
    with scheduler_of_others(tmp_path, environment(tmp_path, POISONED="5", DEATHS=deaths)) as file:
        found = batch("run", write_job(tmp_path, images=20, images_per_shard=2), "--scheduler", file, "--no-sheet")
        assert found.returncode == 1 and deaths.read_text() == "xx", found.stderr
        assert len(list((tmp_path / "out").glob("shard-*.json"))) == 9


def test_workers_alone_are_told_to_go(undisturbed, tmp_path):
    """They finish their image and go; the cluster starts others, which go on from there."""
    job, out = write_job(tmp_path, LARGER, **IMAGES), tmp_path / "out"
    with subprocess.Popen(command("run", job, "--workers", 2, "--no-sheet"), stderr=subprocess.PIPE, text=True) as run:
        wait_until(lambda: out.exists() and len(workers_at_work(out)) == 2)
        for pid in workers_at_work(out):
            os.kill(pid, signal.SIGTERM)
        said = run.communicate(timeout=120)[1]
    assert run.returncode == 0 and "Traceback" not in said, said
    assert digests(out / "master.h5") == undisturbed and batch("verify", out).returncode == 0 and not left_over(out)


def test_a_scheduler_that_is_not_there(tmp_path):
    found = batch("run", write_job(tmp_path, images=2), "--scheduler", "tcp://127.0.0.1:1", env=os.environ | {
        "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "2s"})  # fmt: skip
    assert found.returncode == 1 and "--scheduler tcp://127.0.0.1:1" in found.stderr and "Traceback" not in found.stderr
    (tmp_path / "junk.json").write_text('{"id": 3}')
    found = batch("run", tmp_path / "job.toml", "--scheduler", tmp_path / "junk.json")
    assert found.returncode == 1 and "junk.json" in found.stderr and "Traceback" not in found.stderr
    found = batch("run", tmp_path / "job.toml", "--slurm-workers", 1, env=environment(tmp_path, PATH="/nowhere"))
    assert found.returncode == 1 and "no sbatch" in found.stderr.splitlines()[-1] and "Traceback" not in found.stderr


def test_a_slurm_that_refuses(tmp_path):
    """In one line, at once."""
    sbatch = tmp_path / "bin" / "sbatch"
    sbatch.parent.mkdir()
    sbatch.write_text("#!/bin/sh\necho 'sbatch: error: Invalid account' >&2\nexit 1\n")
    sbatch.chmod(0o755)
    env = environment(tmp_path, PATH=f"{sbatch.parent}{os.pathsep}{os.environ['PATH']}")
    begun = time.monotonic()
    found = batch("run", write_job(tmp_path, images=2), "--slurm-workers", 2, env=env)
    assert found.returncode == 1 and time.monotonic() - begun < 60
    assert found.stderr.splitlines()[-1].endswith("Slurm refuses the job: sbatch: error: Invalid account")
    assert "Traceback" not in found.stderr and "never retrieved" not in found.stderr


def test_slurm_options_add_and_do_not_replace():
    assert on_slurm.options_of(["walltime=01:00", "cores=2"]) == {"walltime": "01:00", "cores": 2}
    for wrong, says in {
        "security=1": "is set by nb-batch",
        "worker_extra_args=x": "not a list",
        "x": "KEY=VALUE",
    }.items():
        with pytest.raises(BadInput, match=says):
            on_slurm.options_of([wrong])


def test_a_gpu_that_fails(tmp_path):
    """The other worker goes on; if all fail, the job stops, and nothing is set aside."""
    job = write_job(tmp_path, images=12, images_per_shard=2)
    broken = environment(tmp_path, GPUS=2, BROKEN_DEVICE=1)
    found = batch("run", job, "--workers", 2, "--no-sheet", env=broken)
    assert found.returncode == 0 and "go on without this worker" in found.stderr, found.stderr
    assert batch("verify", tmp_path / "out").returncode == 0
    (tmp_path / "all").mkdir()
    job, broken = write_job(tmp_path / "all", images=12, images_per_shard=2), environment(tmp_path, BROKEN_DEVICE="all")
    for options in (["--workers", 2], []):
        found = batch("run", job, *options, "--no-sheet", env=broken)
        assert found.returncode == 1 and "fallen off the bus" in found.stderr and "Traceback" not in found.stderr
    assert os.listdir(tmp_path / "all" / "out") == ["job.json"]


def test_a_backend_that_is_not_there(tmp_path):
    job = write_job(tmp_path, images=4, backend="cuda")
    for options in (["--workers", 2], []):
        found = batch("run", job, *options, "--no-sheet")
        assert found.returncode == 1 and found.stderr.count("--backend cuda") == 1 and "Traceback" not in found.stderr
    assert os.listdir(tmp_path / "out") == ["job.json"], "no shard is set aside for it"
