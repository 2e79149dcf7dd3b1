"""What is required must be there: with NANOBRAGG_REQUIRE=cref a missing C reference fails, it does not skip."""

import signal

import pytest

from tests import support

# Whoever runs the tests in the background has these ignored, and what the tests start would ignore them too.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


# What `make check` runs, in less than a minute together; all other modules are marked slow: they start many processes,
# compile, or render much.
QUICK = (
    "test_beamlines test_command test_detectors test_files test_geometry_files test_house test_model test_output "
    "test_panels test_parse test_philox test_polynomials test_random test_remarks test_set_up"
).split()


def pytest_collection_modifyitems(items):
    for item in items:
        if item.module.__name__.rpartition(".")[2] not in QUICK:
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
