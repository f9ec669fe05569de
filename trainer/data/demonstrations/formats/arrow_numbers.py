"""Numbers out of Arrow columns, whichever kind of list their writer chose."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainer.data.demonstrations.checks.faults import ColumnFault
from trainer.data.demonstrations.episode import FloatArray

_LISTS = (
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_fixed_size_list,
    pa.types.is_list_view,
    pa.types.is_large_list_view,
)


def arrow_numbers(column: pa.ChunkedArray, name: str) -> FloatArray:
    """(n, width) of a column of numbers, where width is 1, or of lists of numbers; they may be NaN or infinite.

    Raises:
        ColumnFault: it lacks a value, its lists differ in length, or it is of another type, which the message names.
    """
    array = _plain(column.combine_chunks())
    if array.null_count:
        raise ColumnFault("not finite", f"'{name}' lacks a value at step {_first(pc.is_null(array))}")
    if not _is_list(array.type):
        return _floats(array, column.type, name).reshape(len(array), 1)
    lengths = pc.list_value_length(array).to_numpy(zero_copy_only=False)
    if len(lengths) and (lengths != lengths[0]).any():
        step = int(np.argmax(lengths != lengths[0]))
        raise ColumnFault(
            "not numbers",
            f"'{name}' does not have the same width in every step: {lengths[0]}, and at step {step} {lengths[step]}",
        )
    values = _plain(array.flatten())
    if values.null_count:
        step = _first(pc.is_null(values)) // max(1, int(lengths[0]))
        raise ColumnFault("not finite", f"'{name}' lacks a value at step {step}")
    return _floats(values, column.type, name).reshape(len(array), -1 if len(values) else 0)


def _plain(array: Any) -> Any:
    """The array without what only wraps it: extension types, dictionaries."""
    while True:
        if isinstance(array.type, pa.BaseExtensionType):
            array = array.storage
        elif pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        else:
            return array


def _floats(array: Any, written: pa.DataType, name: str) -> FloatArray:
    if pa.types.is_decimal(array.type):
        array = array.cast(pa.float64())
    if not (pa.types.is_integer(array.type) or pa.types.is_floating(array.type) or pa.types.is_boolean(array.type)):
        raise ColumnFault("not numbers", f"'{name}' is of type {written}; numbers and lists of numbers are read")
    return np.asarray(array.to_numpy(zero_copy_only=False), np.float64)


def _is_list(kind: pa.DataType) -> bool:
    return any(is_kind(kind) for is_kind in _LISTS)


def _first(mask: Any) -> int:
    """Index of the first that is true."""
    return int(np.argmax(mask.to_numpy(zero_copy_only=False)))
