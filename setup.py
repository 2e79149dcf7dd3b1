"""Only what pyproject.toml has no key for: the C extension."""

from setuptools import setup

setup(cffi_modules=["c_src/build_cref.py:ffibuilder"])
