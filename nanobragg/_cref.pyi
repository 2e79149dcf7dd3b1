"""The compiled C99 reference (built by ``c_src/build_cref.py`` when a C compiler is present)."""

from typing import Any

ffi: Any
lib: Any
