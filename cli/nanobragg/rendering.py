"""Rendering for the command: who does it, how long it takes, how far it is."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from nanobragg.cli.nanobragg import report
from nanobragg.cli.nanobragg.messages import remark, say
from nanobragg.cli.nanobragg.options import Options
from nanobragg.cli.nanobragg.time_left import TimeLeft
from nanobragg.cli.signals import ended_by_signals
from nanobragg.engine import cost
from nanobragg.engine.errors import BadInput
from nanobragg.engine.exposure import expose
from nanobragg.engine.original.set_up import SetUp
from nanobragg.engine.original.settings import Settings
from nanobragg.engine.render import choose
from nanobragg.engine.scene.scene import Scene
from nanobragg.engine.summary import steps_in_words
from nanobragg.kernels.backends import backend as backend_of
from nanobragg.kernels.image.rendered import Rendered
from nanobragg.kernels.plan import RenderPlan


def progress_of(plan: RenderPlan, settings: Settings, expected_s: float) -> Callable[[int], None] | None:
    """Who hears how far rendering is: stdout as the original's, a terminal of what is left of a long run."""
    heard: list[Callable[[int], None]] = []
    if settings.progress and not settings.printout:
        heard.append(report.PercentLines(plan, say))
    if expected_s > cost.WORTH_A_WORD_S and sys.stderr is not None and sys.stderr.isatty():
        heard.append(TimeLeft(plan.n_rendered, expected_s))
    return functools.partial(tell_all, heard) if heard else None


def tell_all(heard: Sequence[Callable[[int], None]], done: int) -> None:
    """Tell all of a number of pixels."""
    for hears in heard:
        hears(done)


def rendered_by(set_up: SetUp, plan: RenderPlan, options: Options, threads: int) -> tuple[str, Rendered]:
    """The backend that was chosen, and the image."""
    backend = choose(options.backend or "auto", plan, device=options.device, remark=remark)
    if options.precision != "double" and "precision" not in backend_of(backend).CAPABILITIES.options:
        remark(f"--precision {options.precision} means nothing to --backend {backend}")
    if options.explain:
        remark(f"{cost.steps_of(plan):.3g} steps: {steps_in_words(set_up.scene)}")
    with ended_by_signals():
        expected = cost.seconds(plan, backend, threads)
    if expected > cost.WORTH_A_WORD_S:
        remark(cost.in_words(plan, expected))
    progress = progress_of(plan, set_up.settings, expected)
    with ended_by_signals():
        return backend, _rendered(set_up.scene, plan, backend, options, threads, progress)


def _rendered(scene: Scene, plan: RenderPlan, backend: str, options: Options, threads: int, progress: Any) -> Rendered:
    """The image; a GPU that ``auto`` has chosen and that fails is replaced by the CPU."""
    own: dict[str, Any] = {"device": options.device, "precision": options.precision}
    try:
        return expose(scene, plan, backend, threads=threads, progress=progress, **own)
    except BadInput as error:
        if backend != "cuda" or options.backend == "cuda":
            raise
        remark(f"the GPU of this machine is not used ({error}): rendering on the CPU")
        return expose(scene, plan, "fast", threads=threads, progress=progress, **own)


def figures_of_pixels(
    set_up: SetUp, plan: RenderPlan, rendered: Rendered, backend: str, options: Options
) -> Iterator[str]:
    """What ``-printout`` and ``--trace`` show."""
    if not (set_up.settings.printout or options.trace):
        return  # neither is loaded then
    from nanobragg.cli.nanobragg import printout
    from nanobragg.engine.check import trace

    yield from printout.blocks(set_up, plan, rendered.image)
    for pixel in options.trace:
        yield trace.text(trace.trace(plan, *pixel, backend)).rstrip()
