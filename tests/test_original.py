"""An original that the user has: run it over the golden lines if there is one, and the way it is run with a stand-in."""

import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

from nanobragg.engine.check import original_program as original
from nanobragg.engine.errors import BadInput
from tests.support import CASES, ROOT, assert_same_image, command

STAND_IN = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "-fail"))
        exit(9);
    for (int i = 1; i < argc; i++)
        printf("<%s>", argv[i]);
    return 3;
}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("original")
    (folder / "stand_in.c").write_text(STAND_IN)
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler to build a stand-in with")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", "stand_in.so", "stand_in.c"], cwd=folder, check=True)
    return folder / "stand_in.so"


def test_a_shared_library_runs_in_its_own_process(library, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    run_with = original.command({"NB_C_LIB": str(library)})
    done = original.run(run_with, ["-mat", "a b"], tmp_path)
    assert (done.stdout, done.returncode) == ("<-mat><a b>", 3)
    assert original.run(run_with, ["-fail"], tmp_path).returncode == 9


def test_what_is_no_original_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    text = tmp_path / "not.so"
    text.write_text("no library")
    done = original.run(original.command({"NB_C_LIB": str(text)}), [], tmp_path)
    assert done.returncode == 1 and "not.so" in done.stderr and "Traceback" not in done.stderr
    with pytest.raises(BadInput, match="nowhere"):
        original.run(["./nowhere"], [], tmp_path)
    assert original.command({}) is None


def test_a_program_goes_before_a_library():
    assert original.command({"NB_C_BIN": "/some/nanoBragg", "NB_C_LIB": "x.so"}) == ["/some/nanoBragg"]


OURS = [sys.executable, "-m", "nanobragg", "--backend", "cref"]


@pytest.mark.parametrize("case", CASES if original.command() else CASES[:3], ids=repr)
@pytest.mark.cref
def test_the_users_original_writes_what_we_write(case, tmp_path, monkeypatch):
    """Against NB_C_BIN or NB_C_LIB where set; else our own command stands in, so that the comparison itself is tested."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT) + os.pathsep + os.environ.get("PYTHONPATH", ""))
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    for folder in (theirs, ours):
        folder.mkdir()
    done = original.run(original.command() or OURS, case.arguments(theirs), theirs, timeout=600)
    assert done.returncode == 0, done.stderr
    assert command(["--backend", "strict", *case.arguments(ours)], ours).returncode == 0
    for file in sorted(pathlib.Path(theirs).iterdir()):
        if file.suffix == ".bin" and file.name == "float.bin":
            images = [np.fromfile(folder / file.name, "<f4").reshape(case.shape) for folder in (ours, theirs)]
            assert_same_image(*images)
        assert (ours / file.name).read_bytes() == file.read_bytes(), file.name
