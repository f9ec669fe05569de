"""Statistics of a shard's columns, and their merge over shards."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shared import records

_SIDE_BY_SIDE = 64
_BLOCK = 256 * _SIDE_BY_SIDE


def column_statistics(table: pa.Table, dof: int) -> dict[str, dict[str, Any]]:
    """Per component of each float32 column: count, mean, M2 (sum of squared deviations), min, max, in float64."""
    result: dict[str, dict[str, Any]] = {}
    for column in records.COLUMNS:
        if column.name not in table.column_names or column.dtype != pa.float32():
            continue
        values = records.list_column(table, column.name)[0].reshape(-1, column.width(dof))
        result[column.name] = moments(values)
    return result


def moments(values: NDArray[np.float32]) -> dict[str, Any]:
    """Statistics of (n, width) values.

    Reduced in rows of _SIDE_BY_SIDE samples, which fill vector registers, and by blocks, which stay in the cache.
    Deviations are from the first sample, so one pass is enough.
    """
    count, width = values.shape
    whole = count - count % _SIDE_BY_SIDE
    parts = [
        values[begin : min(begin + _BLOCK, whole)].reshape(-1, _SIDE_BY_SIDE * width)
        for begin in range(0, whole, _BLOCK)
    ]
    total, squares, block = np.zeros(width), np.zeros(width), np.empty(_BLOCK * width)
    least, greatest = values[0], values[0]
    for part in parts + [values[whole:]] * (whole < count):
        deviation = block[: part.size].reshape(part.shape)
        np.copyto(deviation, part)
        deviation -= np.tile(values[0], part.shape[1] // width)
        total += deviation.sum(0).reshape(-1, width).sum(0)
        squares += np.einsum("ij,ij->j", deviation, deviation).reshape(-1, width).sum(0)
        least = np.minimum(least, part.min(0).reshape(-1, width).min(0))
        greatest = np.maximum(greatest, part.max(0).reshape(-1, width).max(0))
    return {
        "count": count,
        "mean": (values[0] + total / count).tolist(),
        "M2": np.maximum(squares - total**2 / count, 0.0).tolist(),
        "min": least.tolist(),
        "max": greatest.tolist(),
    }


def merge_statistics(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    """Statistics of one column over both parts (Chan, Golub and LeVeque 1979)."""
    count = a["count"] + b["count"]
    delta = np.subtract(b["mean"], a["mean"])
    return {
        "count": count,
        "mean": (np.asarray(a["mean"]) + delta * b["count"] / count).tolist(),
        "M2": (np.add(a["M2"], b["M2"]) + delta**2 * a["count"] * b["count"] / count).tolist(),
        "min": np.minimum(a["min"], b["min"]).tolist(),
        "max": np.maximum(a["max"], b["max"]).tolist(),
    }
