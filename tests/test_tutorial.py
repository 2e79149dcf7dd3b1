"""docs/tutorial.md, block by block, as a reader would run it; the part about DIALS where DIALS is."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import h5py
import pytest
from PIL import Image

from tests.support import REQUIRED, ROOT
from tests.test_dials import CLEAN, IS_THERE

BLOCK = re.compile(r"^```(\w+)( dials)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
TEXT = (ROOT / "docs" / "tutorial.md").read_text()
BIN = pathlib.Path(sys.executable).parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the blocks have been run, those of DIALS apart."""
    made = tmp_path_factory.mktemp("tutorial")
    shutil.copy(ROOT / "examples" / "1a8o.pdb", made)
    env = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    for kind, dials, code in BLOCK.findall(TEXT):
        if kind == "toml":
            (made / "job.toml").write_text(code)
        elif kind == "python":
            subprocess.run([sys.executable, "-c", code], cwd=made, check=True, timeout=300)
        elif kind == "bash" and not dials:
            subprocess.run(["bash", "-e", "-c", code], cwd=made, check=True, env=env, timeout=300)
    return made


def test_every_block_does_what_it_says(folder):
    for name in ("first.png", "closer.png", "both.png", "sheet.png"):
        assert Image.open(folder / name).size[0] >= 600
    assert (folder / "first.html").stat().st_size > 1e6 and not (folder / "floatimage.bin").exists()
    with h5py.File(folder / "sweep" / "master.h5") as file:
        assert file["entry/data/data"].shape == (30, 1062, 1028)
    with h5py.File(folder / "python.h5") as file:
        assert file["entry/data/data"][0].max() > 100


def test_dials_goes_on_from_there(folder):
    if not IS_THERE:
        if "dials" in REQUIRED:
            pytest.fail("DIALS is required (NANOBRAGG_REQUIRE=dials)")
        pytest.skip("DIALS is not installed: apt-get install dials python3-dials")
    (code,) = [code for kind, dials, code in BLOCK.findall(TEXT) if dials]
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", code], cwd=folder, capture_output=True, text=True, env=CLEAN, timeout=600
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    cell = [float(x) for x in re.findall(r"[\d.]+(?=\()|(?<=[ ,])[\d.]+(?=[,)\s])", done.stdout.splitlines()[-1])][:6]
    assert sorted(cell[:3]) == pytest.approx([41.98, 41.98, 88.92], rel=2e-3), done.stdout.splitlines()[-1]


def test_links_lead_somewhere():
    for page in (ROOT / "docs").rglob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert target.startswith("http") or (page.parent / target).exists(), (page, target)
