"""Which processor kernels are compiled for: the one at hand, or a common level of x86-64 (``NANOBRAGG_CPU``).

A cluster of mixed nodes shares one folder of kernels that way, and AVX2 is tested and measured where there is more.
"""

from __future__ import annotations

import functools
import os
import platform
from typing import NamedTuple

VARIABLE, NATIVE = "NANOBRAGG_CPU", "native"
V3 = ("avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe")
LEVELS = {  # what a processor must have to run code of a level
    "x86-64-v3": V3,
    "x86-64-v4": (*V3, "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"),
}


class WrongProcessor(ValueError):
    """A processor that kernels cannot be compiled for here."""


class Processor(NamedTuple):
    """What LLVM makes code for: its name of the processor, features beside those, and what kernels ask about."""

    name: str
    features: str
    has_fma: bool
    has_avx2: bool
    has_avx512: bool


@functools.lru_cache(maxsize=1)
def processor() -> Processor:
    """The processor that kernels of this process are compiled for.

    Raises
    ------
    WrongProcessor
        If ``NANOBRAGG_CPU`` is none that is known, or has what the processor at hand has not.
    """
    import llvmlite.binding as llvm

    found = llvm.get_host_cpu_features()
    asked = os.environ.get(VARIABLE) or NATIVE
    if asked == NATIVE:
        fma = bool(found.get("fma")) or platform.machine() in ("aarch64", "arm64")
        avx2, avx512 = bool(found.get("avx2")), bool(found.get("avx512f"))
        return Processor(llvm.get_host_cpu_name(), found.flatten(), fma, avx2, avx512)
    if asked not in LEVELS:
        raise WrongProcessor(f"{VARIABLE}={asked}: not one of {NATIVE}, {', '.join(LEVELS)}")
    if missing := [feature for feature in LEVELS[asked] if not found.get(feature)]:
        raise WrongProcessor(f"{VARIABLE}={asked}: this processor lacks {', '.join(missing)}")
    return Processor(asked, "", True, True, "avx512f" in LEVELS[asked])
