"""An image of several panels, and sources that see tables of their own: what each gives by itself, on every backend."""

import numpy as np
import pytest

from nanobragg.engine.original import figures
from nanobragg.engine.render import drawn, render
from nanobragg.kernels.cref import image as by_reference
from nanobragg.kernels.image import figures as by_kernels
from nanobragg.kernels.plan import RenderPlan
from tests.support import assert_close_image, assert_same_image, cref_is_there, plan_of
from tests.test_backends import CURVED, SMALL, TRICLINIC

BACKENDS = ["strict", "fast"] + ["cref"] * cref_is_there()
SIZE = "-detpixels_x 37 -detpixels_y 29 -oversample 2 "
LINES = {
    "plain": TRICLINIC + SIZE,
    "phi, mosaic, roi": TRICLINIC + SIZE + "-phi 1 -osc 1 -phisteps 3 -mosaic 0.5 -mosaic_domains 3 -roi 3 30 2 25",
    "sensor and water": TRICLINIC + SIZE + "-detector_thick 300 -detector_thicksteps 2 -water 3",
    "curved": CURVED + " -detpixels_x 37 -detpixels_y 29",
    "interpolated": SMALL + "-detpixels_x 37 -detpixels_y 29 -distance 60 -oversample 1 -interpolate",
    "Gaussian spots": TRICLINIC + SIZE + "-gauss_xtal -fudge 0.02",
    "sources": TRICLINIC + SIZE + "-hdivrange 2 -hdivsteps 2 -dispersion 2 -dispsteps 2 -oversample_omega",
}
PLACES = ("pix0", "fdet", "sdet", "odet", "distance", "close_distance", "beam_spot")


def stacked(plans: list[RenderPlan]) -> RenderPlan:
    """One plan with the panels of some plans that differ in nothing else."""
    first = plans[0]
    made = {name: np.concatenate([getattr(plan.panels, name) for plan in plans]) for name in PLACES}
    if first.panels.mask.size:
        made["mask"] = np.concatenate([plan.panels.mask for plan in plans])
    return first.changed(**made)


def panels_of(line: str, folder, masked: bool = False) -> list[RenderPlan]:
    """Three panels side by side, tilted differently; interpolation does not end, which would be another panel's doing."""
    turns = ("", " -detector_rotx 5 -detector_roty -3", " -detector_rotz 20 -twotheta 4")
    plans = [plan_of(line + turn, folder).changed(interpolation_ends=False) for turn in turns]
    rng = np.random.default_rng(2)
    size = plans[0].panels.n_slow * plans[0].panels.n_fast
    return [plan.changed(mask=(rng.random(size) < 0.8).astype(np.uint8)) if masked else plan for plan in plans]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
def test_panels_are_what_each_is_alone(line, masked, tmp_path):
    plans = panels_of(line, tmp_path, masked)
    together = stacked(plans)
    assert together.shape == (3, 29, 37) and together.n_rendered == sum(plan.n_rendered for plan in plans)
    for backend in BACKENDS:
        whole = render(together, backend, threads=2)
        assert whole.image.shape == (3, 29, 37)
        for number, plan in enumerate(plans):
            assert_same_image(whole.panels[number], render(plan, backend).image)
    assert len({panel.tobytes() for panel in render(together, "strict").panels}) == 3


@pytest.mark.parametrize("masked", [False, True])
def test_figures_of_panels(masked, tmp_path):
    """Sums, integers and noise run through all panels; noise is that of the panel's number."""
    plans = panels_of(LINES["phi, mosaic, roi"], tmp_path, masked)
    together = stacked(plans)
    whole, alone = render(together, "strict"), [render(plan, "strict") for plan in plans]
    by_all = by_kernels.sums(together, whole.panels)
    parts = [by_kernels.sums(plan, one.panels) for plan, one in zip(plans, alone, strict=True)]
    assert by_all[0] == sum(part[0] for part in parts) and by_all[3] == max(part[3] for part in parts)
    assert by_all[1] == pytest.approx(sum(part[1] for part in parts), rel=1e-14)
    assert by_all[4] == int(np.argmax(np.where(whole.panels == by_all[3], 1, 0)))
    solid = [by_kernels.solid_angle(plan, 1) for plan in plans]
    assert by_kernels.solid_angle(together, 2) == pytest.approx(sum(solid), rel=1e-14)
    for scale in (1.0, 1e3):
        ints = np.stack([figures.integers(one, scale, 40.0, frozenset()) for one in alone])
        assert_same_image(by_kernels.to_int(together, whole.panels, scale, 40.0), ints)
        if cref_is_there():
            assert by_reference.sums(together, whole.panels) == by_all
            assert_same_image(by_reference.to_int(together, whole.panels, scale, 40.0), ints)
            assert by_reference.solid_angle(together, 1) == by_kernels.solid_angle(together, 1)
    counts, photons, _ = drawn(whole, 0.0, 7, 2, np.int32)
    each = [drawn(one, 0.0, 7, 1, np.int32, panel=number) for number, one in enumerate(alone)]
    assert_same_image(counts, np.concatenate([made[0] for made in each]))
    assert photons == pytest.approx(sum(made[1] for made in each), rel=1e-14)
    assert (counts[0] != counts[1]).any()


def test_pixels_are_counted_through_panels(tmp_path):
    for masked in (False, True):
        plan = stacked(panels_of(LINES["phi, mosaic, roi"], tmp_path, masked))
        pixels, inside = plan.rendered_pixels(), np.zeros(plan.shape, bool)
        rows, columns = plan.window
        inside[:, rows, columns] = True
        if masked:
            inside &= plan.panels.mask.reshape(plan.shape) != 0
        expected = np.flatnonzero(inside)
        np.testing.assert_array_equal(pixels[:], expected)
        np.testing.assert_array_equal(pixels[5:900:7], expected[5:900:7])
        for raster in (0, 500, 1072, 1073, 1500, 2200, 3218):
            assert pixels.number_up_to(raster) == int((expected <= raster).sum())


@pytest.mark.parametrize("name", ["plain", "interpolated", "Gaussian spots"])
def test_sources_see_their_own_tables(name, tmp_path):
    """Two sources and two tables: the mean of the image of each with its table alone."""
    line = LINES[name] + " -dispersion 2 -dispsteps 2"
    plan = plan_of(line, tmp_path).changed(interpolation_ends=False)
    table = plan.factors.table
    rng = np.random.default_rng(4)
    other = table * rng.uniform(0.2, 3.0, table.shape)
    both = plan.changed(table=np.concatenate([table, other]), table_number=np.array([1, 0]))

    def alone(source: int, amplitudes: np.ndarray, backend: str) -> np.ndarray:
        some = {field: getattr(plan.sources, field)[[source]] for field in ("direction", "wavelength", "weight")}
        one = plan.changed(table=amplitudes, table_number=np.zeros(1, np.int64), **some)
        return render(one, backend).image.astype(float)

    for backend in BACKENDS:
        expected = alone(0, other, backend) + alone(1, table, backend)  # each over the steps of both
        assert_close_image(render(both, backend).image, expected.astype(np.float32))
        assert np.abs(render(plan, backend).image - expected).max() > 0.01 * expected.max()
