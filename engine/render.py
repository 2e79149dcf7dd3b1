"""Where a plan is sent: the one place that knows the backends."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nanobragg.engine import images
from nanobragg.engine.errors import BadInput, DeviceLost
from nanobragg.engine.experiment import Experiment
from nanobragg.kernels.backend import Unavailable
from nanobragg.kernels.compiling.processor import VARIABLE, WrongProcessor, processor
from nanobragg.kernels.cref import host as cref
from nanobragg.kernels.plan import RenderPlan

BACKENDS = ("auto", "fast", "strict", "cref", "cuda")
PRECISIONS = ("double", "mixed")
KNOWN_OPTIONS = {"fast": ("precision",), "cuda": ("device", "precision")}
NOISES = ("original", "philox")
# Loading LLVM and kept kernels takes about 0.1 s, the C reference about 0.1 us a step.
STEPS_WORTH_KERNELS = 2_000_000
# Loading numba.cuda and compiling for the card takes some 5 s, the fast kernel 3 ns a step.
STEPS_WORTH_GPU = 5_000_000_000
LARGEST_FAST_INDEX = 2.0**31
EDGE_ON = 1e-9  # pixels from the sample to the detector's plane, below which the plane goes through the sample


def default_threads() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Rendered(NamedTuple):
    """A rendered image.

    ``image`` holds photons per pixel, float32 (slow, fast); ``interpolation_ended`` says whether interpolation went off
    (Q02).
    """

    image: np.ndarray
    interpolation_ended: bool


def choose(backend: str, plan: RenderPlan, *, device: int = 0, remark: Callable[[str], None] | None = None) -> str:
    """The backend for a plan: as asked, or for ``auto`` the one that finishes first.

    Parameters
    ----------
    backend
        One of `BACKENDS`.
    plan
        What is to be rendered.
    device
        Number of the GPU.
    remark
        Told why a GPU that is there is not used.

    Raises
    ------
    BadInput
        If the C reference is asked for and was not built, a GPU that cannot be used, fast numerics for indices that
        only strict numerics can do, or kernels for a processor that this is not.
    """
    if backend not in BACKENDS:
        raise BadInput(f"--backend {backend}: not one of {', '.join(BACKENDS)}")
    if VARIABLE in os.environ:
        try:
            processor()
        except WrongProcessor as error:
            raise BadInput(str(error)) from None
    if backend == "cref" and not cref.available():
        raise BadInput("--backend cref: the C reference is not installed (no C compiler when nanobragg was installed)")
    edge_on = backend in ("fast", "cuda", "auto") and _is_edge_on(plan)
    too_large = backend not in ("strict", "cref") and _largest_index(plan) > LARGEST_FAST_INDEX
    if backend != "auto" and not edge_on:
        if too_large:
            raise BadInput(
                f"--backend {backend}: indices beyond 32 bits; --backend strict computes what the original would"
            )
        if backend == "cuda":
            _open(device)
        return backend
    steps = plan.evaluations * plan.n_rendered
    if backend == "auto" and steps < STEPS_WORTH_KERNELS and cref.available():
        return "cref"
    if too_large or edge_on:
        if remark is not None:
            why = "indices beyond 32 bits" if too_large else "the detector's plane goes through the sample"
            remark(f"{why}: rendered with --backend strict")
        return "strict"
    if steps >= STEPS_WORTH_GPU and os.path.exists("/dev/nvidiactl"):
        try:
            _open(device)
            return "cuda"
        except BadInput as error:
            if remark is not None:
                remark(f"the GPU of this machine is not used ({error}): rendering on the CPU")
    return "fast"


def _open(device: int) -> None:
    """Raise `BadInput` unless this GPU can be used."""
    try:
        importlib.import_module("nanobragg.kernels.cuda.host").open_device(device)
    except Unavailable as error:
        raise BadInput(f"--backend cuda: {error}") from None


def _is_edge_on(plan: RenderPlan) -> bool:
    """Whether the sample lies in the detector's plane: which pixels are no number then depends on the last bits."""
    return abs(plan.close_distance) < EDGE_ON * plan.pixel_size


def _largest_index(plan: RenderPlan) -> float:
    """No index can be larger: the cell vectors times 2/wavelength."""
    with np.errstate(all="ignore"):
        return float(np.abs(plan.cell).max() * 6.0 / np.abs(plan.sources[:, 3]).min())


def render(
    plan: RenderPlan,
    backend: str = "auto",
    *,
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
    remark: Callable[[str], None] | None = None,
    **options: Any,
) -> Rendered:
    """Render one image; ``options`` are backends' own (`KNOWN_OPTIONS`); others go without.

    Parameters
    ----------
    plan
        What to render.
    backend
        One of `BACKENDS`.
    threads
        Threads to share the pixels (all processors by default); the image does not depend on it.
    progress
        Called with the number of pixels rendered so far.
    remark
        Told why ``auto`` does not use a GPU that is there.

    Raises
    ------
    BadInput
        As `choose`, and `DeviceLost` if a GPU that was asked for fails.
    """
    image = np.zeros((plan.n_slow, plan.n_fast), np.float32)
    threads = default_threads() if threads is None else threads
    if options.get("precision", "double") not in PRECISIONS:
        raise BadInput(f"precision {options['precision']}: not one of {', '.join(PRECISIONS)}")
    chosen = choose(backend, plan, device=options.get("device", 0), remark=remark)
    options = {name: value for name, value in options.items() if name in KNOWN_OPTIONS.get(chosen, ())}
    run = importlib.import_module(f"nanobragg.kernels.{chosen}.host").render
    try:
        return Rendered(image, run(plan, image, threads=threads, progress=progress, **options))
    except Unavailable as error:
        if backend != "auto":
            raise DeviceLost(f"--backend cuda: {error}") from None
        if remark is not None:
            remark(f"the GPU of this machine is not used ({error}): rendering on the CPU")
    return render(plan, "fast", threads=threads, progress=progress, precision=options.get("precision", "double"))


def noisy(
    made: Experiment,
    plan: RenderPlan,
    image: np.ndarray,
    backend: str,
    *,
    philox: bool,
    threads: int,
    dtype: npt.DTypeLike = np.uint16,
) -> tuple[np.ndarray, float, int]:
    """Counts with photon noise, photons before offset and clipping, and overloads.

    Parameters
    ----------
    made, plan, image
        What was rendered; the generator goes on where mosaic and misset draws have left it.
    backend
        What rendered it.
    philox
        Whether counts are drawn from seed and place alone; fixes ask for it too (Q52, Q82).
    threads
        For those; the original's generator is serial.
    dtype
        uint16; or int32, for counts that the original would clip.
    """
    settings = made.settings
    if philox or settings.fixes & {"Q52", "Q82"}:
        adc = float(np.floor(settings.adc + 0.5)) if "Q78" in settings.fixes else settings.adc
        return images.philox_noise(
            plan, image, adc, settings.seed, backend, threads, dtype, saturation=settings.saturation
        )
    by: Any = cref if images.loops(backend, plan) is cref else importlib.import_module("nanobragg.kernels.image.noise")
    counts, photons, overloads = by.noise(image, plan.roi, settings.adc, settings.seed, made.random_table)
    return counts.astype(dtype, copy=False), photons, overloads
