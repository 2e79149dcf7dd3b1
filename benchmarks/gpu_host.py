"""What an image on a GPU costs the host, measured without a GPU.

    python benchmarks/gpu_host.py [--pixels 1024] [--images 200]

Below the real bindings of the driver is the driver of tests/gpu/on_cpu.c, whose launches do nothing here. Prints the
microseconds of a launch (arguments packed, kernel started) and of whole images, and what they ask of the driver. A real
driver adds its own: some 3 us a launch, and the time of the copies.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
import tempfile
import timeit
from collections.abc import Callable

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from nanobragg.engine.render import render
from nanobragg.kernels.cuda import figures
from nanobragg.kernels.cuda.device import open_device
from nanobragg.kernels.plan import RenderPlan
from tests.gpu import on_cpu
from tests.support import plan_of

LINE = "-cell 50 60 70 80 95 100 -default_F 7 -lambda 1 -N 5 -oversample 1 -distance 100 -pixel 0.1 -detpixels {}"
MORE = {"one step": "", "1000 domains": " -mosaic 1 -mosaic_domains 1000", "16 sub-pixels": " -oversample 4"}
COUNTED = ("launches", "allocations", "to_device", "to_host", "memsets")


def microseconds(work: Callable[[], object], times: int) -> float:
    """The least of five runs, of one call."""
    return min(timeit.repeat(work, number=times, repeat=5)) / times * 1e6


def of_launch(plan: RenderPlan) -> tuple[float, float]:
    """Microseconds of a launch as the host makes it, and of the driver's call alone."""
    rendered = render(plan, "cuda")
    gpu = open_device()
    with gpu.active():
        sums = gpu.empty((10, figures.FIGURES))
        arguments = (rendered._on_device, 0.0, rendered._there, sums)
        whole = microseconds(lambda: gpu.launch(figures.add_up, (10, 1), figures.THREADS, *arguments), 2000)
        _, function, launch = gpu._loaded[figures.add_up]
        return whole, microseconds(lambda: launch(function, (10, 1), figures.THREADS), 2000)


def images(plan: RenderPlan, number: int) -> Callable[[], None]:
    """Renders images of a batch: each has a cell and a fluence of its own."""
    others = [
        plan.changed(cell=tuple((1.0 + 1e-4 * k) * x for x in plan.cells.cell), fluence=(1.0 + k) * plan.scale.fluence)
        for k in range(number)
    ]

    def work() -> None:
        for other in others:
            render(other, "cuda")

    return work


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pixels", type=int, default=1024, help="along an edge of the image")
    parser.add_argument("--images", type=int, default=50)
    options = parser.parse_args()
    engine = on_cpu.engine()
    engine.set(idle=1)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        plans = {what: plan_of(LINE.format(options.pixels) + more, folder) for what, more in MORE.items()}
    whole, alone = of_launch(plans["one step"])
    print(f"a launch: {whole:.1f} us, of which the driver's call {alone:.1f} us")
    for what, plan in plans.items():
        work = images(plan, options.images)
        work()
        before = {counter: engine.number(counter) for counter in COUNTED}
        work()
        asked = ", ".join(f"{(engine.number(c) - before[c]) / options.images:g} {c}" for c in COUNTED)
        print(f"an image, {what}: {microseconds(work, 1) / options.images:.0f} us; {asked}")


if __name__ == "__main__":
    sys.exit(main())
