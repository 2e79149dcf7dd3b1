"""What an image costs the host: launches, copies and allocations, counted by the driver."""

import gc
import re

import numpy as np
import pytest

from nanobragg.engine.render import drawn, render
from nanobragg.kernels.cuda import compiled, figures, loops, parameters, response, surroundings
from nanobragg.kernels.cuda.device import open_device
from nanobragg.kernels.cuda.memory import DeviceArray, Pool
from nanobragg.kernels.image.rendered import Rendered
from nanobragg.kernels.response.plan import counting
from nanobragg.kernels.shapes import SHAPES
from nanobragg.kernels.surroundings.plan import Around, Light
from tests.gpu import on_cpu
from tests.gpu.test_cuda import LINES
from tests.support import assert_close_image, assert_same_image, plan_of

COUNTED = ("launches", "allocations", "frees", "to_device", "to_host", "memsets")
SIMPLE = "-cell 50 60 70 80 95 100 -default_F 7 -lambda 1 -N 3 -oversample 1 -distance 100 -pixel 2 -detpixels_x 6 -detpixels_y 5"


def counted(engine, work):
    """What `work` returns, and how often it asked the driver for something."""
    before = {name: engine.number(name) for name in COUNTED}
    made = work()
    return made, {name: engine.number(name) - before[name] for name in COUNTED}


def whole(plan):
    """A rendered image that the host has, too."""
    rendered = render(plan, "cuda")
    assert rendered.panels.size
    return rendered


def changed(plan, k):
    """Another image of a batch: cells, sources, beam and place of the detector are others."""
    cell = tuple((1.0 + 0.001 * k) * x for x in plan.cells.cell)
    return plan.changed(
        cell=cell, pix0=plan.panels.pix0 * (1.0 + 1e-4 * k), fluence=plan.scale.fluence * (1 + k),
        direction=plan.sources.direction.copy(), wavelength=plan.sources.wavelength * (1.0 + 1e-4 * k),
    )  # fmt: skip


@pytest.mark.parametrize("line", [SIMPLE, LINES["sub-pixels"], LINES["layers"], LINES["all products"], LINES["mosaic"]])
def test_layers_and_sub_pixels_are_in_one_launch(line, tmp_path, engine):
    plan = plan_of(line, tmp_path)
    render(plan, "cuda")
    rendered, cost = counted(engine, lambda: whole(plan))
    assert cost["launches"] == 2 and cost["to_host"] == 1 and cost["memsets"] == 1
    assert cost["to_device"] == 1, "the plan's small arrays and the cells are one block"
    _, cost = counted(engine, lambda: (rendered.sums(), rendered.to_int(1.0, 40.0)))
    assert cost["launches"] == 2 and cost["to_device"] == 0


def test_many_panels_are_the_launches_of_one(tmp_path, engine):
    """All ASICs of an AGIPD in one go; their places are part of the block that is copied anyway."""
    import nanobragg as nb
    from nanobragg.engine.plan import plan_of as plan_of_scene

    panels = tuple(nb.Panel((4, 6), origin_mm=(7 * (n % 16), 5 * (n // 16), 0.0)) for n in range(128))
    detector = nb.Detector(
        shape=(40, 112), pixel_mm=1.0, distance_mm=90, panels=panels, thickness_um=300, material="Si"
    )
    crystal = nb.Crystal(cell=(50, 60, 70, 80, 95, 100), N=(3, 3, 3))
    plan = plan_of_scene(nb.set_up(crystal, detector, nb.constant(9.0), oversample=1))
    render(plan, "cuda")
    rendered, cost = counted(engine, lambda: whole(plan))
    assert cost["launches"] == 2 and cost["to_device"] == cost["to_host"] == 1 and rendered.panels.shape == (128, 4, 6)
    assert_close_image(rendered.panels, render(plan, "strict").panels)


def test_an_image_with_figures_and_integers_is_four_launches(tmp_path, engine):
    plan = plan_of(SIMPLE, tmp_path)
    render(plan, "cuda")

    def image():
        rendered = render(plan, "cuda")
        rendered.sums()
        return drawn(rendered, 40.0, 1, 1, np.uint16)

    _, cost = counted(engine, image)
    assert cost["launches"] <= 4


def test_a_response_and_surroundings_are_few_launches(tmp_path, engine):
    """Counts are one; light that spreads, near and far, three more; background and shades one, and one a part that is new."""
    rendered = whole(plan_of(SIMPLE, tmp_path))
    plain = counting(1, 0.0, 65535)
    spread = plain._replace(kernel=np.ones((3, 3), np.float32), far=np.ones((3, 3)))
    some = np.ones(rendered.panels.size, np.float32)
    around = Around(some, Light((some, some), (0.5, 0.5)), 1.0)
    other = around._replace(light=Light((some, some), (0.4, 0.6)))
    for work, launches in (
        (lambda: rendered.counts(plain, 1), 1), (lambda: rendered.counts(spread, 1), 4),
        (lambda: rendered.surround(around, 1), 3), (lambda: rendered.surround(around._replace(scale=2.0), 1), 1),
        (lambda: rendered.surround(other, 1), 3),
    ):  # fmt: skip
        assert counted(engine, work)[1]["launches"] == launches


def test_a_batch_asks_for_nothing_new(tmp_path, engine):
    """Allocations, code and tables are those of the image before; images are right, and none is another's memory."""
    plan = plan_of(LINES["sources"], tmp_path)
    for k in range(2):
        render(changed(plan, k), "cuda").sums()
    gc.collect()
    loads = engine.number("loads")

    def batch():
        images = []
        for k in range(2, 12):
            rendered = render(changed(plan, k), "cuda")
            rendered.sums()
            images.append(np.array(rendered.image))
            del rendered
        return images

    images, cost = counted(engine, batch)
    assert cost["allocations"] == cost["frees"] == 0 and engine.number("loads") == loads
    assert cost["launches"] == 30 and cost["to_device"] == 10 and cost["to_host"] == 20
    for k, image in enumerate(images, start=2):
        assert_close_image(image, render(changed(plan, k), "strict").image)


def test_a_mask_that_is_made_anew_for_each_image_is_not_copied_again(tmp_path, engine):
    """Detectors with gaps in a batch: equal masks, tables and lists of pixels stay where they are."""
    plan = plan_of(LINES["tricubic"], tmp_path)
    mask = np.ones(30, np.uint8)
    mask[3:9] = 0

    def image(k):
        again = changed(plan, k).changed(mask=mask.copy(), table=plan.factors.table.copy())
        return render(again, "cuda"), again

    image(0)
    (rendered, again), cost = counted(engine, lambda: image(1))
    assert cost["to_device"] == 1
    assert_close_image(rendered.image, render(again, "strict").image)
    other = again.changed(mask=1 - mask)
    assert_close_image(render(other, "cuda").image, render(other, "strict").image)


def test_images_that_are_kept_keep_their_memory(tmp_path, engine):
    plan = plan_of(LINES["sources"], tmp_path)
    kept = [render(changed(plan, k), "cuda") for k in range(4)]
    for k, rendered in enumerate(kept):
        other = render(changed(plan, k), "cuda")
        assert rendered.sums() == other.sums()
        assert_same_image(rendered.to_grey(1e3), other.to_grey(1e3))


def test_an_image_keeps_the_mask_that_it_was_made_with(tmp_path, engine):
    """Its figures are asked for when other images, with other masks and tables, have come after it."""
    plan = plan_of(LINES["one step"], tmp_path)
    masks = np.ones((2, 30), np.uint8)
    masks[0, [0, 3, 4]] = masks[1, 6:] = 0
    one = render(plan.changed(mask=masks[0]), "cuda")
    others = [render(plan.changed(mask=masks[1], table=plan.factors.table * k), "cuda") for k in (2.0, 3.0)]
    theirs = Rendered(one.plan, np.array(one.panels))
    assert one.sums()[0] == theirs.sums()[0] == 27 and others[0].sums()[0] == 6
    np.testing.assert_allclose(one.sums(), theirs.sums(), rtol=1e-12)


def test_images_of_many_sizes_do_not_keep_memory(tmp_path, engine):
    """What is idle is given back before it is more than what is in use."""
    plan = plan_of(SIMPLE + " -detpixels 64", tmp_path)
    for last in range(10, 64):
        render(plan.changed(roi=(0, last, 0, last)), "cuda")
    pool = open_device().pool
    assert pool.idle < 3e6 and engine.number("frees") > 0
    with open_device().active():
        pool.empty()
    assert pool.idle == 0


def test_a_pool(engine):
    with open_device().active():
        pool = Pool()
        first = pool.take(1000)
        address = first.address
        assert first.size == 1024 and pool.in_use == 1024
        del first
        assert (pool.in_use, pool.idle) == (0, 1024)
        assert pool.take(600).address == address
        del pool


@pytest.mark.parametrize(
    "kernel",
    [loops.finish, figures.add_up, response.count_pixels, response.read_pixels, surroundings.surround]
    + [loops.render_kernel(shape, tricubic, False, False, False) for shape in range(len(SHAPES)) for tricubic in (0, 1)],
    ids=lambda kernel: kernel.name,
)  # fmt: skip
def test_parameters_stand_where_the_compiler_has_them(kernel):
    """Offsets by `struct` against those of the PTX, in which each parameter is at a multiple of its size."""
    ptx = compiled.ptx_of(kernel, (9, 0))
    declared = re.search(r"\.entry \S+?\((.*?)\)\s*(?:\.|\{)", ptx, re.S).group(1)
    sizes = [int(bits) // 8 for bits in re.findall(r"\.param \.\w(\d+) ", declared)]
    letters = "".join(map(parameters.format_of, kernel.types))
    assert [8 if letter != "?" else 1 for letter in letters] == sizes
    place = 0
    for size in sizes:
        place = -(-place // size) * size + size
    assert kernel.layout.size == place < 4096


def test_numbers_of_an_array():
    """As numba has them: shape and strides at the end, of an array that is C-contiguous."""
    array = DeviceArray(None, (2, 3, 4), np.float32)
    assert array.numbers == (0, 0, 24, 4, 0, 2, 3, 4, 48, 16, 4)
    assert on_cpu.size_of("[288 x double]") == 2304 and on_cpu.size_of("i1") == 1


def test_a_plan_with_other_kinds_of_numbers_is_the_same(tmp_path, engine):
    """Whole numbers where the plan has fractions, and numpy's: what is packed is what is declared."""
    plan = plan_of(LINES["one step"], tmp_path)
    other = plan.changed(
        fluence=np.float64(plan.scale.fluence), phi0=0, oversample=np.int64(1), left_out=np.bool_(False)
    )
    assert_same_image(render(other, "cuda").image, render(plan, "cuda").image)
    other = plan.changed(weight=np.ones(1, int), mask=np.ones(30, bool), table=plan.factors.table.astype(np.float32))
    assert_close_image(render(other, "cuda").image, render(plan, "cuda").image)
