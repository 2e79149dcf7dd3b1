"""Every option on a GPU against strict, within the fast tolerance."""

import concurrent.futures
import dataclasses

import numpy as np
import pytest

from nanobragg.engine import render as engine_render
from nanobragg.engine.errors import BadInput
from nanobragg.engine.original import figures as images
from nanobragg.engine.original.quirks import fixes_of
from nanobragg.engine.original.set_up import geometry
from nanobragg.engine.original.set_up import set_up as set_up_original
from nanobragg.engine.render import render
from nanobragg.kernels.cuda import host as cuda
from nanobragg.kernels.cuda.device import Device, PlanOnDevice
from nanobragg.kernels.cuda.rendered import RenderedOnDevice
from nanobragg.kernels.image import figures
from nanobragg.kernels.image.rendered import Rendered
from nanobragg.kernels.response.host import counts_of
from nanobragg.kernels.response.plan import counting
from nanobragg.kernels.surroundings.plan import Around, Light, Sheet
from tests.support import INPUT_FOLDERS, assert_close_image, assert_same_image, frozen, plan_of, set_up
from tests.tolerances import MIXED_OF_MAXIMUM, MIXED_OF_PIXEL

CRYSTAL = "-mat {in}/triclinic.mat -hkl {in}/triclinic.hkl -lambda 0.9768 -N 5 "
SMALL_CELL = "-cell 20 21 22 90 95 100 -misset 11 22 33 -hkl {in}/small_cell.hkl -lambda 1.2 -N 2 "
AT = "-distance 100 -pixel 2 -detpixels_x 6 -detpixels_y 5 "
NEAR = "-distance 40 -pixel 4.7 -detpixels_x 6 -detpixels_y 6 "
LINES = {
    "one step": CRYSTAL + AT + "-oversample 1",
    "sub-pixels": CRYSTAL + AT + "-oversample 3",
    "mosaic": CRYSTAL + AT + "-oversample 1 -mosaic 1 -mosaic_domains 40",
    "phi": CRYSTAL + AT + "-oversample 1 -phi 1 -osc 2 -phisteps 5",
    "phi carry-over": CRYSTAL + AT + "-oversample 2 -osc 2 -phisteps 3 -hdivrange 3 -hdivsteps 2",
    "phi carry-over behind the cut": CRYSTAL
    + AT
    + "-oversample 1 -osc 2 -phisteps 3 -hdivrange 3 -hdivsteps 2 -dmin 30",
    "all pixels cut": CRYSTAL + AT + "-oversample 1 -osc 2 -phisteps 2 -dmin 5000",
    "sources": CRYSTAL + AT + "-oversample 1 -hdivrange 2 -hdivsteps 3 -dispersion 2 -dispsteps 2",
    "round": CRYSTAL + AT + "-oversample 1 -round_xtal",
    "gauss": CRYSTAL + AT + "-oversample 1 -gauss_xtal -fudge 1e-2",
    "top-hat": CRYSTAL + AT + "-oversample 1 -tophat_spots -fudge 1e-6",
    "tricubic": CRYSTAL + AT + "-oversample 1 -interpolate",
    "switch": SMALL_CELL + NEAR + "-oversample 1 -interpolate",
    "switch with phi": SMALL_CELL + NEAR + "-oversample 1 -interpolate -osc 1 -phisteps 2",
    "switch with products": SMALL_CELL + NEAR + "-oversample 2 -interpolate -oversample_omega",
    "switch with top-hat": SMALL_CELL + NEAR + "-oversample 1 -interpolate -tophat_spots -fudge 1e-12",
    "switch with round": SMALL_CELL + NEAR + "-oversample 1 -interpolate -round_xtal",
    "all products": CRYSTAL + AT + "-oversample 2 -oversample_omega -oversample_polar -oversample_thick "
    "-detector_thick 300 -detector_thicksteps 2",
    "products and sharp spots": CRYSTAL + AT + "-oversample 2 -oversample_omega -gauss_xtal -fudge 1e-2 -water 3",
    "products and round": CRYSTAL + AT + "-oversample 2 -oversample_polar -round_xtal -hdivrange 2 -hdivsteps 2",
    "layers": CRYSTAL + AT + "-oversample 1 -detector_thick 300 -detector_thicksteps 3",
    "curved": CRYSTAL + AT + "-oversample 2 -curved_det",
    "point pixels": CRYSTAL + AT + "-oversample 1 -point_pixel",
    "tilted": CRYSTAL + AT + "-oversample 1 -detector_rotx 12 -detector_roty -5 -twotheta 20",
    "polarized": CRYSTAL + AT + "-oversample 1 -polar 0.8 -polar_vector 0.1 0.2 0.9",
    "unpolarized, water": CRYSTAL + AT + "-oversample 1 -nopolar -water 5",
    "roi": CRYSTAL + AT + "-oversample 1 -roi 1 4 2 3",
    "default_F": "-cell 50 60 70 80 95 100 -default_F 7 -lambda 1 -N 3 -oversample 1 " + AT,
}


@pytest.mark.parametrize("threads", [8, 32])
@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
def test_every_option(line, threads, tmp_path, monkeypatch, engine):
    monkeypatch.setattr(cuda, "THREADS", threads)
    plan = plan_of(line, tmp_path)
    ours, theirs = render(plan, "cuda"), render(plan, "strict")
    for way in ({"reversed": 1}, {"reversed": 0, "threads_at_once": 1}) if engine else ():
        engine.set(**way)  # whoever of a block comes first
        assert_same_image(render(plan, "cuda").image, ours.image)
    assert_close_image(ours.image, theirs.image)
    assert ours.interpolation_ended == theirs.interpolation_ended


@pytest.mark.parametrize("name", ["switch", "all products", "products and sharp spots", "curved", "point pixels", "gauss",
                                  "phi carry-over behind the cut", "unpolarized, water"])  # fmt: skip
@pytest.mark.parametrize("fix", ["all", "Q04,Q02"])
def test_corrected_physics(fix, name, tmp_path):
    words = [w.replace("{in}", str(INPUT_FOLDERS[0])) for w in LINES[name].split()]
    start = set_up(words, tmp_path)
    settings = dataclasses.replace(start.settings, fixes=fixes_of(fix), dump_file=str(tmp_path / "dump"))
    plan = frozen(set_up_original(geometry(settings, None, lambda text: None), lambda text: None))
    if name == "unpolarized, water":
        twice = {name: np.concatenate([values] * 2) for name, values in plan.sources._asdict().items()}
        plan = plan.changed(**twice).changed(weight=np.array([0.5, 1.5]))
    assert_close_image(render(plan, "cuda").image, render(plan, "strict").image)


def test_the_lines_cover_what_they_name(tmp_path):
    """Or the test above shows nothing: the switch happens in mid-image, the cut cuts some pixels, the mask some."""
    switch = render(plan_of(LINES["switch"], tmp_path), "strict")
    without = render(plan_of(LINES["switch"].replace("-interpolate", "-nointerpolate"), tmp_path), "strict").image
    assert switch.interpolation_ended and (switch.image == without).any() and (switch.image != without).any()
    cut = render(plan_of(LINES["phi carry-over behind the cut"], tmp_path), "strict").image
    assert cut.flat[0] == 0.0 and (cut > 0.0).any()


def test_a_mask(tmp_path):
    plan = plan_of(LINES["one step"], tmp_path)
    mask = np.ones(30, np.uint8)
    mask[[0, 3, 4, 17, 29]] = 0
    masked = plan.changed(mask=mask)
    assert_close_image(render(masked, "cuda").image, render(masked, "strict").image)


@pytest.mark.parametrize("name", ["mosaic", "sources", "sub-pixels"])
def test_steps_are_split_over_blocks(name, tmp_path, monkeypatch, engine):
    """The parts are added in order: the same image every time, and within tolerance."""
    plan = plan_of(LINES[name], tmp_path)
    monkeypatch.setattr(cuda, "FEWEST_STEPS", 1)
    monkeypatch.setattr(cuda, "ENOUGH_THREADS", 30 * 6)
    sources, cells = cuda.split(30, plan.n_sources, plan.domains * plan.cells.phi_steps)
    assert sources * cells > 1 or name == "sub-pixels"
    image = render(plan, "cuda").image
    assert_close_image(image, render(plan, "strict").image)
    assert_same_image(render(plan, "cuda").image, image)
    assert not engine or engine.number("rows") >= sources * cells


def test_long_launches_are_cut(tmp_path, monkeypatch, engine):
    """So that progress is told in between."""
    plan = plan_of(LINES["mosaic"], tmp_path)
    monkeypatch.setattr(cuda, "LONGEST", plan.evaluations * 7)
    monkeypatch.setattr(cuda, "ENOUGH_THREADS", 1)
    told = []
    image = render(plan, "cuda", progress=told.append).image
    assert_close_image(image, render(plan, "strict").image)
    assert told == [7, 14, 21, 28, 30]


def test_split():
    assert cuda.split(6_000_000, 1, 1000) == (1, 1)
    assert cuda.split(65536, 1, 500) == (1, 4)
    assert cuda.split(100, 40, 5) == (3, 1) or cuda.split(100, 40, 5)[0] * cuda.split(100, 40, 5)[1] <= 200 // 64
    assert cuda.split(1, 1000, 1) == (15, 1)
    for numbers in ((1, 10, 1_000_000), (4, 1, 4_194_304), (1, 100_000, 100)):
        sources, cells = cuda.split(*numbers)
        assert 1000 < sources * cells <= 65535


def test_an_image_larger_than_the_device_comes_in_bands(tmp_path, monkeypatch):
    plan = plan_of(LINES["phi carry-over"], tmp_path)
    monkeypatch.setattr(cuda, "THREADS", 8)
    monkeypatch.setattr(Device, "free_memory", lambda self: 8 * 2 * (cuda.BYTES_OF_PIXEL + 8))
    launches = []
    launch = cuda._Run.launch
    monkeypatch.setattr(
        cuda._Run,
        "launch",
        lambda self, pixels, *rest, **more: launches.append(len(pixels)) or launch(self, pixels, *rest, **more),
    )
    rendered = render(plan, "cuda")
    assert_close_image(rendered.image, render(plan, "strict").image)
    assert len(launches) > 3 and sum(launches) == 30 and max(launches) <= 8
    assert_same_image(rendered.to_int(1.0, 40.0), figures.to_int(plan, rendered.panels, 1.0, 40.0))


def test_an_image_on_the_device_cannot_be_changed(tmp_path):
    """It would no longer be what its figures are made of."""
    rendered = render(plan_of(LINES["one step"], tmp_path), "cuda")
    assert isinstance(rendered, RenderedOnDevice)
    with pytest.raises(ValueError, match="read-only"):
        rendered.image[0, 0] = 1.0


def test_panels_and_tables(tmp_path):
    """Panels with places of their own, sources with tables of their own: as strict has them."""
    from tests.test_panels import stacked

    turns = ("", " -detector_rotx 5 -detector_roty -3")
    both = stacked([plan_of(LINES["sources"] + turn, tmp_path) for turn in turns])
    table = both.factors.table
    both = both.changed(table=np.concatenate([table, table * 2.0]), table_number=np.arange(both.n_sources) % 2)
    ours, theirs = render(both, "cuda"), render(both, "strict")
    assert ours.image.shape == (2, 5, 6)
    assert_close_image(ours.image, theirs.image)
    assert ours.sums()[0] == 60 and ours.sums()[4] == theirs.sums()[4]
    assert ours.solid_angle(1) == pytest.approx(theirs.solid_angle(1), rel=1e-12)
    one, other = (by.counts(counting(3, 0.0, 65535), 1)[0] for by in (ours, Rendered(both, np.array(ours.panels))))
    assert_same_image(one, other)
    sensor = {"thickness": 3e-4, "layers": 2, "layer_step": 1.5e-4, "chromatic": True, "oversample_thick": True}
    each = both.changed(
        **sensor, absorption=np.linspace(2e3, 6e3, both.n_sources), background=5.0,
        weight=np.linspace(0.5, 1.5, both.n_sources), running_products=False,
    )  # fmt: skip
    assert_close_image(render(each, "cuda").image, render(each, "strict").image)
    one_by_one = both.changed(interpolate=True, interpolation_ends=False)
    assert_close_image(render(one_by_one, "cuda").image, render(one_by_one, "strict").image)


def test_wide_pixels(tmp_path):
    """Shared on the device, in the image and in what is made of it there."""
    plan = plan_of(LINES["one step"], tmp_path)
    mask = np.ones(plan.panels.n_fast * plan.panels.n_slow, np.uint8)
    mask[7] = 0
    for more in ({}, {"mask": mask}, {"roi": (1, 4, 0, 3)}):
        wide = plan.changed(wide_fast=np.array([0, 3]), wide_slow=np.array([1]), **more)
        ours, theirs = render(wide, "cuda"), render(wide, "strict")
        assert_close_image(ours.panels, theirs.panels)
        on_host = Rendered(wide, np.array(ours.panels))
        assert_same_image(ours.counts(counting(3, 0.0, 65535), 1)[0], on_host.counts(counting(3, 0.0, 65535), 1)[0])
        assert (theirs.panels != render(plan.changed(**more), "strict").panels).any()


def test_a_gpu_that_fails(tmp_path, monkeypatch):
    """Asked for, it ends the run; under auto the CPU goes on, and says so once."""
    plan = plan_of(LINES["one step"], tmp_path)

    def fail(self, size):
        raise cuda.Unavailable("not enough memory")

    monkeypatch.setattr(cuda._Run, "_zeros", fail)
    with pytest.raises(BadInput, match="not enough memory"):
        render(plan, "cuda")
    remarks = []
    monkeypatch.setattr(engine_render, "STEPS_WORTH_KERNELS", 0)
    monkeypatch.setattr(engine_render, "STEPS_WORTH_GPU", 0)
    monkeypatch.setattr(engine_render.os.path, "exists", lambda path: True)
    assert_close_image(render(plan, "auto", remark=remarks.append).image, render(plan, "strict").image)
    assert len(remarks) == 1 and "not enough memory" in remarks[0]


def test_what_stays_on_the_device_is_the_right_thing(tmp_path):
    """Renders of changed plans one after the other: other cells, another table, another roi, and the first again."""
    plan = plan_of(LINES["one step"], tmp_path)
    others = [
        plan,
        plan.changed(cell=tuple(1.01 * x for x in plan.cells.cell)),
        plan.changed(table=plan.factors.table * 2.0),
        plan.changed(roi=(0, 2, 0, 2)),
        plan.changed(default_F=100.0),
        plan,
    ]
    for other in others:
        assert_close_image(render(other, "cuda").image, render(other, "strict").image)


def test_mixed_precision(tmp_path):
    plan = plan_of(LINES["mosaic"], tmp_path)
    ours = render(plan, "cuda", precision="mixed").image.astype(float)
    theirs = render(plan, "strict").image.astype(float)
    difference = np.abs(ours - theirs)
    assert (difference > 0.0).any(), "it is the double kernel"
    assert (difference <= MIXED_OF_PIXEL * theirs + MIXED_OF_MAXIMUM * theirs.max()).all(), difference.max()


def test_images_made_on_several_devices_at_once(tmp_path):
    """Devices share nothing, threads of one device wait for each other."""
    plan = plan_of(LINES["one step"], tmp_path)
    plans = [plan.changed(cell=tuple(f * x for x in plan.cells.cell)) for f in (1.0, 1.02, 0.99)] * 3
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        made = list(pool.map(lambda each: render(each, "cuda"), plans))
    for image, each in zip(made, plans, strict=True):
        assert_close_image(image.image, render(each, "strict").image)
    with pytest.raises(BadInput, match="--device 77"):
        render(plan, "cuda", device=77)


def test_figures_and_integers(tmp_path):
    plan = plan_of(LINES["roi"] + " -detpixels_x 20 -detpixels_y 15 -roi 1 18 2 14 -oversample 2", tmp_path)
    ours = render(plan, "cuda")
    theirs = Rendered(plan, np.array(ours.panels))
    a, b = (images.statistics(by, frozenset(), 1) for by in (ours, theirs))
    assert (a.max_I, a.max_at) == (b.max_I, b.max_at)
    np.testing.assert_allclose(np.hstack(a), np.hstack(b), rtol=1e-12)
    x, y = (by.to_int(55000.0 / a.max_I, 40.0) for by in (ours, theirs))
    assert np.abs(x.astype(int) - y).max() <= 1 and (x != y).mean() <= 0.001
    assert_same_image(ours.to_grey(0.3), theirs.to_grey(0.3))


def image_there(plan, image):
    gpu = cuda.open_device()
    with gpu.active():
        return RenderedOnDevice(
            plan, image.copy(), False, gpu, PlanOnDevice(gpu, plan, {}), gpu.put(image.reshape(-1))
        )  # fmt: skip


def some_image(tmp_path):
    plan = plan_of(LINES["roi"] + " -detpixels_x 20 -detpixels_y 15 -roi 1 18 2 14", tmp_path)
    return plan, (10 ** np.random.default_rng(1).uniform(-3, 8, (1, 15, 20))).astype(np.float32)


def test_philox_counts_are_those_of_the_cpu(tmp_path):
    plan, image = some_image(tmp_path)
    image[0, 2, 1:6] = [0.0, 12.0, np.inf, np.nan, -3.0]
    there = image_there(plan, image)
    for seed in (1, -5, 2**40):
        response = counting(seed, 40.0, 65535)
        ours, theirs = there.counts(response, 1), counts_of(plan, response, image, 1)
        assert_same_image(ours[0], theirs[0])
        assert ours[2] == theirs[2]


@pytest.mark.parametrize("kind", ["ccd", "counter", "stages", "raw"])
def test_responses_are_those_of_the_cpu(kind, tmp_path):
    """To the bit: light that spreads, near and far, patterns, dead times, noise of the readout, stages of gain."""
    plan, image = some_image(tmp_path)
    image = np.minimum(image, 1e5)
    rng = np.random.default_rng(2)
    pattern = rng.normal(1.0, 0.1, (3, image.size)).astype(np.float32)
    pattern[:, 50:60], pattern[:, 100:110] = 0.0, -1.0
    response = counting(7, 0.0, 65535)._replace(half=0.5, factor=0.9)
    if kind == "ccd":
        kernel = rng.uniform(0.0, 0.05, (5, 5)).astype(np.float32)
        stages = np.array([[1.2, 40.0, 3.0, 0.0, np.inf]])
        response = response._replace(
            kernel=kernel, far=rng.uniform(0.0, 1e-4, (3, 3)), pattern=pattern[:1], stages=stages
        )
    elif kind == "counter":
        response = response._replace(dead_time=1e-4, paralysable=True)
    else:
        stages = np.array(
            [[500.0, 3000.0, 12.0, 0.0, 25.0], [-17.0, 15000.0, 8.0, 1.0, 750.0], [-1.2, 15000, 8, 3, 2e4]]
        )
        response = response._replace(stages=stages, pattern=pattern, calibrated=kind == "stages", scale=10.0)
    ours, theirs = image_there(plan, image).counts(response, 1), counts_of(plan, response, image, 2)
    assert_same_image(ours[0], theirs[0])
    assert ours[1:] == theirs[1:] and len(np.unique(ours[0])) > 50


def test_surroundings_are_those_of_the_cpu(tmp_path):
    plan, image = some_image(tmp_path)
    rng = np.random.default_rng(3)
    shares, *parts = (rng.uniform(0.0, 1.0, image.size).astype(np.float32) for _ in range(4))
    here, there = Rendered(plan, image.copy()), image_there(plan, image)
    sheet = Sheet(parts[0], parts[1], rng.uniform(0.0, 3.0, 50).astype(np.float32), 60.0)
    three, one = Light(tuple(parts), (0.3, 0.6, 0.1), (sheet, sheet)), Light((parts[1],), (1.0,))
    for around in (Around(shares, three, 3.0), Around(shares[:0], one, 2.0), Around(shares, Light((), ()), 0.0)):
        for rendered in (here, there):
            rendered.surround(around, 2)
        assert there.sum_of_light(around.light, 1) == pytest.approx(here.sum_of_light(around.light, 2), rel=1e-12)
        for rendered in (here, there):
            rendered.add(image_there(plan, image))
        assert_same_image(there.panels, here.panels)


def test_indices_beyond_32_bits_are_refused(tmp_path):
    plan = plan_of("-cell 60 -default_F 7 -lambda 1e-9 -detpixels 4 -oversample 1", tmp_path)
    with pytest.raises(BadInput, match="--backend cuda"):
        render(plan, "cuda")
