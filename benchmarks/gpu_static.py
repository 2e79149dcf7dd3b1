"""What the GPU kernels take, from their machine code alone: no GPU is needed.

    python benchmarks/gpu_static.py          prints the table of docs/gpu.md
    python benchmarks/gpu_static.py --link   machine code of some kernels as they are loaded: whether these packages can

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
from typing import NamedTuple

from nanobragg.kernels.cuda.all_kernels import all_kernels
from nanobragg.kernels.cuda.compiled import GpuKernel, compiled_by, machine_code_of, ptx_of

FP64 = ("DFMA", "DMUL", "DADD", "DSETP")
CAPABILITIES = ((8, 0), (9, 0))


class Resources(NamedTuple):
    """What one kernel takes on one kind of card; instructions are those of the innermost loop."""

    kernel: str
    capability: tuple[int, int]
    registers: int
    stack: int
    spills: int
    fp64: int
    instructions: int


def tool(name: str) -> str:
    """Where a program of the CUDA packages is."""
    spec = importlib.util.find_spec("nvidia")
    for folder in spec.submodule_search_locations or () if spec else ():
        for path in pathlib.Path(folder).glob(f"*/bin/{name}"):
            return str(path)
    return name


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


def resources(kernel: GpuKernel, capability: tuple[int, int]) -> Resources:
    """Compile for a kind of card, and count."""
    architecture = f"sm_{capability[0]}{capability[1]}"
    with tempfile.TemporaryDirectory() as folder:
        source, machine_code = pathlib.Path(folder) / "kernel.ptx", pathlib.Path(folder) / "kernel.cubin"
        source.write_text(ptx_of(kernel, capability))
        limits = [f"-arch={architecture}", f"-maxrregcount={kernel.registers}"]
        words = [tool("ptxas"), "-v", *limits, str(source), "-o", str(machine_code)]
        said = subprocess.run(words, check=True, capture_output=True, text=True).stderr
        words = [tool("nvdisasm"), "-c", str(machine_code)]
        loop = innermost(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    spills = [int(n) for n in re.findall(r"(\d+) bytes spill", said)]
    return Resources(
        kernel.name, capability, int(re.findall(r"Used (\d+) registers", said)[0]),
        max(int(n) for n in re.findall(r"(\d+) bytes stack frame", said)), sum(spills),
        sum(loop[instruction] for instruction in FP64), loop.total(),
    )  # fmt: skip


def link() -> None:
    """Make machine code of a kernel of each kind as it is loaded, and say by what."""
    cards = ((8, 0), (9, 0))
    wanted = ("render_square", "render_round_tricubic_products", "finish", "add_up", "count_pixels")
    kernels = [kernel for kernel in all_kernels() if kernel.name in wanted]
    sizes = [len(machine_code_of(kernel, card).binary) for kernel, card in itertools.product(kernels, cards)]
    version = re.findall(r"\.version (\S+)", ptx_of(kernels[0], cards[0]))[0]
    print(f"{len(sizes)} kernels, PTX {version}, {sum(sizes)} bytes of machine code; {compiled_by()}")


def main() -> None:
    """Print the table."""
    if "--link" in sys.argv[1:]:
        link()
        return
    print("| kernel | card | registers | stack, bytes | spilled, bytes | FP64 a step | instructions a step |")
    print("|---|---|---|---|---|---|---|")
    for kernel, capability in itertools.product(all_kernels(), CAPABILITIES):
        r = resources(kernel, capability)
        card = f"sm_{capability[0]}{capability[1]}"
        print(f"| {kernel.name} | {card} | {r.registers} | {r.stack} | {r.spills} | {r.fp64} | {r.instructions} |")


if __name__ == "__main__":
    sys.exit(main())
