"""What Numba lacks: counting bits, comparing many codes at once, a prefetch, reading by address.

The population count and the prefetch are one instruction of LLVM each ("LLVM Language Reference
Manual", ``llvm.ctpop`` and ``llvm.prefetch``), the former for one word or a vector of them; vectors
longer than a machine's are cut to its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

_READ, _KEEP, _DATA = 0, 3, 1  # the arguments of llvm.prefetch


@intrinsic
def popcount(_context: Any, value: Any) -> Any:
    """The number of set bits of a uint64."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


LANES = 16
"""Codes that `near_mask` compares."""


@intrinsic
def near_mask(_context: Any, columns: Any, place: Any, queries: Any, query: Any, limit: Any) -> Any:
    """Bit i says that code `place + i` is at most `limit` bits from a query, for i < LANES.

    `columns` (n_words, n) uint64 has the codes' words, and `place` is at most n - LANES; `queries`
    (n_queries, n_words). Comparing the counts where they are, in 64 bits, takes half as long as
    narrowing them to be looked at later.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        codes, asked = (
            context.make_array(signature.args[i])(context, builder, arguments[i]) for i in (0, 2)
        )
        n, n_words = (builder.extract_value(each.shape, 1) for each in (codes, asked))
        word = ir.IntType(64)
        vector = ir.VectorType(word, LANES)
        count = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(vector, [vector]), f"llvm.ctpop.v{LANES}i64"
        )
        first = builder.mul(arguments[3], n_words)

        def differ(index: Any) -> Any:
            """How many bits of word `index` of each code differ."""
            at = builder.gep(asked.data, [builder.add(first, index)])
            wanted = _in_all_lanes(builder, builder.load(at))
            at = builder.gep(codes.data, [builder.add(builder.mul(index, n), arguments[1])])
            stored = builder.load(builder.bitcast(at, vector.as_pointer()), align=8)
            return builder.call(count, [builder.xor(stored, wanted)])

        ones = cgutils.alloca_once_value(builder, differ(n_words.type(0)))
        # words after the first in a loop of their own: most codes have no more, or one
        with cgutils.for_range_slice(builder, n_words.type(1), n_words, n_words.type(1)) as (at, _):
            builder.store(builder.add(builder.load(ones), differ(at)), ones)
        limits = _in_all_lanes(builder, arguments[4])
        near = builder.icmp_unsigned("<=", builder.load(ones), limits)
        return builder.zext(builder.bitcast(near, ir.IntType(LANES)), word)

    return types.uint64(columns, types.intp, queries, types.intp, types.uint64), generate


def _in_all_lanes(builder: Any, value: Any) -> Any:
    none = ir.Constant(ir.VectorType(value.type, LANES), ir.Undefined)
    first = builder.insert_element(none, value, ir.IntType(32)(0))
    return builder.shuffle_vector(
        first, none, ir.Constant(ir.VectorType(ir.IntType(32), LANES), None)
    )


@intrinsic
def prefetch(_context: Any, array: Any, position: Any) -> Any:
    """Ask for the cache line of `array[position]`; a hint only, so any position is allowed."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        held = context.make_array(signature.args[0])(context, builder, arguments[0])
        address = builder.gep(held.data, [arguments[1]])
        address = builder.bitcast(address, ir.IntType(8).as_pointer())
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [address.type, number, number, number])
        hint = builder.module.declare_intrinsic("llvm.prefetch", [address.type], kind)
        builder.call(hint, [address, number(_READ), number(_KEEP), number(_DATA)])
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
    """A function (address, position) that reads an element of an array by its address."""

    @intrinsic
    def at(_context: Any, address: Any, position: Any) -> Any:
        def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            kind = context.get_value_type(element)
            pointer = builder.inttoptr(arguments[0], kind.as_pointer())
            return builder.load(builder.gep(pointer, [arguments[1]]))

        return element(types.uint64, types.int64), generate

    return at


#: An argument that is an array costs 60 ns a call, as much as a look-up in a small dictionary.
#: So the arrays of a single look-up go by their addresses, which whoever calls must keep alive.
byte_at, row_at, word_at = _at(types.uint8), _at(types.uint32), _at(types.uint64)


def _array(element: Any, dimensions: int) -> Any:
    return types.Array(element, dimensions, "C", readonly=True)


BOOL, FLOAT, INT, WORD = types.boolean, types.float64, types.int64, types.uint64
CODE = types.Bytes(types.uint8, 1, "C")
BYTES = _array(types.uint8, 1)
INTS, INTS_2D = _array(types.int64, 1), _array(types.int64, 2)
ROWS, ROWS_2D = _array(types.uint32, 1), _array(types.uint32, 2)
WORDS, WORDS_2D = _array(types.uint64, 1), _array(types.uint64, 2)


@njit(cache=True, nogil=True)
def mix(value: int, shifts: np.ndarray, mask: int) -> int:
    """`LinearHash` of one word: `shifts` (7,) uint64 to the left and right in turn."""
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
    """`LinearHash` of one code of any number of words."""
    key = mix(words[-1], shifts, mask)
    for word in range(len(words) - 2, -1, -1):
        key = mix(key ^ words[word], shifts, mask)
    return key
