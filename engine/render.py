"""Where a plan is sent: the one place that knows the backends."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from nanobragg.engine.errors import BadInput, DeviceLost
from nanobragg.engine.response import response_plan
from nanobragg.engine.scene.scene import Scene
from nanobragg.kernels import backends
from nanobragg.kernels.backend import Unavailable
from nanobragg.kernels.backends import MODULES as BACKENDS_BY_NAME
from nanobragg.kernels.compiling.processor import VARIABLE, WrongProcessor, processor
from nanobragg.kernels.cref import binding
from nanobragg.kernels.image.rendered import Rendered
from nanobragg.kernels.plan import RenderPlan
from nanobragg.kernels.response.plan import counting

BACKENDS = ("auto", *BACKENDS_BY_NAME)
PRECISIONS = ("double", "mixed")
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
    if backend not in ("auto", "cuda"):  # a GPU is opened only for what it is to render
        _check(backend)
    edge_on = not _is_exact(backend) and _is_edge_on(plan)
    too_large = not _is_exact(backend) and _largest_index(plan) > LARGEST_FAST_INDEX
    if backend != "auto" and not edge_on:
        if too_large:
            raise BadInput(
                f"--backend {backend}: indices beyond 32 bits; --backend strict computes what the original would"
            )
        if backend == "cuda":
            _check("cuda", device=device)
        return backend
    steps = plan.evaluations * plan.n_rendered
    if backend == "auto" and steps < STEPS_WORTH_KERNELS and binding.available():
        return "cref"
    if too_large or edge_on:
        if remark is not None:
            why = "indices beyond 32 bits" if too_large else "the detector's plane goes through the sample"
            remark(f"{why}: rendered with --backend strict")
        return "strict"
    if steps >= STEPS_WORTH_GPU and os.path.exists("/dev/nvidiactl"):
        try:
            _check("cuda", device=device)
            return "cuda"
        except BadInput as error:
            if remark is not None:
                remark(f"the GPU of this machine is not used ({error}): rendering on the CPU")
    return "fast"


def _is_exact(name: str) -> bool:
    """Whether a backend does whatever the original does; ``auto`` may choose one that does not."""
    return name in BACKENDS_BY_NAME and backends.backend(name).CAPABILITIES.exact


def _check(name: str, **options: Any) -> None:
    """Raise `BadInput` unless a backend can be used here."""
    try:
        backends.backend(name).check(**options)
    except Unavailable as error:
        raise BadInput(f"--backend {name}: {error}") from None


def _is_edge_on(plan: RenderPlan) -> bool:
    """Whether the sample lies in the detector's plane: which pixels are no number then depends on the last bits."""
    return bool((np.abs(plan.panels.close_distance) < EDGE_ON * plan.panels.pixel_size).any())


def _largest_index(plan: RenderPlan) -> float:
    """No index can be larger: the cell vectors times 2/wavelength."""
    with np.errstate(all="ignore"):
        return float(np.abs(plan.cells.cell).max() * 6.0 / np.abs(plan.sources.wavelength).min())


def render(
    plan: RenderPlan,
    backend: str = "auto",
    *,
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
    remark: Callable[[str], None] | None = None,
    then: Callable[[Rendered], None] | None = None,
    **options: Any,
) -> Rendered:
    """Render one image; ``options`` are backends' own; who does not know one goes without.

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
    then
        What is done with the image where it lies, before it comes to the host.

    Raises
    ------
    BadInput
        As `choose`, and `DeviceLost` if a GPU that was asked for fails.
    """
    threads = default_threads() if threads is None else threads
    if options.get("precision", "double") not in PRECISIONS:
        raise BadInput(f"precision {options['precision']}: not one of {', '.join(PRECISIONS)}")
    chosen = choose(backend, plan, device=options.get("device", 0), remark=remark)
    by = backends.backend(chosen)
    known = {name: value for name, value in options.items() if name in by.CAPABILITIES.options}
    try:
        rendered = by.render(plan, threads=threads, progress=progress, **known)
        if then is not None:
            then(rendered)
        _ = rendered.panels  # the host has it: what a device could not do is known here
        return rendered
    except Unavailable as error:
        if backend != "auto":
            raise DeviceLost(f"--backend {chosen}: {error}") from None
        if remark is not None:
            remark(f"the GPU of this machine is not used ({error}): rendering on the CPU")
    precision = options.get("precision", "double")
    return render(plan, "fast", threads=threads, progress=progress, then=then, precision=precision)


def counts_of(
    scene: Scene, rendered: Rendered, *, philox: bool, threads: int, dtype: npt.DTypeLike = np.uint16
) -> tuple[np.ndarray, float, int]:
    """Counts with photon noise (panel, slow, fast), photons before offset and clipping, and overloads.

    Parameters
    ----------
    scene, rendered
        What was rendered; the original's generator goes on where mosaic and misset draws have left it.
    philox
        Whether counts are drawn from seed and place alone, as they are without the original's generator.
    threads
        For those; the original's generator is serial.
    dtype
        uint16; or int32, for counts that the original would clip.
    """
    noise = scene.noise
    if noise.table is None and scene.response is not None:
        most = int(np.iinfo(dtype).max)
        counts, photons, overloads = rendered.counts(response_plan(scene, noise.seed, most, threads), threads)
        return counts.astype(dtype, copy=False), photons, overloads
    if philox or noise.table is None:
        return drawn(rendered, noise.offset, noise.seed, threads, dtype, saturation=scene.detector.saturation)
    counts, photons, overloads = rendered.serial_counts(noise.offset, noise.seed, noise.table)
    return counts.astype(dtype, copy=False), photons, overloads


def drawn(
    rendered: Rendered, offset: float, seed: int, threads: int, dtype: npt.DTypeLike, *, panel: int = 0,
    saturation: float = 0.0,
) -> tuple[np.ndarray, float, int]:  # fmt: skip
    """Counts from counters, photons and overloads, made where the image is.

    Counts are clipped at what ``dtype``, uint16 or int32, can hold, or at ``saturation`` if that is less and not 0.
    """
    most = np.iinfo(dtype).max
    response = counting(seed, offset, min(most, int(saturation) or most), panel)
    counts, photons, overloads = rendered.counts(response, threads)
    return counts.astype(dtype, copy=False), photons, overloads
