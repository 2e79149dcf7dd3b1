"""One plan, every backend: the same image to the last bit, whatever the threads and the order of pixels."""

import numpy as np
import pytest

from nanobragg.engine.original import figures as images
from nanobragg.engine.render import render
from nanobragg.kernels.cref import image as cref
from nanobragg.kernels.image import figures, noise, rendered
from nanobragg.kernels.image.random import new_table
from nanobragg.kernels.image.rendered import Rendered
from tests.support import CASES, assert_same_image, libm_is_the_recorded_one, plan_of
from tests.tolerances import OTHER_LIBM


@pytest.mark.parametrize("case", CASES, ids=repr)
@pytest.mark.cref
def test_strict_is_the_c_reference(case, tmp_path):
    plan = plan_of(case.arguments(tmp_path), tmp_path)
    reference = render(plan, "cref").image
    for threads in (1, 2, 5):
        image = render(plan, "strict", threads=threads).image
        assert_same_image(image, reference)
    shuffled = render(plan, "strict", threads=2, shuffle=np.random.default_rng(7)).image
    assert_same_image(shuffled, reference)
    assert_same_image(reference[case.window], case.arrays["float"], 0.0 if libm_is_the_recorded_one() else OTHER_LIBM)


TRICLINIC = (
    "-mat {in}/triclinic.mat -hkl {in}/triclinic.hkl -lambda 0.9768 -distance 100 -pixel 0.4 -detpixels 40 -N 5 "
)
SMALL = "-cell 20 21 22 90 95 100 -misset 11 22 33 -hkl {in}/small_cell.hkl -lambda 1.2 -distance 70 -pixel 0.5 -N 2 "
CURVED = TRICLINIC + "-oversample 2 -curved_det -detector_thick 300 -detector_thicksteps 3 -distance -90"
SERIAL_HABITS = {
    "first visit after the resolution cut": TRICLINIC
    + "-oversample 2 -osc 2 -phisteps 3 -hdivrange 3 -hdivsteps 2 -dmin 10",
    "phi = 0 in the middle": TRICLINIC
    + "-oversample 1 -phi -1 -osc 2 -phistep 0.5 -phisteps 4 -mosaic 0.5 -mosaic_domains 3",
    "all pixels cut": TRICLINIC + "-oversample 1 -osc 2 -phisteps 2 -dmin 5000",
    "nothing in the roi": TRICLINIC + "-oversample 1 -osc 2 -phisteps 2 -roi 50 60 50 60",
    "switch in the first pixel": SMALL + "-detpixels 40 -distance 20 -interpolate -osc 1 -phisteps 2",
    "switch in mid-image": SMALL + "-detpixels 64 -distance 40 -interpolate -oversample 1",
    "switch within a roi": SMALL + "-detpixels 64 -distance 40 -interpolate -oversample 2 -roi 20 60 20 63",
    "switch with top-hat spots": SMALL
    + "-detpixels 48 -distance 30 -interpolate -oversample 2 -tophat_spots -fudge 1e-12",
    "switch with products": SMALL
    + "-detpixels 48 -distance 40 -interpolate -oversample 2 -oversample_omega -hdivrange 2",
    "axis that settles late": TRICLINIC
    + "-oversample 2 -polar 0.9 -polar_vector 1.917 1.88 0.019 -hdivrange 2 -hdivsteps 2",
    "axis that alternates": TRICLINIC + "-oversample 1 -polar 0.9 -polar_vector -1.251 0.171 -0.896 -osc 1 -phisteps 2",
    "axis with products": TRICLINIC
    + "-oversample 2 -polar 0.9 -polar_vector 1.917 1.88 0.019 -oversample_polar -dmin 10 -hdivrange 2 -hdivsteps 3",
    "points of 0 divergence": TRICLINIC + "-oversample 1 -hdivrange 0 -vdivrange 2 -vdivsteps 3 -dispersion 1",
    "curved, thick and away": CURVED,
    "one cell": TRICLINIC + "-N 1 -nointerpolate -water 3 -oversample_omega -oversample 2",
}


@pytest.mark.parametrize("line", SERIAL_HABITS.values(), ids=SERIAL_HABITS.keys())
@pytest.mark.cref
def test_serial_habits_do_not_depend_on_threads(line, tmp_path):
    plan = plan_of(line, tmp_path)
    reference = render(plan, "cref").image
    for threads in (1, 2, 5):
        image = render(plan, "strict", threads=threads).image
        assert_same_image(image, reference)
    assert_same_image(render(plan, "strict", threads=3, shuffle=np.random.default_rng(3)).image, reference)


@pytest.mark.cref
def test_the_habits_really_bite(tmp_path):
    """Each special case must differ from what a kernel without the habit gives, or the test above shows nothing."""
    switch = plan_of(SERIAL_HABITS["switch in mid-image"], tmp_path)
    with_switch = render(switch, "strict").image
    without = render(switch.changed(interpolate=False), "strict").image
    assert (with_switch == without).any() and (with_switch != without).any()
    late = plan_of(SERIAL_HABITS["axis that settles late"], tmp_path)
    from nanobragg.kernels.order.cells import polar_axes

    axes = polar_axes(late.polarization.axis, 10_000)
    assert len(axes.axes) > 1000 and not axes.settled
    assert polar_axes(plan_of(SERIAL_HABITS["axis that alternates"], tmp_path).polarization.axis, 10_000).period == 2
    carried = plan_of(SERIAL_HABITS["first visit after the resolution cut"], tmp_path)
    image = render(carried, "strict").image
    assert image.reshape(-1)[0] == 0.0, "the corner must be cut by resolution"


@pytest.mark.cref
@pytest.mark.parametrize("seed", [-31415, -99, 12])
def test_noise_is_the_c_references(seed, tmp_path):
    rng = np.random.default_rng(1)
    image = (10 ** rng.uniform(-3, 9, (1, 40, 50))).astype(np.float32)
    image[0, 0, :6] = [0.0, 12.0, 1e6, np.inf, np.nan, -3.0]
    plan = plan_of(TRICLINIC + "-detpixels_x 50", tmp_path)
    table = new_table()
    ours = noise.noise(image, plan.panels.roi, 40.0, seed, table)
    theirs = cref.noise(image, plan.panels.roi, 40.0, seed, table)
    assert_same_image(ours[0], theirs[0])
    assert ours[2] == theirs[2] and (ours[1] == theirs[1] or (np.isnan(ours[1]) and np.isnan(theirs[1])))


@pytest.mark.cref
@pytest.mark.parametrize("line", [*SERIAL_HABITS.values(), CURVED + " -oversample_omega -roi 3 50 -2 38 -point_pixel"])
def test_figures_and_integers_are_the_c_references(line, tmp_path, monkeypatch):
    plan = plan_of(line, tmp_path)
    image = np.random.default_rng(5).exponential(300.0, plan.shape).astype(np.float32)
    image[0, 0, :6] = [np.inf, np.nan, -3.0, 1e30, 1e-30, -1e30]
    for pixels in (image, np.abs(image[:, ::-1].copy()) * np.float32(0.01), np.zeros_like(image)):
        found = []
        for worth, by in ((0, figures), (1 << 60, cref)):
            monkeypatch.setattr(rendered, "WORTH_KERNELS", worth)
            whole = Rendered(plan, pixels)
            assert whole._loops() is by
            with np.errstate(all="ignore"):
                found.append(np.hstack(images.statistics(whole, frozenset(), 2)))
        np.testing.assert_array_equal(*found)
        for scale, adc in ((1.0, 40.0), (0.0, 0.0), (55000.0 / 300.0, -7.0)):
            assert_same_image(figures.to_int(plan, pixels, scale, adc), cref.to_int(plan, pixels, scale, adc))
            assert_same_image(figures.to_grey(plan, pixels, scale), cref.to_grey(plan, pixels, scale))
