"""Schedulers and workers of dask that only we can talk to: encrypted, each side known by a certificate, no web pages.

Whoever can send a task to a worker of dask runs code as its user, and without certificates that is everybody on the
machine, or on the network.
"""

from __future__ import annotations

import os
from typing import Any

import distributed

from nanobragg.engine.batch.store.folder import CLUSTER
from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.reading import reason

WORKER = "nanobragg.engine.batch.run.dask_nodes.QuietWorker"


class _NoPages:
    """Opens no port for web pages: nobody has asked for them."""

    def start_http_server(self, *arguments: Any, **options: Any) -> None:
        """Leave it."""


class QuietScheduler(_NoPages, distributed.Scheduler):
    """A scheduler without web pages."""


class QuietWorker(_NoPages, distributed.Worker):
    """A worker without web pages."""


def certificates() -> distributed.Security:
    """Certificates that nobody else has.

    Raises
    ------
    BadInput
        If the package that makes them is missing.
    """
    try:
        return distributed.Security.temporary()
    except ImportError:
        raise BadInput("workers need the package cryptography: pip install 'nanobragg[batch]'") from None


def cluster(workers: int, security: distributed.Security, host: str) -> distributed.SpecCluster:
    """A scheduler of this process and worker processes of this machine."""
    reached: dict[str, Any] = {"host": host, "protocol": "tls://", "security": security}
    worker = {
        "cls": distributed.Nanny,
        "options": {"nthreads": 1, "memory_limit": 0, "silence_logs": 50, "worker_class": QuietWorker} | reached,
    }
    return distributed.SpecCluster(
        workers=dict.fromkeys(range(workers), worker),
        scheduler={"cls": QuietScheduler, "options": reached | {"port": 0}},
        security=security, silence_logs=50,
    )  # fmt: skip


def own_folder(output: str) -> str:
    """The folder for addresses and certificates in that of a job, made so that nobody else can look into it."""
    folder = os.path.join(output, CLUSTER)
    try:
        os.makedirs(output, exist_ok=True)
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{folder}: {reason(error)}") from None
    check_own(folder, 0o077)
    return folder


def check_own(folder: str, others: int = 0o022) -> None:
    """Raise `BadInput` unless a folder is this user's, and ``others`` (bits of its mode) have no part in it."""
    try:
        found = os.stat(folder or os.curdir)
    except OSError as error:
        raise BadInput(f"{folder}: {reason(error)}") from None
    if found.st_uid != os.getuid() or found.st_mode & others:
        raise BadInput(
            f"{folder or os.curdir}: belongs to others, or others can write to it: what a file in it says of a "
            "scheduler is not trusted"
        )
