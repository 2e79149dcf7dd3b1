"""These tests need a GPU, or the simulator: NUMBA_ENABLE_CUDASIM=1, set for this folder alone by ``make test``."""

import os

import pytest

from nanobragg.kernels.cuda import host as cuda
from tests.support import REQUIRED

SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM") == "1"


def why_not():
    try:
        cuda.open_device()
    except cuda.Unavailable as error:
        return str(error)
    return ""


REASON = why_not()
if REASON and "gpu" not in REQUIRED:
    collect_ignore_glob = ["test_*.py"]  # `make test` comes here again with the simulator
elif SIMULATED:
    collect_ignore_glob = ["test_golden_images.py"]


def pytest_report_header():
    if SIMULATED:
        return "GPU: the simulator; the golden images need a device (make test-gpu)"
    return f"GPU: {REASON or cuda.open_device().name}"


def pytest_runtest_setup(item):
    if REASON:
        pytest.fail(f"a GPU is required (NANOBRAGG_REQUIRE=gpu): {REASON}")
