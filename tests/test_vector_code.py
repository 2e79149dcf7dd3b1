"""The loops over a tile are vector code: looked at in the machine code for several processors, wherever the tests run."""

import re
from typing import NamedTuple

import llvmlite.binding as llvm
import numpy as np
import pytest

from nanobragg.kernels.compiling import machine_code
from nanobragg.kernels.compiling.decorators import fast_kernel, native_code, scalar
from nanobragg.kernels.compiling.vector import (
    prefer_wide_registers,
    stack_tile,
    stack_tile_single,
    stack_weights,
)
from nanobragg.kernels.fast import general_terms, plain_terms, sharp_terms
from nanobragg.kernels.fast import tables as fast_tables
from nanobragg.kernels.fast import tile as tiles
from nanobragg.kernels.fast.plain_terms import in_double, in_mixed_precision, terms_of_cell
from nanobragg.kernels.order.threads import TILE
from nanobragg.kernels.step import amplitude, geometry, lattice
from tests.support import BY_NAME, REQUIRED, plan_of


class Machine(NamedTuple):
    """A processor that is looked at: LLVM's names for it, a wide register, and how its arithmetic is written.

    ``packed`` and ``single`` are patterns of operations on many and on one number; ``{kind}`` is pd or ps.
    """

    triple: str
    cpu: str
    wide: str
    packed: str
    single: str
    gathers: bool = False


X86 = "x86_64-unknown-linux-gnu"
VEX = r"\tv(?:add|sub|mul|div|sqrt|fn?m(?:add|sub)\d+){many}{kind}\t"
SSE = r"\t(?:add|sub|mul|div|sqrt){many}{kind}\t"
MACHINES = {
    "AVX-512": Machine(X86, "x86-64-v4", "%zmm", VEX.replace("{many}", "p"), VEX.replace("{many}", "s"), True),
    "AVX2": Machine(X86, "x86-64-v3", "%ymm", VEX.replace("{many}", "p"), VEX.replace("{many}", "s")),
    "without FMA": Machine(X86, "x86-64-v2", "%xmm", SSE.replace("{many}", "p"), SSE.replace("{many}", "s")),
    "NEON": Machine(
        "aarch64-unknown-linux-gnu", "neoverse-n1", "",
        r"\tf(?:add|sub|mul|div|mla|mls|sqrt)\tv\d+\.{kind}", r"\tf(?:n?m?(?:add|sub)|mul|div|sqrt)\t{kind}\d",
    ),
}  # fmt: skip
MOST_SINGLE = 14  # what is done once before a loop


AMPLITUDES = fast_tables.AmplitudeBox(np.ones(8), (0.0,) * 3, (1.0,) * 3, (4.0, 2.0), 0.0)
CELLS = np.ones((1, 9))


@fast_kernel
def geometry_loops(plan, amplitudes, cells, out):
    prefer_wide_registers()
    f, s, x, y, z, air = stack_tile(), stack_tile(), stack_tile(), stack_tile(), stack_tile(), stack_tile()
    panel = geometry.placement(plan.panels, 0)
    for i in range(TILE):
        f[i] = s[i] = out[i]
    tiles.flat_positions(plan, panel, f, s, 0, 0, 0.0, x, y, z)
    tiles.airpaths(x, y, z, air)
    tiles.normalise(x, y, z, air)
    for i in range(TILE):
        out[i] = x[i] + y[i] + z[i]
    return 0


def one_loop(call, singles=False):
    """A kernel of one loop over the tile, its tiles filled from and copied to ``out``."""

    @fast_kernel
    def kernel(plan, amplitudes, cells, out):
        prefer_wide_registers()
        a, b, c, d = stack_tile(), stack_tile(), stack_tile(), stack_tile()
        e, f, g, w = stack_tile_single(), stack_tile_single(), stack_tile_single(), stack_weights()
        for i in range(TILE):
            a[i], b[i], c[i], d[i] = out[i], out[i + TILE], out[i + 2 * TILE], 0.0
            if singles:
                e[i], f[i], g[i] = np.float32(out[i]), np.float32(out[i + 1]), np.float32(out[i + 2])
        found = call(plan, amplitudes, cells, a, b, c, d, e, f, g, w)
        for i in range(TILE):
            out[i] = d[i] + a[i]
        return found

    return kernel


def alone(add_alone):
    @scalar
    def call(plan, amplitudes, cells, a, b, c, d, e, f, g, w):
        cell = plain_terms.scaled_cell(cells, 0, 1.0)
        add_alone(lattice.size_of(plan.cells), amplitudes, 1.0, 0.0, cell, (a, b, c), d)
        return 0

    return call


def of_several(add_shifted):
    @scalar
    def call(plan, amplitudes, cells, a, b, c, d, e, f, g, w):
        source = (1.0, (0.1, 0.2, 0.3))
        add_shifted(lattice.size_of(plan.cells), amplitudes, 1.0, 0.0, source, (a, b, c), d)
        return 0

    return call


@scalar
def of_round(plan, amplitudes, cells, a, b, c, d, e, f, g, w):
    general_terms.round_lattices(lattice.size_of(plan.cells), a, b, c, d)
    return 0


@scalar
def of_squares(plan, amplitudes, cells, a, b, c, d, e, f, g, w):
    general_terms.square_lattices(lattice.size_of(plan.cells), a, b, c, d)
    return 0


@scalar
def of_amplitudes(plan, amplitudes, cells, a, b, c, d, e, f, g, w):
    general_terms.nearest_amplitudes(amplitudes, 0.0, a, b, c, d)
    return 0


@scalar
def of_weights(plan, amplitudes, cells, a, b, c, d, e, f, g, w):
    general_terms.axis_weights(w, 0, 1, TILE, a, -5.0, d)
    for i in range(TILE):
        d[i] += w[i] + w[i + TILE] + w[i + 2 * TILE] + w[i + 3 * TILE]
    return 0


@scalar
def of_planes(plan, amplitudes, cells, a, b, c, d, e, f, g, w):
    return int(sharp_terms.any_near_planes(cells, 0, 0, 6144.1, 1000, e, f, g))


def both(way, place):
    """Terms of the only source of a group, and of one of several."""
    return [terms_of_cell(way, place, hkl_of) for hkl_of in (plain_terms.of_cell, plain_terms.of_shift)]


BLOCKS = both(in_double(lattice.square_quotient), amplitude.table_place)
BLOCKS_INSIDE = both(in_double(lattice.square_quotient), amplitude.table_place_inside)
ELLIPSOIDS = both(in_double(lattice.round_quotient), amplitude.table_place)
MIXED = both(in_mixed_precision(), amplitude.table_place)
LOOPS = {  # a kernel, the kind of numbers, and how many packed multiplications a pass over the loop has at least
    "geometry": (geometry_loops, "pd", 5),
    "one source": (one_loop(alone(BLOCKS[0])), "pd", 30),
    "several sources": (one_loop(of_several(BLOCKS[1])), "pd", 25),
    "one source, all in the table": (one_loop(alone(BLOCKS_INSIDE[0])), "pd", 30),
    "ellipsoid, one source": (one_loop(alone(ELLIPSOIDS[0])), "pd", 20),
    "ellipsoid, several sources": (one_loop(of_several(ELLIPSOIDS[1])), "pd", 20),
    "mixed, one source": (one_loop(alone(MIXED[0])), "pd", 10),
    "mixed, several sources": (one_loop(of_several(MIXED[1])), "pd", 5),
    "polynomials in binary32": (one_loop(alone(MIXED[0])), "ps", 20),
    "round": (one_loop(of_round), "pd", 20),
    "square": (one_loop(of_squares), "pd", 25),
    "amplitudes": (one_loop(of_amplitudes), "pd", 1),
    "weights": (one_loop(of_weights), "pd", 0),
    "planes": (one_loop(of_planes, True), "ps", 5),
}
GATHERING = [name for name in LOOPS if "source" in name or name == "amplitudes"]


@scalar
def at_once(size, amplitudes, share, offset, cell, q, total):
    """What `in_double` does, but for the amplitude, which is gathered in the same loop."""
    squares, low, high, stride, origin = amplitudes
    for i in range(TILE):
        hkl = plain_terms.of_cell(cell, q, i)
        node = lattice.fast_node(hkl)
        f_latt = lattice.fast_square_lattice(size, node, hkl)
        total[i] += squares[amplitude.table_place(low, high, stride, origin, node)] * f_latt * f_latt


@scalar
def by_calls(size, amplitudes, share, offset, cell, q, total):
    """What `in_double` does, but with polynomials that LLVM takes one by one, for a store that might be to anywhere."""
    for i in range(TILE):
        hkl = (q[0][i], q[1][i], q[2][i])
        above, below = lattice.square_quotient(size, lattice.fast_node(hkl), hkl)
        total[int(cell[0][0]) + i] += above / below


def assembly_for(machine, name, kernel, folder):
    """Machine code of a loop for a processor that need not be at hand."""
    if not llvm_makes_code_for(machine):
        assert "llvm" not in REQUIRED
        pytest.skip(f"this LLVM makes no code for {machine.triple}")
    plan = plan_of(BY_NAME["triclinic"].arguments(folder), folder)
    cells = CELLS.astype(np.float32 if name == "planes" else float)
    _, text = native_code(kernel, (plan, AMPLITUDES, cells, np.ones(4 * TILE)))
    target = llvm.Target.from_triple(machine.triple).create_target_machine(cpu=machine.cpu, opt=3)
    for what, value in (("triple", machine.triple), ("datalayout", target.target_data)):
        text = re.sub(rf'target {what} = "[^"]*"', f'target {what} = "{value}"', text)
    return target.emit_assembly(machine_code.optimised(text, target=target))


def llvm_makes_code_for(machine):
    """Whether this LLVM was built with the processor."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    try:
        return bool(llvm.Target.from_triple(machine.triple))
    except RuntimeError:
        return False


def check(machine, assembly, numbers, least, gathering):
    """Wide operations there are, and next to none on single numbers."""
    many, one = (m.replace("{kind}", k) for m, k in zip(machine[3:5], numbers, strict=True))
    lines = assembly.splitlines()
    wide = [line for line in lines if re.match(many, line) and machine.wide in line]
    multiplied = [line for line in wide if "m" in line.split()[0].lstrip("vf")]
    single = [line for line in lines if re.match(one, line)]
    assert len(multiplied) >= least, f"only {len(multiplied)} packed multiplications"
    assert len(wide) >= 5 and len(single) <= MOST_SINGLE, (
        f"{len(wide)} wide operations, {len(single)} on single numbers"
    )
    # Only with 512 bits LLVM takes gathers for faster than loads one by one.
    assert not (gathering and machine.gathers) or any("vgather" in line for line in lines)


def numbers_of(name, kind):
    """How many and single numbers of a kind are written for a machine."""
    if MACHINES[name].wide:
        return kind[1], kind[1]
    return ("2d", "d") if kind == "pd" else ("4s", "s")


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", LOOPS)
def test_the_loops_are_vector_code(name, machine, tmp_path):
    kernel, kind, least = LOOPS[name]
    assembly = assembly_for(MACHINES[machine], name, kernel, tmp_path)
    check(MACHINES[machine], assembly, numbers_of(machine, kind), least, name in GATHERING)


@pytest.mark.parametrize(
    ("machine", "add"), [("AVX2", at_once), ("AVX2", by_calls), ("AVX-512", by_calls), ("NEON", by_calls)]
)
def test_loops_that_are_no_vector_code_are_found(machine, add, tmp_path):
    """Places in the table computed one by one, and polynomials of single numbers."""
    assembly = assembly_for(MACHINES[machine], "mutant", one_loop(alone(add)), tmp_path)
    with pytest.raises(AssertionError, match=r"on single numbers|packed"):
        check(MACHINES[machine], assembly, numbers_of(machine, "pd"), 30, False)
