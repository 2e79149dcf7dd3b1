"""What the driver refuses: no memory, a device that is lost, drivers and cards that are too old."""

import numpy as np
import pytest

from nanobragg.engine.errors import BadInput
from nanobragg.engine.render import render
from nanobragg.kernels.backend import Unavailable
from nanobragg.kernels.cuda import compiled, driver
from nanobragg.kernels.cuda import device as devices
from nanobragg.kernels.cuda.rendered import RenderedOnDevice
from nanobragg.kernels.image.rendered import Rendered
from tests.gpu.test_cuda import LINES
from tests.support import assert_close_image, assert_same_image, plan_of

OUT_OF_MEMORY, LOST = 2, 719


@pytest.fixture
def plan(tmp_path):
    return plan_of(LINES["one step"], tmp_path)


def emptied():
    """Nothing is kept: the next image asks for memory."""
    gpu = devices.open_device()
    gpu._kept.clear()
    with gpu.active():
        gpu.pool.empty()


@pytest.mark.parametrize("after", range(4))
def test_no_memory(after, plan, engine):
    """Whichever allocation it is, the run ends in words; the next one is right again."""
    emptied()
    engine.fail("cuMemAlloc_v2", after, OUT_OF_MEMORY)
    try:
        rendered = render(plan, "cuda")
    except BadInput as error:
        assert "not enough free memory" in str(error)
    else:
        assert after == 3 and rendered  # there are no more
    engine.forget()
    assert_close_image(render(plan, "cuda").image, render(plan, "strict").image)


def test_memory_that_is_kept_is_given_back_where_it_is_needed(plan, tmp_path, engine):
    emptied()
    render(plan, "cuda")
    assert devices.open_device().pool.idle
    frees = engine.number("frees")
    engine.fail("cuMemAlloc_v2", 0, OUT_OF_MEMORY)
    larger = plan_of(LINES["one step"] + " -detpixels 40", tmp_path)
    assert_close_image(render(larger, "cuda").image, render(larger, "strict").image)
    assert engine.number("frees") > frees


@pytest.mark.parametrize("function", ["cuLaunchKernel", "cuMemcpyHtoD_v2", "cuMemcpyDtoH_v2", "cuMemsetD8_v2"])
def test_a_device_that_is_lost(function, plan, engine):
    render(plan, "cuda")
    engine.fail(function, 0, LOST)
    with pytest.raises(BadInput, match="--backend cuda: CUDA_ERROR"):
        render(plan, "cuda")
    engine.forget()
    assert_close_image(render(plan, "cuda").image, render(plan, "strict").image)


def test_code_that_cannot_be_loaded(plan, engine, monkeypatch):
    gpu = devices.open_device()
    monkeypatch.setattr(gpu, "_loaded", {})
    engine.fail("cuModuleLoadData", 0, 200)
    with pytest.raises(BadInput, match="--backend cuda"):
        render(plan, "cuda")


@pytest.mark.parametrize("function", ["cuLaunchKernel", "cuMemcpyDtoH_v2", "cuMemAlloc_v2"])
def test_figures_are_made_on_the_host_where_the_device_fails(function, plan, engine):
    rendered = render(plan, "cuda")
    theirs = Rendered(plan, np.array(rendered.panels))
    assert isinstance(rendered, RenderedOnDevice)
    emptied()
    engine.fail(function, 0, LOST)
    assert rendered.sums() == theirs.sums()
    engine.forget()
    engine.fail(function, 0, LOST)
    assert_same_image(rendered.to_int(1.0, 40.0), theirs.to_int(1.0, 40.0))


def test_a_driver_that_is_older_than_the_packages():
    devices.check_driver((13, 2), 13)
    devices.check_driver((13, 0), 12)
    with pytest.raises(Unavailable, match=r"the driver is for CUDA 12.4, .* CUDA 13: pip install nanobragg\[cuda12\]"):
        devices.check_driver((12, 4), 13)
    with pytest.raises(Unavailable, match="a newer driver is needed"):
        devices.check_driver((11, 8), 12)


@pytest.mark.parametrize(("setting", "value", "says"), [
    ("version", 12040, "the driver is for CUDA 12.4"), ("capability", 70, "is too old: compute capability below 7.5"),
    ("devices", 0, "this machine has 0"),
])  # fmt: skip
def test_a_machine_that_will_not_do(setting, value, says, engine, monkeypatch):
    before = {"version": 13000, "capability": 90, "devices": 1}[setting]
    monkeypatch.setattr(devices, "_devices", {})
    monkeypatch.setattr(devices, "cuda_of_packages", lambda: 13)
    engine.set(**{setting: value})
    try:
        with pytest.raises(Unavailable, match=says):
            devices.open_device()
    finally:
        engine.set(**{setting: before})


def test_a_machine_without_a_driver(monkeypatch, engine):
    monkeypatch.setattr(driver, "driver", driver.driver.__wrapped__)
    engine.fail("cuInit", 0, 100)
    with pytest.raises(Unavailable, match="finds no GPU"):
        driver.driver()
    engine.fail("cuInit", 0, 803)
    with pytest.raises(Unavailable, match="does not start: CUDA_ERROR"):
        driver.driver()


def test_a_machine_without_numba_cuda(monkeypatch, engine):
    """Its driver's bindings may be there, since other packages bring them."""
    monkeypatch.setattr(devices, "_devices", {})
    monkeypatch.setattr(compiled.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Unavailable, match=r"numba-cuda is not installed: pip install nanobragg\[cuda\]"):
        devices.open_device()
