"""What GPU kernels take, from their machine code: bounds on registers, spills, stack and binary64 instructions."""

import pytest

from benchmarks import gpu_static

KERNELS = {name: (kernel, arguments) for name, kernel, arguments in gpu_static.kernels()}
MOST = {"square": (72, 110), "square mixed": (80, 45), "round": (80, 95), "gauss": (80, 100), "tophat": (72, 75)}
TRIGONOMETRY = ("aim", "finish", "solid angles")  # curved detectors: sine and cosine of any angle keep 40 bytes


@pytest.mark.parametrize("capability", gpu_static.CAPABILITIES, ids=lambda c: f"sm_{c[0]}{c[1]}")
@pytest.mark.parametrize("name", KERNELS)
def test_bounds(name, capability):
    taken = gpu_static.resources(name, *KERNELS[name], capability)
    assert taken.spills == 0
    assert taken.stack <= (40 if name in TRIGONOMETRY else 0)
    registers, fp64 = MOST.get(name, (168, 300))
    assert taken.registers <= registers and taken.fp64 <= fp64
    assert taken.fp64 >= 20 or name not in MOST, "the innermost loop was not found"
