"""These tests need a GPU, or NANOBRAGG_CUDA=on-cpu, set for this folder alone by ``make test`` (see on_cpu.py)."""

import os

import pytest

from nanobragg.kernels.backend import Unavailable
from nanobragg.kernels.cuda import host as cuda
from tests.support import REQUIRED

ON_CPU = os.environ.get("NANOBRAGG_CUDA") == "on-cpu"
NEED_THE_ENGINE = ["test_driver.py", "test_launches.py", "test_mutants.py", "test_random_lines.py"]
if ON_CPU:
    from tests.gpu import on_cpu

    on_cpu.engine()


def why_not():
    try:
        cuda.open_device()
    except Unavailable as error:
        return str(error)
    return ""


REASON = why_not()
if REASON and "gpu" not in REQUIRED:
    collect_ignore_glob = ["test_*.py"]  # `make test` comes here again with the engine on a CPU
elif not ON_CPU:
    collect_ignore_glob = NEED_THE_ENGINE


def pytest_report_header():
    return f"GPU: {REASON or cuda.open_device().name}"


def pytest_runtest_setup(item):
    if REASON:
        pytest.fail(f"a GPU is required (NANOBRAGG_REQUIRE=gpu): {REASON}")


@pytest.fixture(autouse=True)
def nothing_wrong():
    """No launch may read or write what is not its own, race, or miss a barrier; blocks are small on a CPU."""
    if not ON_CPU:
        yield None
        return
    engine = on_cpu.engine()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuda, "THREADS", 32)
        engine.set(threads_at_once=0, reversed=0)
        yield engine
        complaint = engine.complaint()
        engine.forget()
        assert not complaint, complaint


@pytest.fixture
def engine(nothing_wrong):
    """The engine on a CPU."""
    return nothing_wrong
