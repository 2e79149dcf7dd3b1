"""The ways through Slurm, on a Slurm of this machine alone (`one_node_slurm.sh`)."""

import os
import shutil
import subprocess
import time

import pytest

from nanobragg.cli.batch.command import main
from nanobragg.engine.batch.store.folder import CLUSTER
from tests.batch_support import command, digests, environment, wait_until, write_job
from tests.support import HERE, REQUIRED, ROOT
from tests.test_batch_faults import left_over

IS_THERE = all(shutil.which(name) for name in ("slurmctld", "slurmd", "munged", "srun")) and os.geteuid() == 0
SCRIPT = HERE / "one_node_slurm.sh"
IMAGES = {"images": 24, "images_per_shard": 3}


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    if not IS_THERE:
        if "slurm" in REQUIRED:
            pytest.fail("Slurm is required (NANOBRAGG_REQUIRE=slurm): apt-get install slurm-wlm munge, and be root")
        pytest.skip("Slurm is not installed, or we are not root: apt-get install slurm-wlm munge")
    folder = tmp_path_factory.mktemp("slurm")
    subprocess.run([SCRIPT, "start", folder], check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    yield {"SLURM_CONF": str(folder / "slurm.conf")}
    subprocess.run([SCRIPT, "stop", folder], check=True)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    assert main(["run", str(write_job(folder, **IMAGES)), "--no-sheet"]) == 0
    return digests(folder / "out" / "master.h5")


def ran(words, env, **options):
    found = subprocess.run(
        [str(word) for word in words], env=env, capture_output=True, text=True, timeout=200, **options
    )
    assert found.returncode == 0, found.stderr
    return found


def test_a_share_for_each_task(slurm, undisturbed, tmp_path):
    job, env = write_job(tmp_path, **IMAGES), environment(tmp_path) | slurm
    ran(["srun", "-n", 2, *command("run", job, "--part", "slurm", "--threads", 1, "--no-sheet")], env)
    assert digests(tmp_path / "out" / "master.h5") == undisturbed


def test_tasks_of_a_job_array(slurm, undisturbed, tmp_path):
    job, env = write_job(tmp_path, **IMAGES), environment(tmp_path) | slurm
    line = " ".join(command("run", job, "--part", "slurm", "--threads", 1, "--no-sheet"))
    (tmp_path / "array.sh").write_text(f"#!/bin/bash\n#SBATCH --array=4-8:2\n{line}\n")
    ran(["sbatch", "-W", "array.sh"], env, cwd=tmp_path)
    assert digests(tmp_path / "out" / "master.h5") == undisturbed
    assert len(list(tmp_path.glob("slurm-*.out"))) == 3


def test_a_signal_before_the_time_limit(slurm, undisturbed, tmp_path):
    """Slurm sends USR1 to all tasks; each finishes its image and exits 75; the same line goes on."""
    job, slow = write_job(tmp_path, **IMAGES), environment(tmp_path, SLOW_S=0.2) | slurm
    line = ["srun", "-n", "2", "-J", "stopped", *command("run", job, "--part", "slurm", "--threads", 1, "--no-sheet")]
    with subprocess.Popen(line, env=slow, stderr=subprocess.PIPE, text=True) as run:
        wait_until(lambda: list((tmp_path / "out").glob("shard-*.json")))
        subprocess.run(["scancel", "--signal=USR1", "--name=stopped"], env=slow, check=True)
        said = run.stderr.read()
    assert run.returncode == 75 and said.count("goes on from here") == 2, said
    ran(line, environment(tmp_path) | slurm)
    assert digests(tmp_path / "out" / "master.h5") == undisturbed and not left_over(tmp_path / "out")


def test_dask_inside_one_srun(slurm, undisturbed, tmp_path):
    job, env = write_job(tmp_path, **IMAGES), environment(tmp_path) | slurm
    found = ran(["srun", "-n", 2, *command("run", job, "--dask-srun", "--threads", 1, "--no-sheet")], env)
    assert digests(tmp_path / "out" / "master.h5") == undisturbed and "Traceback" not in found.stderr
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".nb-batch")]
    assert not os.listdir(tmp_path / "out" / CLUSTER)


def test_workers_that_are_jobs(slurm, undisturbed, tmp_path):
    job, env = write_job(tmp_path, **IMAGES), environment(tmp_path) | slurm
    ran([*command("run", job, "--slurm-workers", 2, "--no-sheet", "--slurm-option", "job_cpu=1")], env, cwd=tmp_path)
    assert digests(tmp_path / "out" / "master.h5") == undisturbed
    queue = subprocess.run(["squeue", "-h"], env=env, capture_output=True, text=True, check=True).stdout
    assert not queue.strip() or "CG" in queue, "jobs are left behind"


def test_outside_of_slurm(tmp_path, capsys, monkeypatch):
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    job = write_job(tmp_path, images=2)
    for option in (["--part", "slurm"], ["--dask-srun"]):
        assert main(["run", str(job), *option]) == 1 and "SLURM_PROCID is not set" in capsys.readouterr().err
    for part in ("3/3", "a/b", "-1/2", "1", "1/0"):
        assert main(["run", str(job), f"--part={part}"]) == 1 and "not I/N" in capsys.readouterr().err


@pytest.mark.parametrize(("numbers", "part"), [
    ({"PROCID": 3, "NTASKS": 8}, (3, 8)),
    ({"PROCID": 1, "NTASKS": 2, "ARRAY_TASK_ID": 6, "ARRAY_TASK_MIN": 2, "ARRAY_TASK_STEP": 2, "ARRAY_TASK_COUNT": 5}, (5, 10)),
    ({"PROCID": 0, "ARRAY_TASK_ID": 9, "ARRAY_TASK_MIN": 0, "ARRAY_TASK_COUNT": 10}, (9, 10)),
])  # fmt: skip
def test_the_part_of_a_task(numbers, part, monkeypatch):
    from nanobragg.engine.batch.run.launching import part_of

    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    for name, value in numbers.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    assert part_of("slurm") == part


def test_the_script_of_the_examples(slurm, undisturbed, tmp_path):
    """Signalled, it is queued again by itself, and goes on."""
    job, env = write_job(tmp_path, **IMAGES), environment(tmp_path, SLOW_S=0.1) | slurm
    (tmp_path / "nb-batch").write_text(f'#!/bin/bash\nexec {" ".join(command())} "$@" --threads 1 --no-sheet\n')
    (tmp_path / "nb-batch").chmod(0o755)
    env["NB_BATCH"] = str(tmp_path / "nb-batch")
    number = ran(["sbatch", "--parsable", ROOT / "examples" / "batch.slurm", job], env, cwd=tmp_path).stdout.strip()

    def state():
        found = subprocess.run(["squeue", "-h", "-j", number, "-o", "%T"], env=env, capture_output=True, text=True)
        return found.stdout.strip()

    wait_until(lambda: (tmp_path / "out").exists() and list((tmp_path / "out").glob("shard-*.json")), 60)
    subprocess.run(["scancel", "--signal=USR1", number], env=env, check=True)
    wait_until(lambda: state() == "PENDING", 60)
    assert "goes on from here" in (tmp_path / f"slurm-{number}.out").read_text()
    assert not (tmp_path / "out" / "master.h5").exists()

    def is_begun_again():
        """By itself Slurm waits minutes before it begins the job again."""
        subprocess.run(["scontrol", "update", f"JobId={number}", "StartTime=now"], env=env, capture_output=True)
        return state() != "PENDING"

    time.sleep(2.5)  # Slurm ends for good a job that begins in the second in which it was killed
    wait_until(lambda: is_begun_again() and not state() and (tmp_path / "out" / "master.h5").exists(), 200)
    assert digests(tmp_path / "out" / "master.h5") == undisturbed
