"""The figures of docs/performance.md: run it with the interpreter nanobragg is installed in.

    python benchmarks/measure.py [--json FILE] [--rounds N]

Everything is compared within one run, alternating A and B, and given as the median of the ratios of each round.
Needs a C compiler for the reference program.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile

import numpy as np

from nanobragg.cli.tools.bench import arguments_of, plan_of, timed
from nanobragg.engine.check.workloads import WORKLOADS, write_amplitudes
from nanobragg.engine.factors.tables import from_reflections
from nanobragg.engine.formats.hkl import read_reflections
from nanobragg.engine.formats.reading import read
from nanobragg.engine.render import render

ROOT = pathlib.Path(__file__).resolve().parent.parent
CRYSTAL = ["-mat", str(ROOT / "examples" / "1a8o.mat"), "-hkl", str(ROOT / "examples" / "1a8o.hkl")]
MOSAIC = (
    "-lambda 1 -distance 120 -pixel 0.4 -detpixels 256 -N 20 -nointerpolate -oversample 1 "
    "-phi 1 -osc 1 -phisteps 10 -mosaic 0.5 -mosaic_domains 50"
)
HKL_LINES = 227_000


def seconds(function) -> float:
    """Wall time of one call."""
    return timed(function)[0]


def mosaic_workload(rounds: int) -> dict:
    """Strict against the C reference, per core and on two threads."""
    plan = plan_of([*CRYSTAL, *MOSAIC.split()])
    steps = plan.evaluations * plan.panels.n_fast * plan.panels.n_slow
    render(plan, "strict", threads=2)
    taken: dict[str, list[float]] = {name: [] for name in ("cref", "strict", "strict on 2 threads")}
    for _ in range(rounds):
        taken["cref"].append(seconds(lambda: render(plan, "cref")))
        taken["strict"].append(seconds(lambda: render(plan, "strict", threads=1)))
        taken["strict on 2 threads"].append(seconds(lambda: render(plan, "strict", threads=2)))
    ratio = [a / b for a, b in zip(taken["cref"], taken["strict"], strict=True)]
    scaling = [a / b for a, b in zip(taken["strict"], taken["strict on 2 threads"], strict=True)]
    return {
        "steps": steps,
        "ns_per_step": {name: round(statistics.median(t) / steps * 1e9, 1) for name, t in taken.items()},
        "strict_over_cref": round(statistics.median(ratio), 3),
        "two_threads_over_one": round(statistics.median(scaling), 3),
    }


def build_reference(folder: pathlib.Path) -> pathlib.Path:
    """Compile the reference program."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        sys.exit("measure.py: no C compiler to build the reference program with")
    program = folder / "reference_program"
    sources = [ROOT / "benchmarks" / "reference_program.c", *sorted((ROOT / "c_src").glob("*.c"))]
    flags = ["-std=c99", "-O2", "-ffp-contract=off", f"-I{ROOT / 'c_src'}"]
    subprocess.run([compiler, *flags, "-o", program, *sources, "-lm"], check=True)
    return program


def hkl_file(folder: pathlib.Path) -> pathlib.Path:
    """As many reflections as a protein has."""
    rng = np.random.default_rng(1)
    h, k, length = np.indices((62, 62, 62)).reshape(3, -1)[:, :HKL_LINES] - 31
    amplitudes = rng.exponential(100.0, HKL_LINES)
    path = folder / "large.hkl"
    path.write_text("".join(f"{a} {b} {c} {f:.3f}\n" for a, b, c, f in zip(h, k, length, amplitudes, strict=True)))
    return path


def hkl_reading(folder: pathlib.Path, program: pathlib.Path, rounds: int) -> dict:
    """A large hkl file, by us and by fscanf; processor time of reading and filling the table."""
    path = hkl_file(folder)
    ours, theirs = [], []
    for _ in range(rounds):
        theirs.append(float(subprocess.run([program, "read", path], check=True, capture_output=True).stdout))
        ours.append(seconds(lambda: from_reflections(read_reflections(read(str(path), "-hkl")), 0.0, "x")))
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    return {
        "lines": HKL_LINES,
        "ms": round(statistics.median(ours) * 1e3, 1),
        "fscanf_ms": round(statistics.median(theirs) * 1e3, 1),
        "ours_over_fscanf": round(ratio, 3),
    }


def small_image(folder: pathlib.Path, program: pathlib.Path, rounds: int) -> dict:
    """The whole command on 512 x 512 pixels of one step, noise and all, warm, against the reference program."""
    hkl = ROOT / "tests" / "inputs" / "small_cell.hkl"
    command = [
        str(pathlib.Path(sys.executable).with_name("nanoBragg")), "-cell", "100", "-hkl", str(hkl), "-lambda", "1",
        "-distance", "100", "-pixel", "0.1", "-detpixels", "512", "-N", "20", "-oversample", "1", "-seed", "1",
    ]  # fmt: skip
    runs = {
        "command": command,
        "command, strict": [*command, "--backend", "strict"],
        "reference program": [str(program), "image", str(hkl), "512", "20"],
    }
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, words in runs.items():
            spent = seconds(lambda: subprocess.run(words, cwd=folder, check=True, capture_output=True))  # noqa: B023
            if number:
                taken[name].append(spent)
    ratio = [a / b for a, b in zip(taken["command"], taken["reference program"], strict=True)]
    return {
        "seconds": {name: round(statistics.median(t), 3) for name, t in taken.items()},
        "command_over_reference": round(statistics.median(ratio), 2),
    }


def large_image(folder: pathlib.Path, rounds: int) -> dict:
    """The whole command on 2463 x 2527 pixels and 10 phi steps, one thread: fast against the C reference."""
    workload = next(w for w in WORKLOADS if w.name == "detector")
    words = [*arguments_of(workload, write_amplitudes(folder)), "--threads", "1", "--backend"]
    program = str(pathlib.Path(sys.executable).with_name("nanoBragg"))
    taken: dict[str, list[float]] = {"fast": [], "cref": []}
    for number in range(rounds + 1):
        for backend, times in taken.items():
            spent = seconds(
                lambda: subprocess.run([program, *words, backend], cwd=folder, check=True, capture_output=True)  # noqa: B023
            )
            if number:
                times.append(spent)
    ratio = statistics.median(a / b for a, b in zip(taken["cref"], taken["fast"], strict=True))
    return {
        "seconds": {name: round(statistics.median(t), 3) for name, t in taken.items()},
        "fast_over_cref": round(ratio, 2),
    }


def peak_memory(folder: pathlib.Path) -> dict:
    """Peak resident memory of the command on a 2463 x 2527 image, in MB."""
    words = (
        "-cell 100 -default_F 10 -lambda 1 -distance 200 -pixel 0.172 "
        "-detpixels_x 2463 -detpixels_y 2527 -N 9 -oversample 1"
    )
    backends = ("fast", "strict", "cref")
    return {backend: round(peak_of([*words.split(), "--backend", backend], folder)) for backend in backends}


PEAK = """
import sys
from nanobragg.cli.nanobragg.command import main
status = main(sys.argv[1:])
print(*[line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")])
sys.exit(status)
"""


def peak_of(words: list[str], folder: pathlib.Path) -> float:
    """Peak of one run in MB, by its own account: what the parent sees includes what it had itself when it forked."""
    run = subprocess.run([sys.executable, "-c", PEAK, *words], cwd=folder, check=True, capture_output=True, text=True)
    return int(run.stdout.split()[-1]) / 1024


def machine() -> dict:
    """What this was measured on."""
    with contextlib.suppress(OSError):
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return {
                    "processor": line.split(":")[1].strip(),
                    "cores": os.cpu_count(),
                    "python": platform.python_version(),
                }
    return {"processor": platform.processor(), "cores": os.cpu_count(), "python": platform.python_version()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", help="write the figures here as well")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    target = pathlib.Path(options.json).resolve() if options.json else None
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        os.chdir(folder)
        program = build_reference(folder)
        figures = {
            "machine": machine(),
            "mosaic": mosaic_workload(options.rounds),
            "hkl": hkl_reading(folder, program, options.rounds),
            "small_image": small_image(folder, program, options.rounds),
            "large_image": large_image(folder, options.rounds),
            "peak_memory_MB": peak_memory(folder),
        }
    print(json.dumps(figures, indent=2))
    if target:
        target.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
