"""What several tests need: the golden cases, plans made from command lines, and runs of the command."""

from __future__ import annotations

import functools
import json
import os
import pathlib
import re
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from nanobragg.cli.nanobragg.headers import read_headers
from nanobragg.cli.nanobragg.parse import parse
from nanobragg.cli.tools.bench import working_in as working_in
from nanobragg.engine import plan as plans
from nanobragg.engine.original import set_up as set_ups
from nanobragg.engine.original.set_up import SetUp
from nanobragg.kernels.cref import binding as cref
from nanobragg.kernels.image.random import _powf
from nanobragg.kernels.plan import RenderPlan
from tests.tolerances import FAST_OF_MAXIMUM, FAST_OF_PIXEL

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
GOLDEN = HERE / "golden"
SHARED = ROOT.parent / "shared"
INPUT_FOLDERS = (HERE / "inputs", ROOT / "examples", SHARED / "inputs")
REQUIRED = os.environ.get("NANOBRAGG_REQUIRE", "").split(",")


class Case:
    """One command line of the golden set and what the original wrote for it."""

    def __init__(self, name: str, entry: dict, folder: pathlib.Path):
        self.name, self.entry, self.folder = name, entry, folder
        self.shape = tuple(entry["shape"])

    def arguments(self, out: pathlib.Path) -> list[str]:
        """The command line with its inputs found and its outputs in ``out``."""
        return [_found(a).replace("{out}", str(out)) for a in self.entry["args"]]

    @functools.cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """float, int, pgm and noise arrays; large images keep their roi only."""
        alone = self.folder / f"{self.name}.npz"
        if alone.exists():
            return dict(np.load(alone))
        packed = _packed(self.folder / "fuzz.npz")
        return {key.split("/")[1]: packed[key] for key in packed.files if key.startswith(f"{self.name}/")}

    @property
    def window(self) -> tuple[slice, slice]:
        """The part of the image that the arrays hold."""
        if self.arrays["float"].shape == self.shape:
            return slice(None), slice(None)
        at = self.entry["args"].index("-roi")
        x0, x1, y0, y1 = map(int, self.entry["args"][at + 1 : at + 5])
        return slice(y0, y1 + 1), slice(x0, x1 + 1)

    def __repr__(self) -> str:
        return self.name


@functools.lru_cache(maxsize=2)
def _packed(path: pathlib.Path):
    return np.load(path)


def _found(argument: str) -> str:
    if not argument.startswith("{in}/"):
        return argument
    name = argument.removeprefix("{in}/")
    return str(next(folder / name for folder in INPUT_FOLDERS if (folder / name).exists()))


def _cases() -> Iterator[Case]:
    for file in ("cases.json", "fuzz.json"):
        for name, entry in sorted(json.loads((GOLDEN / file).read_text()).items()):
            if not name.startswith("lysozyme"):
                yield Case(name, entry, GOLDEN)
            elif SHARED.exists():
                yield Case(name, entry, SHARED / "golden")


CASES = list(_cases())
BY_NAME = {case.name: case for case in CASES}


def bits(value: float) -> str:
    """Binary64 as hexadecimal digits."""
    return struct.pack(">d", value).hex()


@functools.lru_cache(maxsize=1)
def libm_is_the_recorded_one() -> bool:
    """Whether this machine's C library gives the bits on the probe set that the recorded figures were made with."""
    import math

    probe = json.loads((GOLDEN / "libm.json").read_text())
    functions = {name: getattr(math, name) for name in ("sin", "cos", "exp", "atan2", "tan", "log")}
    functions["powf"] = _powf()
    return all(bits(functions[name](*args)) == expected for name, args, expected in probe)


def set_up(arguments: Sequence[str], folder: pathlib.Path, remarks: list[str] | None = None) -> SetUp:
    """The experiment of a command line, with ``folder`` as working directory."""
    with working_in(folder):
        start: dict = {"seed": -1, "misset_seed": -1}
        mask = read_headers(arguments, start)
        settings = parse(arguments, start).settings
        remark = [].append if remarks is None else remarks.append
        return set_ups.set_up(set_ups.geometry(settings, mask, remark), remark)


def frozen(made) -> RenderPlan:
    """The plan of a scene, or of a command line's set-up."""
    return plans.plan_of(getattr(made, "scene", made))


def plan_of(line: str | Sequence[str], folder: pathlib.Path) -> RenderPlan:
    """The plan of a command line; inputs are named ``{in}/...``."""
    arguments = line.split() if isinstance(line, str) else list(line)
    return plans.plan_of(set_up([_found(a) for a in arguments], folder).scene)


def command(arguments: Sequence[str], folder: pathlib.Path, **options) -> subprocess.CompletedProcess:
    """Run the installed command in ``folder``."""
    installed = pathlib.Path(sys.executable).with_name("nanoBragg")
    program = [str(installed)] if installed.exists() else [sys.executable, "-m", "nanobragg"]
    environment = {**os.environ, **options.pop("env", {})}
    if not installed.exists():
        environment["PYTHONPATH"] = str(ROOT)
    return subprocess.run(
        [*program, *arguments], cwd=folder, capture_output=True, text=True, errors="replace", timeout=600,
        env=environment, **options,
    )  # fmt: skip


def locate_pixels(data: bytes) -> int:
    """Where the pixels of an image begin that this program or the original wrote, long headers included."""
    match = re.search(rb"HEADER_BYTES=\s*(\d+)", data)
    announced = int(match.group(1)) if match else 512
    return max(announced, data.index(b"}\f") + 2)


def read_smv(path: pathlib.Path) -> tuple[str, np.ndarray]:
    """Header text without its padding, and pixels."""
    data = path.read_bytes()
    start = locate_pixels(data)
    text = data[:start].decode("latin-1")
    fast, slow = (int(text.split(f"SIZE{i}=")[1].split(";")[0]) for i in (1, 2))
    return text.rstrip(" "), np.frombuffer(data[start : start + 2 * fast * slow], "<u2").reshape(slow, fast)


def assert_same_image(ours: np.ndarray, theirs: np.ndarray, tolerance_of_max: float = 0.0) -> None:
    """Pixel by pixel; the worst pixel is named."""
    assert ours.shape == theirs.shape
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    if same.all():
        return
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.where(same, 0.0, np.abs(ours.astype(float) - theirs.astype(float)))
        largest = float(np.nanmax(np.abs(theirs[np.isfinite(theirs)].astype(float)), initial=0.0)) or 1.0
    difference[np.isnan(difference)] = np.inf
    worst = np.unravel_index(np.argmax(difference), difference.shape)
    assert difference[worst] <= tolerance_of_max * largest, (
        f"{int((~same).sum())} of {same.size} pixels differ, worst at slow, fast {tuple(map(int, worst))}: "
        f"{ours[worst]!r} against {theirs[worst]!r}, {difference[worst] / largest:.2g} of the maximum"
    )


def assert_close_image(ours: np.ndarray, theirs: np.ndarray, of_pixel: float = FAST_OF_PIXEL) -> None:
    """Within 1e-6 (or another share) of the pixel or 1e-9 of the maximum; infinite where the other is not finite."""
    finite = np.isfinite(theirs)
    assert not np.isfinite(ours[~finite]).any()
    a, b = ours[finite].astype(float), theirs[finite].astype(float)
    allowed = of_pixel * np.abs(b) + FAST_OF_MAXIMUM * np.abs(b).max(initial=0.0)
    excess = np.abs(a - b) - allowed
    worst = int(np.argmax(excess)) if len(excess) else 0
    assert not len(excess) or excess[worst] <= 0.0, f"{a[worst]!r} against {b[worst]!r}"


def cref_is_there() -> bool:
    """Whether tests against the C reference can run."""
    return cref.available()


def installed_apart(folder, name, *packages):
    """A folder of their own for packages that would bring a ``tests`` beside ours, without what is here already.

    Where they cannot be installed the test is skipped, and fails if ``name`` is required.
    """
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--no-deps", "--target", str(folder)]
    if subprocess.run([*pip, *packages], capture_output=True, timeout=600).returncode:
        if name in REQUIRED:
            pytest.fail(f"{packages[0]} is required (NANOBRAGG_REQUIRE={name}) and cannot be installed")
        pytest.skip(f"{packages[0]} cannot be installed")
    return str(folder)
