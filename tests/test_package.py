"""The package: what is installed, what a small job loads, and that an installed wheel works away from the tree."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

import nanobragg
from tests.support import BY_NAME, ROOT, assert_same_image, command

ROOMS = ("kernels", "engine", "cli")


def modules(room):
    return sorted((ROOT / room).rglob("*.py"))


def test_every_package_is_listed():
    text = (ROOT / "pyproject.toml").read_text()
    listed = set(re.findall(r'^    "(nanobragg[\w.]*)",$', text, re.MULTILINE))
    folders = {
        f"nanobragg.{p.parent.relative_to(ROOT).as_posix().replace('/', '.')}"
        for r in ROOMS
        for p in (ROOT / r).rglob("__init__.py")
    }
    assert listed == folders | {"nanobragg"}
    for package in folders:
        folder = package.removeprefix("nanobragg.").replace(".", "/")
        assert f'"{package}" = "{folder}"' in text


def test_a_small_job_does_not_load_numba(tmp_path):
    code = (
        "import sys; from nanobragg.cli.nanobragg.command import main; "
        "status = main('-cell 50 -default_F 5 -detpixels 8 --backend cref'.split()); "
        "sys.exit(status or 'numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """A wheel of this tree, unpacked away from it; what it depends on comes from this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)],
        check=True,
    )
    (wheel,) = folder.glob("*.whl")
    site = folder / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)], check=True
    )
    return wheel, site


@pytest.mark.cref
def test_an_installed_wheel_works_away_from_the_tree(elsewhere, tmp_path):
    wheel, site = elsewhere
    assert "cp310-abi3" in wheel.name and nanobragg.__version__ in wheel.name
    assert {p.name for p in site.iterdir() if p.suffix != ".dist-info"} - {"bin"} == {"nanobragg"}
    case = BY_NAME["triclinic"]
    for backend in ("cref", "strict"):
        words = [sys.executable, "-m", "nanobragg", "--backend", backend, *case.arguments(tmp_path)]
        subprocess.run(
            words, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(site)}, check=True, capture_output=True
        )
        assert_same_image(np.fromfile(tmp_path / "float.bin", "<f4").reshape(case.shape), case.arrays["float"])


def test_without_the_extension_everything_goes_to_strict(tmp_path):
    """A stand-in for an installation without a C compiler."""
    code = (
        "import sys; sys.modules['nanobragg._cref'] = None; from nanobragg.cli.nanobragg.command import main; "
        "line = '-cell 50 -default_F 5 -detpixels 8 -seed 3'.split(); "
        "assert main([*line, '--backend', 'cref']) == 1; sys.exit(main(line))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "no C compiler" in done.stderr and "Traceback" not in done.stderr
    assert (tmp_path / "noiseimage.img").stat().st_size == 512 + 128


def test_version_and_help(tmp_path):
    assert command(["--version"], tmp_path).stdout.strip() == f"nanoBragg {nanobragg.__version__}"
    shown = command(["--help"], tmp_path)
    assert shown.returncode == 0 and "-distance mm" in shown.stdout and "--backend" in shown.stdout


def test_the_projects_address_is_a_placeholder():
    """Whoever publishes the package puts the real one there, and takes this test away."""
    import tomllib

    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
    assert set(urls) == {"Homepage", "Documentation", "Changelog"}
    assert all(url.startswith("https://example.invalid/nanobragg") for url in urls.values())


def test_versions_agree():
    import nanobragg

    assert f"version: {nanobragg.__version__}" in (ROOT / "CITATION.cff").read_text()
    assert f"## {nanobragg.__version__}" in (ROOT / "CHANGELOG.md").read_text()
