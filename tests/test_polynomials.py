"""The coefficients of the fast kernels, made again by the script that made them."""

import importlib.util

import mpmath as mp
import pytest

from nanobragg.kernels.step import polynomials
from tests.support import ROOT

spec = importlib.util.spec_from_file_location("minimax", ROOT / "benchmarks" / "minimax.py")
minimax = importlib.util.module_from_spec(spec)
spec.loader.exec_module(minimax)


@pytest.mark.parametrize(
    ("name", "make", "error"),
    [
        ("SINE", lambda: minimax.sine(6), 7e-14),
        ("SINE_SINGLE", lambda: minimax.sine(4), 6e-9),
        ("COSINE", lambda: minimax.cosine(7), 2e-15),
        ("SPHERE", lambda: minimax.sphere(7, mp.mpf(3) / 4), 2e-14),
    ],
)
def test_coefficients(name, make, error):
    coefficients, worst = make()
    kept = getattr(polynomials, name)
    assert tuple(type(c)(float(exact)) for c, exact in zip(kept, coefficients, strict=True)) == kept
    assert worst < error
