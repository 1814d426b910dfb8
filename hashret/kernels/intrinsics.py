"""Operations that Numba lacks: popcount, comparing many codes at once, prefetch, read by address.

Popcount and prefetch are intrinsics of LLVM ("LLVM Language Reference Manual", ``llvm.ctpop`` and
``llvm.prefetch``). Popcount takes one word or a vector of them; LLVM splits vectors that are longer
than the machine's.

The end of this file has the types in kernels' signatures, and the hash that several kernels share.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

# The arguments of llvm.prefetch: for reading, to be kept in all caches, data and not instructions.
_READ, _ALL_CACHES, _DATA = 0, 3, 1


@intrinsic
def popcount(_context: Any, value: Any) -> Any:
    """The number of set bits of a uint64."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


LANES = 16
"""Number of codes that `near_mask` compares at once."""


@intrinsic
def near_mask(_context: Any, columns: Any, place: Any, queries: Any, query: Any, limit: Any) -> Any:
    """A mask of LANES bits: bit i is set if code `place + i` is within `limit` bits of the query.

    `columns` (n_words, n) uint64 has the codes' words, and `place` is at most n - LANES; `query`
    is a row of `queries` (n_queries, n_words) uint64. The counts are compared as 64-bit numbers,
    in half the time that it would take to narrow them and compare them later.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        codes, searched = (
            context.make_array(signature.args[i])(context, builder, arguments[i]) for i in (0, 2)
        )
        n, n_words = (builder.extract_value(each.shape, 1) for each in (codes, searched))
        word = ir.IntType(64)
        vector = ir.VectorType(word, LANES)
        count = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(vector, [vector]), f"llvm.ctpop.v{LANES}i64"
        )
        first = builder.mul(arguments[3], n_words)

        def differ(index: Any) -> Any:
            """The number of differing bits in word `index` of each code, a vector."""
            at = builder.gep(searched.data, [builder.add(first, index)])
            query_word = _in_all_lanes(builder, builder.load(at))
            at = builder.gep(codes.data, [builder.add(builder.mul(index, n), arguments[1])])
            stored = builder.load(builder.bitcast(at, vector.as_pointer()), align=8)
            return builder.call(count, [builder.xor(stored, query_word)])

        ones = cgutils.alloca_once_value(builder, differ(n_words.type(0)))
        # the first word is outside the loop: most codes have no other, or one
        with cgutils.for_range_slice(builder, n_words.type(1), n_words, n_words.type(1)) as (at, _):
            builder.store(builder.add(builder.load(ones), differ(at)), ones)
        limits = _in_all_lanes(builder, arguments[4])
        near = builder.icmp_unsigned("<=", builder.load(ones), limits)
        return builder.zext(builder.bitcast(near, ir.IntType(LANES)), word)

    return types.uint64(columns, types.intp, queries, types.intp, types.uint64), generate


def _in_all_lanes(builder: Any, value: Any) -> Any:
    """A vector with the value in each of its LANES elements."""
    none = ir.Constant(ir.VectorType(value.type, LANES), ir.Undefined)
    first = builder.insert_element(none, value, ir.IntType(32)(0))
    return builder.shuffle_vector(
        first, none, ir.Constant(ir.VectorType(ir.IntType(32), LANES), None)
    )


@intrinsic
def prefetch(_context: Any, array: Any, position: Any) -> Any:
    """Load the cache line of `array[position]` early; only a hint, so any position is allowed."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values = context.make_array(signature.args[0])(context, builder, arguments[0])
        address = builder.gep(values.data, [arguments[1]])
        address = builder.bitcast(address, ir.IntType(8).as_pointer())
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [address.type, number, number, number])
        hint = builder.module.declare_intrinsic("llvm.prefetch", [address.type], kind)
        builder.call(hint, [address, number(_READ), number(_ALL_CACHES), number(_DATA)])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@intrinsic
def words_pointer(_context: Any, address: Any) -> Any:
    """A pointer to the uint64 at an address, for `numba.carray`."""
    kind = types.CPointer(types.uint64)

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(kind))

    return kind(types.uint64), generate


def _at(element: Any) -> Any:
    """An intrinsic (address, position) that reads one element of the array at an address."""

    @intrinsic
    def at(_context: Any, address: Any, position: Any) -> Any:
        def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            kind = context.get_value_type(element)
            pointer = builder.inttoptr(arguments[0], kind.as_pointer())
            return builder.load(builder.gep(pointer, [arguments[1]]))

        return element(types.uint64, types.int64), generate

    return at


#: Passing an array to a kernel takes 60 ns, as long as a look-up in a small dictionary. So the
#: arrays of a single look-up are passed as addresses; the caller must keep the arrays alive.
byte_at, row_at, word_at = _at(types.uint8), _at(types.uint32), _at(types.uint64)


def _array(element: Any, dimensions: int) -> Any:
    return types.Array(element, dimensions, "C", readonly=True)


#: Types in the signatures of kernels, which are compiled for these alone. Arrays are contiguous
#: and not written to; ROWS are uint32, WORDS uint64, what is SHORT has 32 bits.
BOOL, FLOAT, INT, WORD = types.boolean, types.float64, types.int64, types.uint64
CODE = types.Bytes(types.uint8, 1, "C")
INTS, INTS_2D = _array(types.int64, 1), _array(types.int64, 2)
ROWS, ROWS_2D = _array(types.uint32, 1), _array(types.uint32, 2)
FLOATS, SHORT_INTS = _array(types.float64, 1), _array(types.int32, 1)
SHORT_FLOATS_2D = _array(types.float32, 2)
WORDS, WORDS_2D = _array(types.uint64, 1), _array(types.uint64, 2)


@njit(cache=True, nogil=True)
def mix(value: int, shifts: np.ndarray, mask: int) -> int:
    """The `LinearHash` of one word; `shifts` (7,) uint64 are to the left and right in turn."""
    value ^= (value << shifts[0]) & mask
    value ^= value >> shifts[1]
    value ^= (value << shifts[2]) & mask
    value ^= value >> shifts[3]
    value ^= (value << shifts[4]) & mask
    value ^= value >> shifts[5]
    value ^= (value << shifts[6]) & mask
    return value


@njit(cache=True, nogil=True)
def key_of(words: np.ndarray, shifts: np.ndarray, mask: int) -> int:
    """The `LinearHash` of one code, (n_words,) uint64."""
    key = mix(words[-1], shifts, mask)
    for word in range(len(words) - 2, -1, -1):
        key = mix(key ^ words[word], shifts, mask)
    return key
