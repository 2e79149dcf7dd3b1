"""LLVM by hand: wide registers and memory on the stack, which Numba has no words for."""

from __future__ import annotations

import llvmlite.ir as ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array

from nanobragg.kernels.processor import processor
from nanobragg.kernels.threads import TILE as TILE


@intrinsic
def prefer_wide_registers(typingctx):
    """Ask LLVM for 512-bit registers in the function that calls this (no code; without effect where there are none)."""

    def codegen(context, builder, signature, args):
        for attribute in ('"prefer-vector-width"="512"', '"min-legal-vector-width"="512"'):
            set.add(builder.function.attributes, attribute)  # past llvmlite's list of known names
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def fma(typingctx, a, b, c):
    """a b + c, rounded once where the processor can; elsewhere as written, since a library call would be slow."""

    def codegen(context, builder, signature, args):
        if processor().has_fma:
            return builder.fma(*args)
        return builder.fadd(builder.fmul(args[0], args[1]), args[2])

    return types.float64(types.float64, types.float64, types.float64), codegen


@intrinsic
def rounded_once(typingctx, a, b, c):
    """a b + c, rounded once on every processor, by a call of the C library where there is no instruction for it."""

    def codegen(context, builder, signature, args):
        return builder.fma(*args)

    return types.float64(types.float64, types.float64, types.float64), codegen


def _stack_array(context, builder, array_type, length):
    """An array on the stack of the function that is being built."""
    element = context.get_value_type(array_type.dtype)
    with builder.goto_entry_block():
        block = builder.alloca(ir.ArrayType(element, length))
        block.align = 64
    array = make_array(array_type)(context, builder)
    itemsize = context.get_abi_sizeof(element)
    size, step = (context.get_constant(types.intp, n) for n in (length, itemsize))
    populate_array(
        array,
        data=builder.bitcast(block, element.as_pointer()),
        shape=cgutils.pack_array(builder, [size]),
        strides=cgutils.pack_array(builder, [step]),
        itemsize=step,
        meminfo=None,
    )
    return array._getvalue()


def _stack_intrinsic(dtype, length, doc):
    array_type = types.Array(dtype, 1, "C")

    def stack(typingctx):
        return array_type(), lambda context, builder, signature, args: _stack_array(
            context, builder, array_type, length
        )

    stack.__doc__ = doc
    return intrinsic(stack)


stack_tile = _stack_intrinsic(
    types.float64, TILE, "A tile of binary64 on the stack, as an array: LLVM can see that nothing else points there."
)
stack_tile_single = _stack_intrinsic(types.float32, TILE, "A tile of binary32 on the stack, as an array.")
stack_places = _stack_intrinsic(types.uint32, TILE, "A tile of places in a table on the stack, as an array.")
stack_weights = _stack_intrinsic(
    types.float64, 12 * TILE, "Twelve tiles of binary64 on the stack, one after the other."
)


def _splat(builder, value):
    vector = ir.VectorType(ir.DoubleType(), 4)
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), 4), [0] * 4))


@intrinsic
def sum_rows(typingctx, table, place, stride_h, stride_k, weights, at):
    """Sum of 4 x 4 x 4 table values from ``place`` on, each times its three weights: 16 rows of four at a time.

    ``weights[c * TILE + at]`` are those of h for c = 0..3, then of k, then of l.
    """
    four = ir.VectorType(ir.DoubleType(), 4)

    def codegen(context, builder, signature, args):
        table_type, _, _, _, weights_type, _ = signature.args
        data = make_array(table_type)(context, builder, args[0]).data
        weight_data = make_array(weights_type)(context, builder, args[4]).data

        def weight(c):
            place = builder.add(args[5], context.get_constant(types.intp, c * TILE))
            return builder.load(builder.gep(weight_data, [place]))

        def multiply_add(a, b, c):
            if not processor().has_fma:
                return builder.fadd(builder.fmul(a, b), c)
            name = "llvm.fma.v4f64" if a.type == four else "llvm.fma.f64"
            function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(a.type, [a.type] * 3), name)
            return builder.call(function, [a, b, c])

        over_k = [_splat(builder, weight(4 + b)) for b in range(4)]
        total = ir.Constant(four, [0.0] * 4)
        for a in range(4):
            plane = ir.Constant(four, [0.0] * 4)
            for b in range(4):
                rows_h = builder.mul(args[2], context.get_constant(types.intp, a))
                rows_k = builder.mul(args[3], context.get_constant(types.intp, b))
                offset = builder.add(args[1], builder.add(rows_h, rows_k))
                pointer = builder.bitcast(builder.gep(data, [offset]), four.as_pointer())
                plane = multiply_add(over_k[b], builder.load(pointer, align=8), plane)
            total = multiply_add(_splat(builder, weight(a)), plane, total)
        lanes = [builder.extract_element(total, ir.Constant(ir.IntType(32), c)) for c in range(4)]
        result = builder.fmul(lanes[0], weight(8))
        for c in (1, 2, 3):
            result = multiply_add(lanes[c], weight(8 + c), result)
        return result

    return types.float64(table, types.intp, types.intp, types.intp, weights, types.intp), codegen
