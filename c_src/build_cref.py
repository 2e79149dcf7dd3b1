"""Builds ``nanobragg._cref``, the C99 reference, through cffi in API mode.

Contraction is switched off because one fused multiply-add changes last bits.
"""

import pathlib

from cffi import FFI

HERE = pathlib.Path(__file__).resolve().parent


def declarations() -> str:
    """The header without its preprocessor lines and comments, as cffi wants it."""
    lines = (HERE / "cref.h").read_text().splitlines()
    return "\n".join(line for line in lines if not line.startswith("#"))


ffibuilder = FFI()
ffibuilder.cdef(declarations())
ffibuilder.set_source(
    "nanobragg._cref",
    '#include "cref.h"\n',
    sources=["c_src/render.c", "c_src/noise.c", "c_src/figures.c", "c_src/trace.c"],
    include_dirs=["c_src"],
    depends=["c_src/cref.h", "c_src/step.h", "c_src/render.c"],
    libraries=["m"],
    extra_compile_args=["-std=c99", "-O2", "-ffp-contract=off"],
    py_limited_api=True,
    optional=True,  # without a compiler the installation goes on and the backend is reported as absent
)
