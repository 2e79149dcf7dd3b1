"""``nb-bench``: the standard workloads on every backend that is there, as ratios to the C reference."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from nanobragg.cli.nanobragg.options import MOST_THREADS
from nanobragg.cli.nanobragg.parse import parse
from nanobragg.cli.streams import forgiving
from nanobragg.cli.tools.plans import silent
from nanobragg.cli.tools.tool import tool_parser
from nanobragg.engine import cost
from nanobragg.engine import plan as plans
from nanobragg.engine.check import original_program as original
from nanobragg.engine.check.workloads import WORKLOADS, Workload, write_amplitudes
from nanobragg.engine.errors import BadInput
from nanobragg.engine.formats.whole import whole_file
from nanobragg.engine.original.set_up import geometry, set_up
from nanobragg.engine.render import Rendered, default_threads, render
from nanobragg.kernels.compiling.processor import WrongProcessor, processor
from nanobragg.kernels.cref import binding
from nanobragg.kernels.cuda import host as cuda
from nanobragg.kernels.plan import RenderPlan

REFERENCE = "cref"
NB_C = "original"
WHOLE = ("fast", "mixed", "cuda")  # fast enough for all rows
BACKENDS = ("cref", "strict", "fast", "mixed", "cuda")


@contextlib.contextmanager
def working_in(folder: str | os.PathLike) -> Iterator[None]:
    """Dumps of amplitudes are written to the working directory."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def arguments_of(workload: Workload, hkl: pathlib.Path, rows: int | None = None) -> list[str]:
    """The command line, over the first rows only if asked."""
    words = workload.arguments.replace("{hkl}", str(hkl)).split()
    return words if rows is None else [*words, "-roi", "0", "100000", "0", str(rows - 1)]


def plan_of(words: Sequence[str]) -> RenderPlan:
    """The plan of a command line, without remarks."""
    return plans.plan_of(set_up(geometry(parse(words, {}).settings, None, silent), silent).scene)


def has_gpu() -> bool:
    """Whether a GPU can be used; numba.cuda is not loaded where there is no driver."""
    try:
        return os.path.exists("/dev/nvidiactl") and bool(cuda.open_device())
    except cuda.Unavailable:
        return False


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Wall time and result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def rendered(plan: RenderPlan, name: str, threads: int) -> Rendered:
    """A plan by a backend; ``mixed`` is the fast one in mixed precision."""
    if name == "mixed":
        return render(plan, "fast", threads=threads, precision="mixed")
    return render(plan, name, threads=threads)


def machine() -> dict[str, str]:
    """What this is measured on: the processor, and what kernels are compiled for."""
    made_for = processor()
    return {"processor": model_name(), "instructions": made_for.instructions, "code_for": made_for.name}


def model_name() -> str:
    """What the processor calls itself."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def agreement(plan: RenderPlan, ours: Rendered, reference: Rendered) -> dict[str, float]:
    """Share of identical pixels, and the worst difference as a share of the maximum."""
    pixels = plan.rendered_pixels()[:]
    a, b = (image.reshape(-1)[pixels].astype(float) for image in (ours.image, reference.image))
    return {"identical": float((a == b).mean()), "worst_of_max": float(np.abs(a - b).max() / (b.max() or 1.0))}


def measure(workload: Workload, hkl: pathlib.Path, backends: Sequence[str], threads: int, rounds: int) -> dict:
    """One workload on each backend: start-up, ns per step and ratios, alternating with the reference."""
    short = plan_of(arguments_of(workload, hkl, workload.rows))
    whole = plan_of(arguments_of(workload, hkl))
    plans = {name: whole if name in WHOLE else short for name in backends}
    result: dict[str, Any] = {
        "workload": workload.name,
        "shows": workload.shows,
        "steps": int(cost.steps_of(whole)),
        "backends": {},
    }
    taken: dict[str, list[float]] = {name: [] for name in backends}
    startup = {}
    for name in backends:
        startup[name], _ = timed(lambda: rendered(short.changed(roi=(0, 0, 0, 0)), name, threads))  # noqa: B023
    images = {}
    for _ in range(rounds):
        for name in backends:
            spent, images[name] = timed(lambda: rendered(plans[name], name, threads))  # noqa: B023
            taken[name].append(spent / cost.steps_of(plans[name]) * 1e9)
    for name in backends:
        entry = {"ns_per_step": statistics.median(taken[name]), "startup_s": startup[name]}
        if REFERENCE in backends:
            ratios = [theirs / ours for theirs, ours in zip(taken[REFERENCE], taken[name], strict=True)]
            entry["times_reference"] = statistics.median(ratios)
            entry |= agreement(short, images[name], images[REFERENCE])
        result["backends"][name] = entry
    if (command := original.command()) is not None:
        theirs = measure_original(command, workload, hkl, int(cost.steps_of(short)), rounds)
        for entry in result["backends"].values():
            entry["times_original"] = theirs / entry["ns_per_step"]
        result["backends"][NB_C] = {"ns_per_step": theirs, "times_original": 1.0}
    return result


def measure_original(command: Sequence[str], workload: Workload, hkl: pathlib.Path, steps: int, rounds: int) -> float:
    """The user's own program, ns per step: on the first rows, less what a run of a single pixel takes."""
    words = arguments_of(workload, hkl, workload.rows)
    one_pixel = [*words, "-roi", "0", "0", "0", "0"]

    def run(line: Sequence[str]) -> float:
        with tempfile.TemporaryDirectory() as folder:
            spent, done = timed(lambda: original.run(command, line, folder))
            written = os.path.exists(os.path.join(folder, "floatimage.bin"))
        if done.returncode or not written:
            what = f"exit status {done.returncode}" if done.returncode else "no floatimage.bin"
            raise BadInput(f"{original.PROGRAM} {command[0]}: {what} on the workload {workload.name}")
        return spent

    spent = [run(words) - run(one_pixel) for _ in range(rounds)]
    return max(statistics.median(spent), 0.0) / steps * 1e9


def table(results: list[dict]) -> Iterator[str]:
    """Lines for people."""
    on = machine()
    yield f"{on['processor']}: {on['instructions']}, code for {on['code_for']}"
    with_original = any(NB_C in result["backends"] for result in results)
    figures = f"{'ns/step':>10}{'x cref':>9}{'identical':>12}{'worst/max':>11}{'start s':>9}"
    yield f"{'workload':<10}{'backend':<10}{figures}" + (f"{'x original':>12}" if with_original else "")
    for result in results:
        for name, entry in result["backends"].items():
            ratio = f"{entry['times_reference']:.2f}" if "times_reference" in entry else "-"
            same = f"{entry['identical']:.4%}" if "identical" in entry else "-"
            worst = f"{entry['worst_of_max']:.1e}" if "worst_of_max" in entry else "-"
            start = f"{entry['startup_s']:.2f}" if "startup_s" in entry else "-"
            speed = f"{entry['ns_per_step']:.2f}"
            last = f"{entry['times_original']:>12.2f}" if with_original else ""
            yield f"{result['workload']:<10}{name:<10}{speed:>10}{ratio:>9}{same:>12}{worst:>11}{start:>9}{last}"


EPILOG = """NB_C_BIN or NB_C_LIB add an original of your own, however it was built. NANOBRAGG_CPU=x86-64-v3
measures AVX2 on a processor that has more.

examples:
  nb-bench                            all workloads on every backend there is
  nb-bench mosaic --backend fast      one of them"""


def arguments() -> argparse.ArgumentParser:
    """The options."""
    names = [workload.name for workload in WORKLOADS]
    listed = "\n".join(f"  {w.name:10} {w.shows}" for w in WORKLOADS)
    parser = tool_parser("nb-bench", __doc__, f"{EPILOG}\n\nworkloads:\n{listed}")
    parser.add_argument("workload", nargs="*", metavar="WORKLOAD", help=f"which of {', '.join(names)} (all by default)")
    parser.add_argument(
        "--backend",
        action="append",
        choices=BACKENDS,
        help="which ones (all there are); mixed: fast --precision mixed",
    )
    parser.add_argument("--threads", type=int, default=1, help="threads of the parallel kernels (default 1; 0: all)")
    parser.add_argument("--rounds", type=int, default=3, help="alternating rounds; the median counts (default 3)")
    parser.add_argument("--json", metavar="FILE", help="write the figures to FILE, - for standard output")
    return parser


def main(line: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    with forgiving():
        return run(arguments().parse_args(line))


def run(options: argparse.Namespace) -> int:
    """Measure and show."""
    if options.rounds < 1 or not 0 <= options.threads <= MOST_THREADS:
        print(f"nb-bench: --rounds must be 1 or more, --threads 0 to {MOST_THREADS}", file=sys.stderr)
        return 2
    if unknown := set(options.workload) - {w.name for w in WORKLOADS}:
        print(f"nb-bench: no workload is called {', '.join(sorted(unknown))}; see nb-bench --help", file=sys.stderr)
        return 2
    backends = options.backend or [REFERENCE] * binding.available() + ["strict", "fast", "mixed"] + ["cuda"] * has_gpu()
    chosen = [w for w in WORKLOADS if not options.workload or w.name in options.workload]
    try:
        processor()
        with tempfile.TemporaryDirectory() as name, working_in(name):
            hkl = write_amplitudes(pathlib.Path(name))
            threads = options.threads or default_threads()
            results = [measure(w, hkl, backends, threads, options.rounds) for w in chosen]
        return show(results, threads, options.json)
    except (BadInput, OSError, WrongProcessor) as error:
        print(f"nb-bench: {error}", file=sys.stderr)
        return 1


def show(results: list[dict], threads: int, target: str | None) -> int:
    """Print the figures as a table, or as JSON, or write that to a file as well."""
    text = json.dumps({**machine(), "threads": threads, "results": results}, indent=2)
    if target == "-":
        print(text)
        return 0
    if target:
        with whole_file(target, "--json") as file:
            file.write(f"{text}\n".encode())
    print("\n".join(table(results)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
