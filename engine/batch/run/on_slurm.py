"""Workers of dask that are jobs of Slurm, submitted by dask-jobqueue, one worker a job."""

from __future__ import annotations

import contextlib
import json
import shutil
from typing import Any

from nanobragg.engine.batch.run.on_dask import FOR_WORKERS_S, await_workers, configure, dask, nodes
from nanobragg.engine.errors import BadInput

OURS = ("scheduler_options", "security", "protocol", "shared_temp_directory", "scheduler_cls", "job_cls")
ADDED_TO = "worker_extra_args"


def options_of(given: list[str]) -> dict[str, Any]:
    """KEY=VALUE as arguments of ``SLURMCluster``; a value is JSON where it can be read as that, else a text."""
    options: dict[str, Any] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not key.isidentifier() or not equals:
            raise BadInput(f"--slurm-option {text}: not KEY=VALUE")
        if key in OURS:
            raise BadInput(f"--slurm-option {key}: is set by nb-batch, so that nobody else can talk to its workers")
        try:
            options[key] = json.loads(value)
        except ValueError:
            options[key] = value
    if not isinstance(options.get(ADDED_TO, []), list):
        raise BadInput(f'--slurm-option {ADDED_TO}: not a list of texts, ["--lifetime", "1h"] for instance')
    return options


def client(workers: int, options: dict[str, Any], output: str) -> Any:
    """A client of so many workers; certificates lie in the output folder.

    Raises
    ------
    BadInput
        If there is no Slurm here, it refuses all jobs, or starts none of them in time.
    """
    distributed = dask()
    configure()
    if shutil.which("sbatch") is None:
        raise BadInput("--slurm-workers: there is no sbatch here: this machine cannot submit to Slurm")
    try:
        from dask_jobqueue.slurm import SLURMCluster, SLURMJob
    except ImportError:
        raise BadInput("--slurm-workers needs dask-jobqueue: pip install 'nanobragg[batch]'") from None
    refused: list[str] = []

    class Submission(SLURMJob):
        """Keeps what Slurm says where it refuses."""

        async def _submit_job(self, script: str) -> Any:
            try:
                return await super()._submit_job(script)
            except Exception as error:
                refused.append(_last_line(error))
                raise

    class Cluster(SLURMCluster):
        """Submits such."""

        job_cls = Submission

    def check() -> None:
        if len(refused) >= workers:
            raise BadInput(f"--slurm-workers: Slurm refuses the job: {refused[0]}")

    try:
        given: dict[str, Any] = {
            "cores": 1, "processes": 1, "memory": "2GB", "security": nodes().certificates(), "protocol": "tls://",
            "scheduler_options": {"dashboard": False},  # its pages start by themselves where bokeh is installed
            "shared_temp_directory": nodes().own_folder(output), "scheduler_cls": nodes().QuietScheduler,
        }  # fmt: skip
        ours = ["--worker-class", nodes().WORKER, "--no-dashboard"]
        cluster = Cluster(**given | options | {ADDED_TO: [*ours, *options.get(ADDED_TO, [])]})
        cluster.scale(jobs=workers)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        raise BadInput(f"--slurm-workers: {error}") from None
    own = distributed.Client(cluster)
    try:
        await_workers(own, check)
    except (BadInput, TimeoutError) as error:
        for side in (own, cluster):
            with contextlib.suppress(Exception):
                side.close(timeout=5)
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"--slurm-workers: Slurm has started no worker in {FOR_WORKERS_S} s (squeue says why)") from None
    return own


def _last_line(error: Exception) -> str:
    """What a program that failed said last."""
    said = [line for line in str(error).splitlines() if line.strip()]
    return said[-1] if said else type(error).__name__
