"""LLVM by hand: wide registers and memory on the stack, which Numba has no words for."""

from __future__ import annotations

import llvmlite.ir as ir
from numba import types
from numba.core import cgutils
from numba.core.cpu import CPUContext
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array

from nanobragg.kernels.order.threads import TILE as TILE


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
        if isinstance(context, CPUContext):
            return _multiply_add(builder, *args)
        return builder.fma(*args)  # a GPU always can

    return types.float64(types.float64, types.float64, types.float64), codegen


def _multiply_add(builder, a, b, c):
    """LLVM's name for this, of numbers or vectors: which of the two it becomes is known where machine code is made."""
    kind = f"v{a.type.count}f64" if isinstance(a.type, ir.VectorType) else "f64"
    function = ir.FunctionType(a.type, [a.type] * 3)
    return builder.call(cgutils.get_or_insert_function(builder.module, function, f"llvm.fmuladd.{kind}"), [a, b, c])


@intrinsic
def rounded_once(typingctx, a, b, c):
    """a b + c, rounded once on every processor, by a call of the C library where there is no instruction for it."""

    def codegen(context, builder, signature, args):
        return builder.fma(*args)

    return types.float64(types.float64, types.float64, types.float64), codegen


@intrinsic
def rounded_once_single(typingctx, a, b, c):
    """The same in binary32."""

    def codegen(context, builder, signature, args):
        return builder.fma(*args)

    return types.float32(types.float32, types.float32, types.float32), codegen


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


def _stack_intrinsic(dtype, length, doc, several=None):
    array_type = types.Array(dtype, 1, "C")
    result_type = array_type if several is None else types.UniTuple(array_type, several)

    def codegen(context, builder, signature, args):
        if several is None:
            return _stack_array(context, builder, array_type, length)
        arrays = [_stack_array(context, builder, array_type, length) for _ in range(several)]
        return context.make_tuple(builder, result_type, arrays)

    def stack(typingctx):
        return result_type(), codegen

    stack.__doc__ = doc
    return intrinsic(stack)


stack_tile = _stack_intrinsic(
    types.float64, TILE, "A tile of binary64 on the stack, as an array: LLVM can see that nothing else points there."
)
stack_tile_single = _stack_intrinsic(types.float32, TILE, "A tile of binary32 on the stack, as an array.")
stack_two_tiles = _stack_intrinsic(types.float64, TILE, "Two tiles of binary64 on the stack.", several=2)
stack_six_tiles_single = _stack_intrinsic(types.float32, TILE, "Six tiles of binary32 on the stack.", several=6)
stack_places = _stack_intrinsic(types.uint32, TILE, "A tile of places in a table on the stack, as an array.")
stack_groups = _stack_intrinsic(types.float64, TILE + 16, "A tile and sixteen more binary64 on the stack, as an array.")
stack_weights = _stack_intrinsic(
    types.float64, 12 * TILE, "Four weights of three axes for each pixel of a tile, on the stack, as one array."
)


@intrinsic
def sum_rows(typingctx, blocks, place, stride_h, stride_k, weights, at):
    """Sum of 4 x 4 x 4 table values from ``place`` on, each times its three weights: 16 rows of four at a time.

    Of the pixel ``at`` the weights of h stand at ``weights[at]`` and 1, 2 and 3 tiles further on, then those of k, and
    from ``weights[8 TILE + 4 at]`` on those of l, one after the other.
    """
    four = ir.VectorType(ir.DoubleType(), 4)

    def mask(*lanes):
        return ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes)

    def codegen(context, builder, signature, args):
        blocks_type, _, _, _, weights_type, _ = signature.args
        data = make_array(blocks_type)(context, builder, args[0]).data
        weight_data = make_array(weights_type)(context, builder, args[4]).data

        def four_at(array, place, align):
            return builder.load(builder.bitcast(builder.gep(array, [place]), four.as_pointer()), align=align)

        def in_all_lanes(number):
            place = builder.add(args[5], context.get_constant(types.intp, number * TILE))
            weight = builder.load(builder.gep(weight_data, [place]))
            one = builder.insert_element(ir.Constant(four, ir.Undefined), weight, ir.Constant(ir.IntType(32), 0))
            return builder.shuffle_vector(one, one, mask(0, 0, 0, 0))

        over_h, over_k = ([in_all_lanes(4 * axis + node) for node in range(4)] for axis in (0, 1))
        total = ir.Constant(four, [0.0] * 4)
        for a in range(4):
            plane = ir.Constant(four, [0.0] * 4)
            for b in range(4):
                rows_h = builder.mul(args[2], context.get_constant(types.intp, a))
                rows_k = builder.mul(args[3], context.get_constant(types.intp, b))
                row = four_at(data, builder.add(args[1], builder.add(rows_h, rows_k)), 8)
                plane = _multiply_add(builder, over_k[b], row, plane)
            total = _multiply_add(builder, over_h[a], plane, total)
        of_l = builder.add(
            builder.mul(args[5], context.get_constant(types.intp, 4)), context.get_constant(types.intp, 8 * TILE)
        )
        total = builder.fmul(total, four_at(weight_data, of_l, 32))
        low, high = (builder.shuffle_vector(total, total, mask(*lanes)) for lanes in ((0, 1), (2, 3)))
        pair = builder.fadd(low, high)
        return builder.fadd(*(builder.extract_element(pair, ir.Constant(ir.IntType(32), k)) for k in (0, 1)))

    return types.float64(blocks, types.intp, types.intp, types.intp, weights, types.intp), codegen
