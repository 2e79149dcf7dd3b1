"""Fast numerics: within tolerance of what the original wrote, more accurate than strict, the same for any threads."""

import os
import subprocess
import sys

import mpmath as mp
import numpy as np
import pytest

from benchmarks.measure import peak_of
from nanobragg.engine.errors import BadInput
from nanobragg.engine.original import figures as images
from nanobragg.engine.render import choose, render
from nanobragg.kernels.cref import binding as cref
from nanobragg.kernels.fast import host as fast
from nanobragg.kernels.fast import shares
from nanobragg.kernels.fast import tables as fast_tables
from nanobragg.kernels.order.threads import TILE
from nanobragg.kernels.step import geometry, lattice, vectors
from nanobragg.kernels.step.polynomials import nearest_whole
from nanobragg.kernels.strict import host as strict
from tests.support import (
    BY_NAME,
    CASES,
    ROOT,
    assert_close_image,
    assert_same_image,
    cref_is_there,
    frozen,
    plan_of,
    set_up,
)
from tests.test_backends import CURVED, SERIAL_HABITS, TRICLINIC
from tests.tolerances import FAST_IDENTICAL, FAST_INTEGERS, FAST_ROTATED, LATTICE_FACTOR, MIXED_OF_PIXEL


def integers(experiment, rendered):
    """The integer image that the command would write."""
    with np.errstate(all="ignore"):
        scale = images.int_scale(experiment.settings.int_scale, images.statistics(rendered, frozenset(), 1).max_I)
    return images.integers(rendered, scale, experiment.settings.adc, frozenset())


def test_all_golden_images(tmp_path):
    identical = pixels = counts = off = 0
    for case in CASES:
        folder = tmp_path / case.name
        folder.mkdir()
        set_up_of_case = set_up(case.arguments(folder), folder)
        plan = frozen(set_up_of_case)
        whole = render(plan, "fast", threads=2)
        image, recorded = whole.image[case.window], case.arrays["float"]
        if "int" in case.arrays:
            wrong = integers(set_up_of_case, whole)[case.window] != case.arrays["int"]
            difference = integers(set_up_of_case, whole)[case.window].astype(int) - case.arrays["int"]
            assert np.abs(difference).max() <= 1, case.name
            off, counts = off + int(wrong.sum()), counts + wrong.size
        try:
            assert_close_image(image, recorded)
        except AssertionError as error:
            raise AssertionError(f"{case.name}: {error}") from None
        identical += int(((image == recorded) | ~np.isfinite(recorded)).sum())
        pixels += image.size
    assert identical / pixels >= FAST_IDENTICAL, f"{pixels - identical} of {pixels} pixels differ"
    assert counts > 100_000 and off / counts <= FAST_INTEGERS, f"{off} of {counts} integers differ"


def test_mixed_precision_on_all_golden_images(tmp_path):
    """Within 2e-6 of a pixel, and something else than double only where it is meant to be faster."""
    other = 0
    for case in CASES:
        folder = tmp_path / case.name
        folder.mkdir()
        plan = plan_of(case.arguments(folder), folder)
        mixed = render(plan, "fast", threads=2, precision="mixed").image
        assert_close_image(mixed, render(plan, "strict", threads=2).image, MIXED_OF_PIXEL)
        double = render(plan, "fast", threads=2).image
        if fast.kernel_for(plan, "mixed") is fast.kernel_for(plan, "double"):
            assert_same_image(mixed, double)
        else:
            other += not np.array_equal(mixed, double, equal_nan=True)
    assert other > 20


@pytest.mark.parametrize("counts", ["1 1 1", "2 3 1000", "5000 5000 5000", "1e6 1e6 1e6"])
def test_mixed_precision_of_any_crystal(counts, tmp_path):
    """On nodes, near them, between them; the product of three quotients is no infinity in binary32."""
    n = counts.split()
    line = "-cell 61 72 83 81 95 107 -default_F 10 -misset 12 34 56 -lambda 1.1 -distance 80 -pixel 0.3 -detpixels 61 "
    plan = plan_of(line + f"-Na {n[0]} -Nb {n[1]} -Nc {n[2]} -oversample 1 -nointerpolate", tmp_path)
    mixed = render(plan, "fast", precision="mixed").image
    assert_close_image(mixed, render(plan, "strict").image, MIXED_OF_PIXEL)


def box_of(low, high):
    """An hkl file of a box of indices, F as random as can be."""
    rows = np.stack(np.meshgrid(*[np.arange(a, b + 1) for a, b in zip(low, high, strict=True)], indexing="ij"), -1)
    values = np.random.default_rng(7).uniform(1, 100, rows[..., 0].size)
    return "".join(f"{h} {k} {m} {f:.3f}\n" for (h, k, m), f in zip(rows.reshape(-1, 3).tolist(), values, strict=True))


@pytest.mark.parametrize(
    "more", ["-nointerpolate", "-round_xtal -nointerpolate", "-interpolate", "-interpolate, own factors"]
)
@pytest.mark.parametrize("box", [((-9, -9, -9), (9, 9, 9)), ((-4, -11, 0), (9, 3, 12))])
def test_indices_in_and_out_of_the_table(box, more, tmp_path):
    """Tiles all inside, where nothing is limited, on the rim, and all outside; several sources, cells and sub-pixels."""
    (tmp_path / "P1.hkl").write_text(box_of(*box))
    line = f"-hkl {tmp_path / 'P1.hkl'} -default_F 7 -cell 21 25 23 81 95 107 -misset 12 34 56 -N 4 -lambda 1.1 -distance 40 "
    line += (
        "-pixel 0.4 -detpixels 150 -hdivrange 2 -hdivsteps 2 -dispersion 3 -dispsteps 2 -mosaic 3 -mosaic_domains 3 "
    )
    plan = plan_of(line + "-oversample 2 " + more.partition(",")[0], tmp_path)
    if "own factors" in more:
        plan = plan.changed(interpolation_ends=False, oversample_omega=True, running_products=False)
    tables = fast_tables.tables_of(plan)
    longest = tables.interpolation.longest_squared if plan.factors.interpolate else tables.longest_squared
    if box[0][2] < 0:
        lengths = scattering_lengths(plan)
        assert lengths.min() ** 2 < longest < lengths.max() ** 2
    assert_close_image(render(plan, "fast").image, render(plan, "strict", threads=2).image)


def scattering_lengths(plan):
    """Lengths of the differences of directions of all pixels and the first source."""
    fast_mm, slow_mm = (np.arange(n) * plan.panels.pixel_size for n in (plan.panels.n_fast, plan.panels.n_slow))
    point = slow_mm[:, None, None] * plan.panels.sdet[0] + fast_mm[:, None] * plan.panels.fdet[0] + plan.panels.pix0[0]
    d = point / np.linalg.norm(point, axis=-1, keepdims=True)
    return np.linalg.norm(d + plan.sources.direction[0], axis=-1)


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
import nanobragg.kernels.order.threads as threads
assert threads.TILE != 64 and "nanobragg.kernels.fast.host" not in sys.modules
threads.TILE = 64
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


def doubles(plan, run_of=fast.FastRun):
    """Photons in binary64: a kernel stores in whatever the image is made of."""
    image = np.zeros(plan.shape)
    run = run_of(plan, image)
    run.draw(plan.rendered_pixels()[:], np.empty(0, np.int64), plan.factors.interpolate, run.carries_over)
    return image[0]


def sampled_indices(plan):
    """Fractional indices of every third pixel, as the kernels see them in binary64."""
    for slow in range(0, plan.panels.n_slow, 3):
        for f in range(0, plan.panels.n_fast, 3):
            at = (plan.panels.pixel_size * (i + 0.5) for i in (f, slow))
            d = vectors.unit(geometry.position(plan, geometry.placement(plan.panels, 0), *at, 0.0))
            incident = tuple(-x for x in plan.sources.direction[0].tolist())
            q = geometry.scattering_vector(d, incident, float(plan.sources.wavelength[0]))
            yield tuple(vectors.dot(plan.cells.cell[k : k + 3], q) for k in (0, 3, 6))


@pytest.mark.parametrize("n", [5, 50, 1000])
def test_more_accurate_than_strict(n, tmp_path):
    """Lattice factors of a whole image against 40-digit arithmetic, from the same indices: worst and mean error.

    What comes before, directions and indices, is rounded alike in both.
    """
    line = f"-cell 61 72 83 81 95 107 -default_F 10 -misset 12 34 56 -lambda 1.1 -distance 80 -pixel 0.3 -detpixels 60 -N {n}"
    plan = plan_of(line + " -oversample 1 -nointerpolate", tmp_path)
    errors = {"fast": [], "strict": []}
    with mp.workdps(40):
        for hkl in sampled_indices(plan):
            exact = mp.mpf(1)
            for h in hkl:
                exact *= mp.sin(mp.pi * mp.mpf(h) * n) / mp.sin(mp.pi * mp.mpf(h))
            nodes = tuple(nearest_whole(h) for h in hkl)
            found = {
                "fast": lattice.fast_square_lattice((plan.cells.n_cells, plan.cells.fudge), nodes, hkl),
                "strict": lattice.square_lattice(hkl, plan.cells.n_cells),
            }
            for name, value in found.items():
                errors[name].append(float(abs((abs(mp.mpf(value)) - abs(exact)) / exact)))
    assert max(errors["fast"]) < max(errors["strict"])
    assert np.mean(errors["fast"]) < max(np.mean(errors["strict"]), LATTICE_FACTOR)


def exact_photons(plan, index, n):
    """Photons of one pixel in 40 digits: flat detector, one source, block-shaped crystal, constant amplitudes."""

    def exact(vector):
        return [mp.mpf(float(x)) for x in vector]

    slow, f = divmod(int(index), plan.panels.n_fast)
    size = mp.mpf(plan.panels.pixel_size)
    axes = zip(exact(plan.panels.fdet[0]), exact(plan.panels.sdet[0]), exact(plan.panels.pix0[0]), strict=True)
    position = [size * (f + mp.mpf("0.5")) * a + size * (slow + mp.mpf("0.5")) * b + c for a, b, c in axes]
    r = mp.sqrt(sum(x * x for x in position))
    source = exact([*plan.sources.direction[0], plan.sources.wavelength[0]])
    q = [(x / r + s) / source[3] for x, s in zip(position, source[:3], strict=True)]
    f_latt = mp.mpf(1)
    for k in (0, 3, 6):
        h = sum(a * b for a, b in zip(exact(plan.cells.cell[k : k + 3]), q, strict=True))
        f_latt *= mp.sin(mp.pi * n * h) / mp.sin(mp.pi * h)
    c = sum(-x / r * s for x, s in zip(position, source[:3], strict=True))
    omega = size * size / r / r * mp.mpf(float(plan.panels.close_distance[0])) / r
    scale = (
        mp.mpf(plan.scale.r_e_sqr)
        * mp.mpf(plan.scale.fluence)
        * mp.mpf(plan.factors.default_F) ** 2
        / mp.mpf(plan.scale.steps)
    )
    return scale * f_latt * f_latt * omega * (1 + c * c) / 2


@pytest.mark.parametrize("n", [5, 50, 1000])
def test_pixels_are_more_accurate_than_stricts(n, tmp_path):
    """Whole pixels in binary64 against 40 digits, as a share of the largest: the mean error, which indices dominate."""
    line = "-cell 61 72 83 81 95 107 -default_F 10 -misset 12 34 56 -lambda 1.1 -distance 80 -pixel 0.3 -detpixels 120 "
    plan = plan_of(line + f"-N {n} -oversample 1 -nointerpolate", tmp_path)
    found = {"fast": doubles(plan), "strict": doubles(plan, strict.StrictRun)}
    sampled = np.random.default_rng(3).choice(plan.panels.n_fast * plan.panels.n_slow, 800, replace=False)
    with mp.workdps(40):
        exact = [exact_photons(plan, index, n) for index in sampled]
        error = {
            name: np.mean([float(abs(mp.mpf(image.flat[i]) - x)) for i, x in zip(sampled, exact, strict=True)])
            for name, image in found.items()
        }
    assert error["fast"] < max(error["strict"], 2.0 * LATTICE_FACTOR * float(max(exact))), error


def test_doubling_the_fluence_doubles_the_image(tmp_path):
    plan = plan_of(TRICLINIC + "-oversample 2 -mosaic 0.5 -mosaic_domains 3", tmp_path)
    once = render(plan, "fast").image
    assert_same_image(render(plan.changed(fluence=2.0 * plan.scale.fluence), "fast").image, np.float32(2.0) * once)


@pytest.mark.parametrize("axis", [(1.0, 0.0, 0.0), (0.3, -0.5, 0.8)])
def test_turning_everything_together_changes_nothing(axis, tmp_path):
    """Crystal, spindle, mosaic domains, detector, beam and polarization; only rounding may differ."""
    line = TRICLINIC + "-oversample 1 -phi 3 -osc 1 -phisteps 2 -mosaic 0.5 -mosaic_domains 3 -hdivrange 1 -hdivsteps 2"
    plan = plan_of(line + " -polar 0.9", tmp_path)
    k = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]]) / np.linalg.norm(axis)
    turn = np.eye(3) + np.sin(0.7) * k + (1 - np.cos(0.7)) * k @ k

    def turned(vectors):
        return tuple(float(x) for v in np.reshape(vectors, (-1, 3)) for x in turn @ v)

    both = plan.changed(
        **{name: getattr(plan.panels, name) @ turn.T for name in ("fdet", "sdet", "odet", "pix0")},
        cell=turned(plan.cells.cell), recip=turned(plan.cells.recip), spindle=turned(plan.cells.spindle), beam=turned(plan.panels.beam),
        axis=turned(plan.polarization.axis), direction=plan.sources.direction @ turn.T,
        mosaic_rotations=np.array([(turn @ m.reshape(3, 3) @ turn.T).ravel() for m in plan.cells.mosaic_rotations]),
    )  # fmt: skip
    a, b = doubles(plan), doubles(both)
    assert np.abs(a - b).max() <= FAST_ROTATED * a.max()


def table_of(folder, centrosymmetric):
    """A full box of amplitudes in a file, F(hkl) = F(-h-k-l) or not."""
    rng, rows = np.random.default_rng(9), []
    for h in range(-9, 10):
        for k in range(-9, 10):
            for x in range(-9, 10):
                if (h, k, x) >= (0, 0, 0):
                    f = rng.uniform(1, 100, 2)
                    rows += [(h, k, x, f[0]), (-h, -k, -x, f[0] if centrosymmetric else f[1])]
    path = folder / "table.hkl"
    path.write_text("".join(f"{h} {k} {x} {f:.6f}\n" for h, k, x, f in dict.fromkeys(rows)))
    return path


@pytest.mark.parametrize("centrosymmetric", [True, False])
def test_friedel_pairs(centrosymmetric, tmp_path):
    """The inverted crystal sees -h, -k, -l where the crystal sees h, k, l: F's symmetry is the image's."""
    path = table_of(tmp_path, centrosymmetric)
    line = f"-cell 30 35 40 80 95 107 -misset 10 20 30 -hkl {path} -lambda 2 -distance 50 -detpixels 60 -pixel 1 -N 6 "
    plan = plan_of(line + "-oversample 1 -nointerpolate", tmp_path)
    inverted = plan.changed(cell=tuple(-x for x in plan.cells.cell), recip=tuple(-x for x in plan.cells.recip))
    a, b = render(plan, "fast").image, render(inverted, "fast").image
    if centrosymmetric:
        assert_same_image(a, b)
    else:
        assert (a != b).mean() > 0.8


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


FEW = "-cell 50 60 70 90 90 90 -default_F 10 -lambda 1 -distance 100 -pixel 0.5 -detpixels_x 9 -detpixels_y 11 -N 3 "
FEW_PIXELS = {  # what is shared out where pixels are few
    "sub-pixels": FEW + "-oversample 150",
    "sub-pixels, each with its own factors": FEW + "-oversample 150 --own-factors",
    "sub-pixels and water": FEW + "-oversample 150 -water 3 -polar 0.7 -detector_thick 300 -detector_thicksteps 3",
    "cells": FEW + "-oversample 2 -phi 1 -osc 1 -phisteps 50 -mosaic 1 -mosaic_domains 100 -water 3",
    "cells, the first visit another": FEW + "-oversample 1 -phi 0 -osc 1 -phisteps 200 -mosaic 1 -mosaic_domains 100",
    "sources": FEW + "-hdivrange 1 -hdivsteps 130 -vdivrange 1 -vdivsteps 130 -square_div -water 3",
    "sources, the first visit another": FEW
    + "-hdivrange 1 -hdivsteps 130 -vdivrange 1 -vdivsteps 130 -square_div -phi 0 -osc 1 -phisteps 2",
    "sharp spots": FEW + "-gauss_xtal -oversample 150",
}


@pytest.mark.parametrize("name", FEW_PIXELS)
def test_few_pixels_are_shared_out(name, tmp_path):
    """One tile whose evaluations take long: the same image by any number of threads, and strict's."""
    line, _, own = FEW_PIXELS[name].partition(" --own-factors")
    plan = plan_of(line + " -nointerpolate" + " -oversample 1" * ("-oversample" not in line), tmp_path)
    if line is not FEW_PIXELS[name]:
        assert not own
        plan = plan.changed(
            oversample_thick=True, oversample_polar=True, oversample_omega=True, running_products=False, thickness=1e-4
        )
    shared = shares.shares_of(plan, plan.cells.phi_steps * plan.domains)
    assert 10 <= len(shared) <= shares.MOST_SHARES
    one = render(plan, "fast", threads=1).image
    assert_same_image(render(plan, "fast", threads=5).image, one)
    assert_close_image(one, render(plan, "strict", threads=2).image)


@pytest.mark.parametrize("kernel", ["fast", "strict"])
def test_shuffled_pixels_give_the_same_image(kernel, tmp_path):
    """Also where a slice happens to begin and end as if its pixels stood one after the other."""
    plan = plan_of(
        "-cell 50 60 70 90 90 90 -default_F 10 -lambda 1 -distance 100 -pixel 0.5 -detpixels 64 -N 3", tmp_path
    )
    run = {"fast": fast, "strict": strict}[kernel].render
    image = run(plan).image
    for seed in (81, 241, 322):
        assert_same_image(run(plan, shuffle=np.random.default_rng(seed)).image, image)


def test_chunks_are_whole_tiles(tmp_path):
    """Above 15 625 evaluations a pixel the slices of the pixel list were smaller than a tile."""
    plan = plan_of(FEW + "-detpixels 50 -oversample 130 -water 3 -dmin 1", tmp_path)
    assert len(shares.shares_of(plan, 1)) == 1
    seen: list[int] = []
    render(plan.changed(oversample=3, mosaic_rotations=np.tile(np.eye(3).reshape(1, 9), (4000, 1))), "fast",
           threads=2, progress=seen.append)  # fmt: skip
    sizes = np.diff([0, *seen])  # the last chunk, which is no whole tile, may be done before others
    assert (sizes % TILE != 0).sum() == 1 and seen[-1] == 2500


def test_squares_too_large_are_infinite(tmp_path):
    plan = plan_of("-cell 50 60 70 90 90 90 -default_F 1e200 -lambda 1 -detpixels 6 -pixel 0.5 -N 3", tmp_path)
    assert np.isposinf(fast_tables.bordered_squares(plan).squares).all()
    assert_close_image(render(plan, "fast").image, render(plan, "strict").image)


def test_undefined_pixels_are_stricts(tmp_path):
    """No distance and -oversample_thick: pixels in the plane of the sample are no number, with either numerics."""
    line = "-cell 50 60 70 90 90 90 -default_F 10 -lambda 1 -distance 0 -pixel 0.5 -detpixels 8 -N 3 -oversample 1 "
    for more in ("-oversample_thick", "-oversample_thick -detector_thick 300", "-detector_thick 300"):
        plan = plan_of(line + more, tmp_path)
        assert_same_image(np.isnan(render(plan, "fast").image), np.isnan(render(plan, "strict").image))


def test_auto_takes_what_finishes_first(tmp_path, monkeypatch):
    small = plan_of("-cell 50 -default_F 7 -detpixels 40 -oversample 1", tmp_path)
    large = plan_of("-cell 50 -default_F 7 -detpixels 2000 -oversample 1", tmp_path)
    monkeypatch.setattr(cref, "available", lambda: True)
    assert choose("auto", small) == "cref" and choose("auto", large) == "fast"
    assert choose("auto", large.changed(wavelength=large.sources.wavelength * 1e-9)) == "strict"
    assert choose("auto", large.changed(roi=(0, 40, 0, 40))) == "cref"
    monkeypatch.setattr(cref, "available", lambda: False)
    assert choose("auto", small) == "fast" and choose("strict", small) == "strict"


def test_memory_beyond_the_image_is_bounded(tmp_path):
    """Peak of the whole command on 6 megapixels, less that on 8 x 8 pixels and the image itself, under 50 MB."""
    line = "-cell 50 -default_F 7 -oversample 1 -nopgm -nonoise --backend fast --threads 2".split()

    def peak(*size):
        return peak_of([*line, *size], tmp_path)

    peak("-detpixels", "8")  # compiles what is not kept yet
    peak("-detpixels", "8", "-interpolate")
    beyond = peak("-detpixels_x", "2463", "-detpixels_y", "2527") - peak("-detpixels", "8") - 4e-6 * 2463 * 2527
    assert 10.0 < beyond < 50.0, f"{beyond} MB"
    beyond = peak("-detpixels", "3800", "-interpolate") - peak("-detpixels", "8", "-interpolate") - 4e-6 * 3800**2
    assert 10.0 < beyond < 50.0, f"{beyond} MB for 14 megapixels"
