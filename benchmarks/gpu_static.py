"""What the GPU kernels take, from their machine code alone: no GPU is needed.

    python benchmarks/gpu_static.py        prints the table of docs/gpu.md

Compiles every kernel to PTX and to machine code for sm_80 and sm_90: registers, spills, stack, and the instructions of
the innermost loop, which are those of one step. Needs ``pip install nanobragg[test]`` (ptxas and nvdisasm).
"""

from __future__ import annotations

import collections
import importlib.util
import itertools
import pathlib
import re
import subprocess
import sys
import tempfile
import typing
from collections.abc import Iterator
from typing import Any, NamedTuple

import numba
import numpy as np
from numba import cuda

from nanobragg.kernels.cuda import figures as cuda_figures
from nanobragg.kernels.cuda import loops as cuda_loops
from nanobragg.kernels.fast.tables import AmplitudeBox
from nanobragg.kernels.plan import RenderPlan
from nanobragg.kernels.shapes import SHAPES, SQUARE

FP64 = ("DFMA", "DMUL", "DADD", "DSETP")
CAPABILITIES = ((8, 0), (9, 0))
V3 = (1.0, 1.0, 1.0)


class Resources(NamedTuple):
    """What one kernel takes on one kind of card; instructions are those of the innermost loop."""

    kernel: str
    capability: tuple[int, int]
    registers: int
    stack: int
    spills: int
    fp64: int
    instructions: int


def some_plan() -> RenderPlan:
    """A plan of the right types."""
    shapes = {
        "mask": np.empty(0, np.uint8), "mosaic_rotations": np.ones((1, 9)), "table": np.empty((0, 0, 0, 0)),
        "distance": np.ones(1), "close_distance": np.ones(1), "beam_spot": np.ones((1, 2)), "wavelength": np.ones(1),
        "weight": np.ones(1), "table_number": np.zeros(1, np.int64),
    }  # fmt: skip
    kinds = {
        "int": 1, "float": 1.0, "bool": True, "Vector": V3, "tuple[int, int, int]": (1, 1, 1),
        "tuple[int, int, int, int]": (1, 1, 1, 1), "tuple[float, ...]": (1.0,) * 9,
        "np.ndarray": np.ones((1, 3)),
    }  # fmt: skip
    groups = {}
    for name, group in typing.get_type_hints(RenderPlan).items():
        told = {field: getattr(kind, "__forward_arg__", kind) for field, kind in group.__annotations__.items()}
        groups[name] = group(**{field: shapes.get(field, kinds[kind]) for field, kind in told.items()})
    return RenderPlan(**groups)


def kernels() -> Iterator[tuple[str, Any, tuple]]:
    """Name, kernel and arguments of the right types: all variants that can be launched."""
    plan = some_plan()
    amplitudes = AmplitudeBox(np.ones(1), V3, V3, (1.0, 1.0), 1.0)
    pixels, image = np.ones(1, np.int32), np.ones(1, np.float32)
    row, sums, states = np.ones(1), np.ones((1, 1)), np.ones(1, np.uint8)
    flags = itertools.product(range(len(SHAPES)), (False, True), (False, True), (False, True))
    for shape, interpolate, products, single in flags:
        if single and shape != SQUARE:
            continue
        name = " ".join([SHAPES[shape]] + ["tricubic"] * interpolate + ["products"] * products + ["mixed"] * single)
        arguments = (plan, (amplitudes, 1.0), (V3, True), row, row, sums, row, (1, 1), states, sums)
        yield name, cuda_loops.sum_kernel(shape, interpolate, products, single, False), arguments
    yield "square weighted", cuda_loops.sum_kernel(SQUARE, False, False, False, True), arguments
    yield "clear", cuda_loops.clear, (image,)
    yield "begin", cuda_loops.begin, (1.0, states, sums)
    yield "aim", cuda_loops.aim, (plan, pixels, 1, 1, sums, row)
    yield "finish", cuda_loops.finish, (plan, pixels, sums, 1, image)
    yield "figures", cuda_figures.add_up, (plan, 1.0, image, sums, np.ones(1, np.int64))
    yield "solid angles", cuda_figures.solid_angles, (plan, pixels, row)
    yield "integers", cuda_figures.to_int, (plan, image, 1.0, 1.0, np.ones(1, np.uint16))
    yield "grey levels", cuda_figures.to_grey, (plan, image, 1.0, np.ones(1, np.uint8))
    yield "noise", cuda_figures.draw_counts, (plan, image, 1.0, 1, 0, 1.0, np.ones(1, np.int32), row)


def tool(name: str) -> str:
    """Where a program of the CUDA packages is."""
    spec = importlib.util.find_spec("nvidia")
    for folder in spec.submodule_search_locations or () if spec else ():
        for path in pathlib.Path(folder).glob(f"*/bin/{name}"):
            return str(path)
    return name


class _Card:
    """Stands in for the card that numba.cuda asks for its capability when a kernel calls functions."""

    def __init__(self, capability: tuple[int, int]):
        self.compute_capability = capability


def ptx_of(kernel: Any, arguments: tuple, capability: tuple[int, int]) -> str:
    """The kernel in PTX."""
    from numba.cuda import dispatcher

    before = dispatcher.get_current_device
    dispatcher.get_current_device = lambda: _Card(capability)
    try:
        types = tuple(numba.typeof(argument) for argument in arguments)
        return cuda.compile_ptx(kernel.py_func, types, cc=capability)[0]
    finally:
        dispatcher.get_current_device = before


def innermost(assembly: str) -> collections.Counter[str]:
    """Instructions of the shortest loop with any arithmetic in binary64, by name."""
    labels: dict[str, int] = {}
    instructions: list[str] = []
    for line in assembly.splitlines():
        if label := re.match(r"\s*(\.L\S+):", line):
            labels[label.group(1)] = len(instructions)
        elif instruction := re.match(r"\s*/\*[0-9a-f]+\*/\s+(.*?);", line):
            instructions.append(instruction.group(1))
    loops = []
    for end, text in enumerate(instructions):
        jump = re.search(r"BRA\S*.*`\((\.L\S+)\)", text)
        start = labels.get(jump.group(1), end) if jump else end
        if start < end:
            names = (re.sub(r"^@!?U?P\w+\s+", "", t).split()[0].split(".")[0] for t in instructions[start : end + 1])
            loops.append(collections.Counter(names))
    wanted = [loop for loop in loops if sum(loop[name] for name in FP64) >= 20]
    return min(wanted, key=lambda loop: loop.total(), default=collections.Counter())


def resources(name: str, kernel: Any, arguments: tuple, capability: tuple[int, int]) -> Resources:
    """Compile for a kind of card, and count."""
    architecture = f"sm_{capability[0]}{capability[1]}"
    with tempfile.TemporaryDirectory() as folder:
        source, machine_code = pathlib.Path(folder) / "kernel.ptx", pathlib.Path(folder) / "kernel.cubin"
        source.write_text(ptx_of(kernel, arguments, capability))
        words = [tool("ptxas"), "-v", f"-arch={architecture}", str(source), "-o", str(machine_code)]
        said = subprocess.run(words, check=True, capture_output=True, text=True).stderr
        words = [tool("nvdisasm"), "-c", str(machine_code)]
        loop = innermost(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    spills = [int(n) for n in re.findall(r"(\d+) bytes spill", said)]
    return Resources(
        name, capability, int(re.findall(r"Used (\d+) registers", said)[0]),
        max(int(n) for n in re.findall(r"(\d+) bytes stack frame", said)), sum(spills),
        sum(loop[instruction] for instruction in FP64), loop.total(),
    )  # fmt: skip


def main() -> None:
    """Print the table."""
    print("| kernel | card | registers | stack, bytes | spilled, bytes | FP64 a step | instructions a step |")
    print("|---|---|---|---|---|---|---|")
    for (name, kernel, arguments), capability in itertools.product(kernels(), CAPABILITIES):
        r = resources(name, kernel, arguments, capability)
        card = f"sm_{capability[0]}{capability[1]}"
        print(f"| {name} | {card} | {r.registers} | {r.stack} | {r.spills} | {r.fp64} | {r.instructions} |")


if __name__ == "__main__":
    sys.exit(main())
