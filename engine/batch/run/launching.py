"""Where workers come from: a share of the shards for this process, or a dask cluster of one kind or another."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from typing import Any

from nanobragg.engine.batch.run import on_dask, on_slurm
from nanobragg.engine.errors import BadInput
from nanobragg.engine.own_python import running
from nanobragg.kernels.whole import PRIVATE, appearing

WHOLE = (0, 1)
WAIT_S, LOOK_S = 300.0, 0.2


def part_of(text: str | None) -> tuple[int, int]:
    """This process' part of the shards, and of how many; for ``slurm`` from the task's and the array's numbers.

    Raises
    ------
    BadInput
        For anything but I/N with I below N, and outside of Slurm.
    """
    if text is None:
        return WHOLE
    if text == "slurm":
        return _slurm_part()
    part, _, parts = text.partition("/")
    if not (part.isascii() and part.isdigit() and parts.isascii() and parts.isdigit() and int(part) < int(parts)):
        raise BadInput(f"--part {text}: not I/N with I from 0 to N - 1, nor slurm")
    return int(part), int(parts)


def _number(name: str, option: str, default: int | None = None) -> int:
    value = os.environ.get(name, "")
    if value.isdigit():
        return int(value)
    if default is None:
        raise BadInput(f"{option}: {name} is not set: this is no task of Slurm (srun, or a job array)")
    return default


def _slurm_part() -> tuple[int, int]:
    """Tasks of all steps of an array, one after the other."""
    option = "--part slurm"
    array = _number("SLURM_ARRAY_TASK_COUNT", option, 1)
    first = _number("SLURM_ARRAY_TASK_MIN", option, 0)
    step = max(_number("SLURM_ARRAY_TASK_STEP", option, 1), 1)
    place = (_number("SLURM_ARRAY_TASK_ID", option, first) - first) // step
    rank, tasks = _number("SLURM_PROCID", option), _number("SLURM_NTASKS", option, 1)
    return place * tasks + rank, array * tasks


def cluster(options: Any, output: str) -> contextlib.AbstractContextManager[Any] | None:
    """A dask client of what the options ask for, or ``None`` if they ask for no workers."""
    if options.workers is not None:
        return _closing(on_dask.local_client(options.workers))
    if options.scheduler is not None:
        return on_dask.client_of(options.scheduler)
    if options.slurm_workers is not None:
        return _closing(on_slurm.client(options.slurm_workers, on_slurm.options_of(options.slurm_option), output))
    if options.dask_srun:
        return srun_cluster(output)
    return None


@contextlib.contextmanager
def _closing(client: Any) -> Iterator[Any]:
    """A client whose cluster ends with it."""
    try:
        yield client
    finally:
        with contextlib.suppress(Exception):
            client.close(timeout=5)
        with contextlib.suppress(Exception):
            client.cluster.close(timeout=20)


def _step_file(output: str, what: str) -> str:
    """Where task 0 of an srun says how it is reached (``address``), and by whom (``cert``, ``key``)."""
    names = ("SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_RESTART_COUNT")  # a job that is queued again has the same number
    step = "-".join(os.environ.get(name, "0") for name in names)
    return os.path.join(on_dask.nodes().own_folder(output), f"{what}-{step}")


def _worker_command(output: str, address: str, rank: int) -> list[str]:
    cert, key = _step_file(output, "cert"), _step_file(output, "key")
    return [*running("distributed.cli.dask_worker"), address, "--nthreads", "1", "--name", str(rank),
            "--memory-limit", "0", "--no-dashboard", "--death-timeout", "60", "--protocol", "tls",
            "--worker-class", on_dask.nodes().WORKER, "--tls-ca-file", cert, "--tls-cert", cert,
            "--tls-key", key]  # fmt: skip


def quiet() -> dict[str, str]:
    """The environment of a worker that does not tell its life story."""
    return os.environ | {"DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "critical"}


def serve_as_worker(output: str) -> bool:
    """In a task of srun that is not the first: be a worker until the driver ends; in the first: return False.

    Raises
    ------
    BadInput
        Outside of srun, or if the first task does not say how it is reached.
    """
    rank = _number("SLURM_PROCID", "--dask-srun")
    if rank == 0:
        return False
    begun = time.monotonic()
    while not os.path.exists(_step_file(output, "address")):
        if time.monotonic() - begun > WAIT_S:
            raise BadInput(f"--dask-srun: task 0 has not started within {WAIT_S:g} s")
        time.sleep(LOOK_S)
    with open(_step_file(output, "address"), encoding="utf-8") as file:
        address = file.read().strip()
    subprocess.run(_worker_command(output, address, rank), env=quiet(), check=False)
    return True


@contextlib.contextmanager
def srun_cluster(output: str) -> Iterator[Any]:
    """A client of the workers that the tasks of this srun are, this one included."""
    distributed, nodes = on_dask.dask(), on_dask.nodes()
    on_dask.configure()
    security = nodes.certificates()
    cluster = nodes.cluster(0, security, distributed.utils.get_ip())
    said = {"cert": security.tls_ca_file, "key": security.tls_client_key, "address": cluster.scheduler_address}
    files = {what: _step_file(output, what) for what in said}
    for what, content in said.items():
        with appearing(files[what], mode=PRIVATE) as file:
            file.write(content.encode())
    own = subprocess.Popen(_worker_command(output, cluster.scheduler_address, 0), env=quiet())
    client = distributed.Client(cluster)
    try:
        on_dask.await_workers(client)
        yield client
    finally:
        for name in files.values():
            with contextlib.suppress(OSError):
                os.unlink(name)
        with contextlib.suppress(Exception):
            client.shutdown()
        with contextlib.suppress(subprocess.TimeoutExpired):
            own.wait(30)
        own.kill()
