"""What is required must be there: with NANOBRAGG_REQUIRE=cref a missing C reference fails, it does not skip."""

import signal

import pytest

from tests import support

# Whoever runs the tests in the background has these ignored, and what the tests start would ignore them too.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


# Modules that take more than some seconds: they start many processes, compile, or render much. `make check` leaves
# them out.
SLOW = {
    "test_batch_dask",
    "test_batch_faults",
    "test_batch_job",
    "test_batch_model",
    "test_batch_output",
    "test_batch_progress",
    "test_batch_readers",
    "test_batch_slurm",
    "test_compare",
    "test_damage",
    "test_dials",
    "test_gpu_static",
    "test_kept",
    "test_package",
    "test_spots",
    "test_structures",
    "test_trace_diff",
    "test_tutorial",
    "test_vector_code",
    "test_view",
    "test_whole",
}


def pytest_collection_modifyitems(items):
    for item in items:
        if item.module.__name__.rpartition(".")[2] in SLOW:
            item.add_marker(pytest.mark.slow)


def pytest_report_header():
    shared = "found" if support.SHARED.exists() else "absent (the lysozyme cases are left out)"
    libm = "the recorded one" if support.libm_is_the_recorded_one() else "another: figures are compared to 1e-12"
    cref = "built" if support.cref_is_there() else "absent"
    return [f"C reference: {cref}; shared folder: {shared}; C library: {libm}; {len(support.CASES)} golden cases"]


def pytest_runtest_setup(item):
    if item.get_closest_marker("cref") and not support.cref_is_there():
        if "cref" in support.REQUIRED:
            pytest.fail("the C reference is required (NANOBRAGG_REQUIRE=cref) and was not built")
        pytest.skip("the C reference was not built")
