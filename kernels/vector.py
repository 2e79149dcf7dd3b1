"""LLVM by hand: wide registers and memory on the stack, which Numba has no words for."""

from __future__ import annotations

import platform

import llvmlite.binding as llvm
import llvmlite.ir as ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array

TILE = 128  # pixels worked on together; a multiple of every register width


@intrinsic
def prefer_wide_registers(typingctx):
    """Ask LLVM for 512-bit registers in the function that calls this (no code; without effect where there are none)."""

    def codegen(context, builder, signature, args):
        for attribute in ('"prefer-vector-width"="512"', '"min-legal-vector-width"="512"'):
            set.add(builder.function.attributes, attribute)  # past llvmlite's list of known names
        return context.get_dummy_value()

    return types.void(), codegen


FEATURES = llvm.get_host_cpu_features()
HAS_FMA = bool(FEATURES.get("fma")) or platform.machine() in ("aarch64", "arm64")


@intrinsic
def fma(typingctx, a, b, c):
    """a b + c, rounded once where the processor can; elsewhere as written, since a library call would be slow."""

    def codegen(context, builder, signature, args):
        if HAS_FMA:
            return builder.fma(*args)
        return builder.fadd(builder.fmul(args[0], args[1]), args[2])

    return types.float64(types.float64, types.float64, types.float64), codegen


@intrinsic
def stack_tile(typingctx):
    """A tile of binary64 on the stack, as an array: the compiler can see that nothing else points there."""
    array_type = types.Array(types.float64, 1, "C")

    def codegen(context, builder, signature, args):
        with builder.goto_entry_block():
            block = builder.alloca(ir.ArrayType(ir.DoubleType(), TILE))
            block.align = 64
        array = make_array(array_type)(context, builder)
        length, itemsize = (context.get_constant(types.intp, n) for n in (TILE, 8))
        populate_array(
            array,
            data=builder.bitcast(block, ir.DoubleType().as_pointer()),
            shape=cgutils.pack_array(builder, [length]),
            strides=cgutils.pack_array(builder, [itemsize]),
            itemsize=itemsize,
            meminfo=None,
        )
        return array._getvalue()

    return array_type(), codegen
