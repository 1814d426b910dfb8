"""What Numba lacks: the population count, a prefetch, and reading an array by its address.

The first two are one instruction of LLVM ("LLVM Language Reference Manual", ``llvm.ctpop`` and
``llvm.prefetch``); the population count is vectorised where the machine can.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_READ, _KEEP, _DATA = 0, 3, 1  # the arguments of llvm.prefetch


@intrinsic
def popcount(_context: Any, value: Any) -> Any:
    """The number of set bits of a uint64."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


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


#: An argument that is an array costs 60 ns a call. A single look-up takes less than six of these,
#: so its arrays go by their addresses, which whoever calls must keep alive.
byte_at, row_at, word_at = _at(types.uint8), _at(types.uint32), _at(types.uint64)
