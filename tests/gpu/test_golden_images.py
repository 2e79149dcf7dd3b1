"""All golden cases, serial habits and corrected physics on a GPU at full size, with all that is made of an image."""

import numpy as np
import pytest

from nanobragg.engine.original.quirks import fixes_of
from nanobragg.engine.render import render
from nanobragg.kernels.cuda import host as cuda
from nanobragg.kernels.cuda.rendered import RenderedOnDevice
from nanobragg.kernels.image.rendered import Rendered
from nanobragg.kernels.response.plan import counting
from nanobragg.kernels.shapes import SHAPES
from tests.support import CASES, assert_close_image, assert_same_image, frozen, plan_of
from tests.test_backends import SERIAL_HABITS
from tests.test_fixes import LINES as FIXED_LINES
from tests.test_fixes import fixed
from tests.tolerances import MIXED_OF_MAXIMUM, MIXED_OF_PIXEL


def assert_made_of(rendered, engine):
    """Figures, integers and noise are those that the host makes of the same image, and none was made on the host."""
    assert isinstance(rendered, RenderedOnDevice)
    theirs = Rendered(rendered.plan, np.array(rendered.panels))
    launches = engine.number("launches") if engine else 0
    with np.errstate(all="ignore"):
        a, b = rendered.sums(), theirs.sums()
        assert (a[0], a[3], a[4]) == (b[0], b[3], b[4])
        mean = b[1] / max(b[0], 1)
        np.testing.assert_allclose(
            [*a[1:3], *rendered.deviations(mean)], [*b[1:3], *theirs.deviations(mean)], rtol=1e-12
        )
        np.testing.assert_allclose(rendered.solid_angle(1), theirs.solid_angle(1), rtol=1e-12)
        scale = 55000.0 / b[3] if b[3] > 0.0 else 1.0
        assert_same_image(rendered.to_int(scale, 40.0), theirs.to_int(scale, 40.0))
        assert_same_image(rendered.to_grey(scale / 256.0), theirs.to_grey(scale / 256.0))
    ours, host = (counts(counting(7, 12.5, 65535), 1) for counts in (rendered.counts, theirs.counts))
    assert_same_image(ours[0], host[0])
    assert ours[2] == host[2] and ours[1] == pytest.approx(host[1], rel=1e-12)
    assert not engine or engine.number("launches") - launches == 6


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_golden_images(case, tmp_path, monkeypatch, engine):
    plan = plan_of(case.arguments(tmp_path), tmp_path)
    rendered = render(plan, "cuda")
    assert_close_image(rendered.image[case.window], case.arrays["float"])
    assert_made_of(rendered, engine)
    if engine:  # the threads of a block the other way round, or in every twelfth case really at once, 8 or 32 of them
        number = CASES.index(case)
        engine.set(reversed=1, threads_at_once=int(number % 12 == 0))
        monkeypatch.setattr(cuda, "THREADS", 8 if number % 12 else 32)
    assert_same_image(render(plan, "cuda").image, rendered.image)


def test_mixed_precision_of_all_golden_images(tmp_path):
    """Within its own tolerance of strict, and another kernel."""
    others = 0
    for case in CASES:
        folder = tmp_path / case.name
        folder.mkdir()
        plan = plan_of(case.arguments(folder), folder)
        if SHAPES[plan.cells.shape] != "square":
            continue
        ours = render(plan, "cuda", precision="mixed").image.astype(float)
        theirs = render(plan, "strict").image.astype(float)
        finite = np.isfinite(theirs)
        difference, limit = np.abs(ours[finite] - theirs[finite]), theirs[finite].max(initial=0.0)
        assert (difference <= MIXED_OF_PIXEL * theirs[finite] + MIXED_OF_MAXIMUM * limit).all(), case.name
        others += not np.array_equal(ours, theirs, equal_nan=True)
    assert others > 20


@pytest.mark.parametrize("line", SERIAL_HABITS.values(), ids=SERIAL_HABITS.keys())
def test_serial_habits(line, tmp_path, engine):
    plan = plan_of(line, tmp_path)
    ours, theirs = render(plan, "cuda"), render(plan, "strict")
    assert_close_image(ours.image, theirs.image)
    assert ours.interpolation_ended == theirs.interpolation_ended
    assert_made_of(ours, engine)


@pytest.mark.parametrize(
    "fix", ["all", "Q04", "Q05", "Q10", "Q02", "Q13", "Q15", "Q18", "Q19", "Q20", "Q22", "Q12,Q16"]
)
def test_corrected_physics(fix, tmp_path, monkeypatch, engine):
    monkeypatch.chdir(tmp_path)
    everything = " -oversample_omega -water 30 -dmin 20 -hdivrange 3"
    more = {"everything": FIXED_LINES["layers, sub-pixels, polarized"] + everything}
    for line in {**FIXED_LINES, **more}.values():
        plan = frozen(fixed(line, fixes_of(fix), tmp_path))
        ours, theirs = render(plan, "cuda"), render(plan, "strict")
        assert_close_image(ours.image, theirs.image)
        assert_made_of(ours, engine)
