"""Which processor kernels are compiled for: the one at hand, or a common level of x86-64 (``NANOBRAGG_CPU``).

A cluster of mixed nodes shares one folder of kernels that way, and AVX2 is tested and measured where there is more.
"""

from __future__ import annotations

import functools
import os
from typing import NamedTuple

VARIABLE, NATIVE = "NANOBRAGG_CPU", "native"
V2 = ("cx16", "popcnt", "sse3", "ssse3", "sse4.1", "sse4.2")
V3 = (*V2, "avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe")
LEVELS = {  # what a processor must have to run code of a level
    "x86-64-v2": V2,
    "x86-64-v3": V3,
    "x86-64-v4": (*V3, "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"),
}
# What decides how many pixels are worked on at a time, best first: a feature, and its name.
INSTRUCTIONS = (("avx512f", "AVX-512"), ("avx2", "AVX2"), ("sse4.2", "SSE4.2"), ("neon", "NEON"))


class WrongProcessor(ValueError):
    """A processor that kernels cannot be compiled for here."""


class Processor(NamedTuple):
    """What LLVM makes code for: its name of the processor, and features beside those that the name stands for.

    ``instructions`` names those that kernels have for many pixels at a time.
    """

    name: str
    features: str
    instructions: str


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
        has = [feature for feature, there in found.items() if there]
        return Processor(llvm.get_host_cpu_name(), found.flatten(), _instructions(has))
    if asked not in LEVELS:
        raise WrongProcessor(f"{VARIABLE}={asked}: not one of {NATIVE}, {', '.join(LEVELS)}")
    if missing := [feature for feature in LEVELS[asked] if not found.get(feature)]:
        raise WrongProcessor(f"{VARIABLE}={asked}: this processor lacks {', '.join(missing)}")
    return Processor(asked, "", _instructions(LEVELS[asked]))


def _instructions(features: tuple[str, ...] | list[str]) -> str:
    return next((name for feature, name in INSTRUCTIONS if feature in features), "no vectors")
