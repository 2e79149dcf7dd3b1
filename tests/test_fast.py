"""Fast numerics: within tolerance of what the original wrote, more accurate than strict, the same for any threads."""

import os
import subprocess
import sys

import mpmath as mp
import numpy as np
import pytest

from benchmarks.measure import peak_of
from nanobragg.engine.errors import BadInput
from nanobragg.engine.render import choose, render
from nanobragg.kernels import cref, fast, fast_step, fast_tiles, geometry, machine_code, physics
from nanobragg.kernels.compile import native_code
from nanobragg.kernels.polynomials import nearest_whole
from nanobragg.kernels.serial import NEVER
from nanobragg.kernels.vector import TILE
from tests.support import BY_NAME, CASES, ROOT, assert_same_image, cref_is_there, plan_of
from tests.test_backends import CURVED, SERIAL_HABITS, TRICLINIC
from tests.tolerances import FAST_IDENTICAL, FAST_OF_MAXIMUM, FAST_OF_PIXEL, FAST_ROTATED


def assert_close_image(ours, theirs):
    """Within 1e-6 of the pixel or 1e-9 of the maximum; infinite where the other is not finite."""
    finite = np.isfinite(theirs)
    assert not np.isfinite(ours[~finite]).any()
    a, b = ours[finite].astype(float), theirs[finite].astype(float)
    allowed = FAST_OF_PIXEL * np.abs(b) + FAST_OF_MAXIMUM * np.abs(b).max(initial=0.0)
    excess = np.abs(a - b) - allowed
    worst = int(np.argmax(excess)) if len(excess) else 0
    assert not len(excess) or excess[worst] <= 0.0, f"{a[worst]!r} against {b[worst]!r}"


def test_all_golden_images(tmp_path):
    identical = pixels = 0
    for case in CASES:
        folder = tmp_path / case.name
        folder.mkdir()
        image = render(plan_of(case.arguments(folder), folder), "fast", threads=2).image[case.window]
        recorded = case.arrays["float"]
        try:
            assert_close_image(image, recorded)
        except AssertionError as error:
            raise AssertionError(f"{case.name}: {error}") from None
        identical += int(((image == recorded) | ~np.isfinite(recorded)).sum())
        pixels += image.size
    assert identical / pixels >= FAST_IDENTICAL, f"{pixels - identical} of {pixels} pixels differ"


@pytest.mark.parametrize("line", SERIAL_HABITS.values(), ids=SERIAL_HABITS.keys())
def test_serial_habits(line, tmp_path):
    plan = plan_of(line, tmp_path)
    one = render(plan, "fast", threads=1)
    reference = render(plan, "strict", threads=2)
    assert_close_image(one.image, reference.image)
    assert one.interpolation_ended == reference.interpolation_ended
    for threads in (2, 5):
        assert_same_image(render(plan, "fast", threads=threads).image, one.image)
    assert_same_image(render(plan, "fast", threads=2, shuffle=np.random.default_rng(1)).image, one.image)


OTHER_TILE = """
import sys, numpy as np
import nanobragg.kernels.vector as vector
assert vector.TILE != 64
source = open(vector.__file__).read().replace(f"TILE = {vector.TILE} ", "TILE = 64 ", 1)
exec(compile(source, vector.__file__, "exec"), vector.__dict__)
assert vector.TILE == 64
from nanobragg.engine.render import choose, render
import pathlib
from tests.support import BY_NAME, plan_of
from tests.test_backends import CURVED
folder = pathlib.Path(sys.argv[1])
case = BY_NAME["phi_zero_sources"]
np.save(folder / "image.npy", render(plan_of(case.arguments(folder), folder), "fast").image)
bent = plan_of(CURVED, folder)
render(bent, "fast")
np.save(folder / "curved.npy", render(bent, "strict").image)
"""


def test_any_tile_size_gives_the_same_image(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    subprocess.run([sys.executable, "-c", OTHER_TILE, str(tmp_path)], env=environment, check=True)
    case = BY_NAME["phi_zero_sources"]
    ours = render(plan_of(case.arguments(tmp_path), tmp_path), "fast").image
    assert TILE != 64
    assert_same_image(np.load(tmp_path / "image.npy"), ours)
    # and strict stays exact where the fast kernel was compiled before it, in one process
    if cref_is_there():
        assert_same_image(np.load(tmp_path / "curved.npy"), render(plan_of(CURVED, tmp_path), "cref").image)


def doubles(plan):
    """Photons in binary64: the kernel stores in whatever the image is made of."""
    image = np.zeros((plan.n_slow, plan.n_fast))
    fast.render(plan, image)
    return image


def sampled_indices(plan):
    """Fractional indices of every third pixel, as the kernels see them in binary64."""
    for slow in range(0, plan.n_slow, 3):
        for f in range(0, plan.n_fast, 3):
            at = (plan.pixel_size * (i + 0.5) for i in (f, slow))
            d = physics.unit(geometry.position(plan, *at, 0.0))
            incident = tuple(-x for x in plan.sources[0, :3].tolist())
            q = physics.scattering_vector(d, incident, float(plan.sources[0, 3]))
            yield tuple(physics.dot(plan.cell[k : k + 3], q) for k in (0, 3, 6))


@pytest.mark.parametrize("n", [5, 50, 1000])
def test_more_accurate_than_strict(n, tmp_path):
    """Lattice factors of a whole image against 40-digit arithmetic, from the same indices: worst and mean error.

    What comes before, directions and indices, is rounded alike in both.
    """
    line = f"-cell 61 72 83 81 95 107 -default_F 10 -misset 12 34 56 -lambda 1.1 -distance 80 -pixel 0.3 -detpixels 60 -N {n}"
    plan = plan_of(line + " -oversample 1 -nointerpolate", tmp_path)
    errors = {"fast": [], "strict": []}
    counts = tuple(float(x) for x in plan.n_cells)
    with mp.workdps(40):
        for hkl in sampled_indices(plan):
            exact = mp.mpf(1)
            for h in hkl:
                exact *= mp.sin(mp.pi * mp.mpf(h) * n) / mp.sin(mp.pi * mp.mpf(h))
            nodes = tuple(nearest_whole(h) for h in hkl)
            found = {
                "fast": fast_step.square_lattice(counts, *nodes, *hkl),
                "strict": physics.square_lattice(hkl, counts),
            }
            for name, value in found.items():
                errors[name].append(float(abs((abs(mp.mpf(value)) - abs(exact)) / exact)))
    assert max(errors["fast"]) < max(errors["strict"])
    assert np.mean(errors["fast"]) < np.mean(errors["strict"])


def test_doubling_the_fluence_doubles_the_image(tmp_path):
    plan = plan_of(TRICLINIC + "-oversample 2 -mosaic 0.5 -mosaic_domains 3", tmp_path)
    once = render(plan, "fast").image
    assert_same_image(render(plan._replace(fluence=2.0 * plan.fluence), "fast").image, np.float32(2.0) * once)


def test_turning_crystal_and_detector_together_changes_nothing(tmp_path):
    """About the beam, with unpolarized light; only rounding may differ."""
    plan = plan_of(TRICLINIC + "-oversample 1", tmp_path)
    angle = 0.7
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])

    def turned(vectors):
        return tuple(float(x) for v in np.reshape(vectors, (-1, 3)) for x in turn @ v)

    both = plan._replace(
        fdet=turned(plan.fdet), sdet=turned(plan.sdet), odet=turned(plan.odet), pix0=turned(plan.pix0),
        cell=turned(plan.cell), recip=turned(plan.recip),
    )  # fmt: skip
    a, b = doubles(plan), doubles(both)
    assert np.abs(a - b).max() <= FAST_ROTATED * a.max()


def test_friedel_pairs(tmp_path):
    """With a beam along x and a flat detector far behind and far before, q and -q see the same intensity."""
    plan = plan_of("-cell 60 70 80 -default_F 7 -lambda 1 -detpixels 8 -N 6 -oversample 1 -nointerpolate", tmp_path)
    minus = plan._replace(cell=tuple(-x for x in plan.cell))  # -M q = M (-q)
    assert_same_image(render(minus, "fast").image, render(plan, "fast").image)


def test_sub_pixels_converge(tmp_path):
    line = (
        "-cell 40 50 60 -default_F 7 -lambda 1 -distance 100 -pixel 0.2 -detpixels 12 -N 4 -nointerpolate -oversample "
    )
    images = [doubles(plan_of(line + str(n), tmp_path)) for n in (2, 4, 8, 32)]
    errors = [np.abs(image - images[-1]).max() for image in images[:-1]]
    assert errors[0] > errors[1] > errors[2]


@pytest.mark.parametrize("cell", [60, 900, 3000])
@pytest.mark.parametrize(("shape", "fudge"), [("-gauss_xtal", 1.6e4), ("-tophat_spots", 140.0)])
def test_no_sharp_spot_is_skipped(shape, fudge, cell, tmp_path):
    """Spots that reach 0.05 to 0.16 of an index, on indices up to 40, 600 and beyond what the binary32 test can hold."""
    line = f"{shape} -cell {cell} {cell * 1.4} {cell * 0.7} 80 95 107 -misset 12 34 56 -default_F 10 -lambda 1.1 "
    line += "-distance 100 -pixel 0.6 -detpixels 90 -oversample 1 -mosaic 2 -mosaic_domains 90 -N 4 "
    plan = plan_of(line + f"-fudge {fudge * (cell / 60) ** 2}", tmp_path)
    theirs = render(plan, "strict").image
    assert 0.01 < (theirs > 0.0).mean() < 0.5
    assert_close_image(render(plan, "fast").image, theirs)


def test_indices_beyond_32_bits_are_refused(tmp_path):
    plan = plan_of("-cell 60 -default_F 7 -lambda 1e-9 -detpixels 4 -oversample 1", tmp_path)
    with pytest.raises(BadInput, match="--backend fast"):
        render(plan, "fast")


class Recorder:
    """Stands in for a kernel, and remembers what it was called with."""

    def beginning_with(self, *first):
        self.first = first
        return self

    def __call__(self, *rest):
        self.arguments = (*self.first, *rest)
        return NEVER


def test_the_loops_are_vector_code(tmp_path, monkeypatch):
    """Gathers and packed multiply-adds in the widest registers there are, or somebody has broken the hot loops."""
    features = machine_code.llvm().get_host_cpu_features()
    if not features.get("avx2"):
        pytest.skip("neither AVX-512 nor AVX2 on this machine")
    case, called = BY_NAME["triclinic"], Recorder()
    monkeypatch.setattr(fast, "render_tiles", called)
    render(plan_of(case.arguments(tmp_path), tmp_path), "fast", threads=1)
    _, text = native_code(fast_tiles.render_tiles, called.arguments)
    assembly = machine_code.target_machine().emit_assembly(machine_code.llvm().parse_assembly(text))
    wide = "zmm" if features.get("avx512f") else "ymm"
    lines = [line for line in assembly.splitlines() if wide in line]
    gathers = [line for line in lines if "vgather" in line]
    packed = [line for line in lines if "vfm" in line and "pd" in line]
    assert len(gathers) >= 3, "the loops of one source, of several sources, and of nearest amplitudes"
    assert len(packed) > 300, f"only {len(packed)} packed multiply-adds"


def test_auto_takes_what_finishes_first(tmp_path, monkeypatch):
    small = plan_of("-cell 50 -default_F 7 -detpixels 40 -oversample 1", tmp_path)
    large = plan_of("-cell 50 -default_F 7 -detpixels 2000 -oversample 1", tmp_path)
    monkeypatch.setattr(cref, "available", lambda: True)
    assert choose("auto", small) == "cref" and choose("auto", large) == "fast"
    assert choose("auto", large._replace(sources=large.sources * [1, 1, 1, 1e-9])) == "strict"
    assert choose("auto", large._replace(roi=(0, 40, 0, 40))) == "cref"
    monkeypatch.setattr(cref, "available", lambda: False)
    assert choose("auto", small) == "fast" and choose("strict", small) == "strict"


def test_memory_beyond_the_image_is_bounded(tmp_path):
    """Peak of the whole command on 6 megapixels, less that on 8 x 8 pixels and the image itself, under 50 MB."""
    line = "-cell 50 -default_F 7 -oversample 1 -nopgm -nonoise --backend fast --threads 2".split()

    def peak(*size):
        return peak_of([*line, *size], tmp_path)

    peak("-detpixels", "8")  # compiles what is not kept yet
    beyond = peak("-detpixels_x", "2463", "-detpixels_y", "2527") - peak("-detpixels", "8") - 4e-6 * 2463 * 2527
    assert 10.0 < beyond < 50.0, f"{beyond} MB"
