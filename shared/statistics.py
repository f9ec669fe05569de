"""Statistics of a shard's columns, and their merge over shards."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from shared import records


def column_statistics(table: pa.Table, dof: int) -> dict[str, dict[str, Any]]:
    """Per component of each float32 column: count, mean, M2 (sum of squared deviations), min, max, in float64."""
    result: dict[str, dict[str, Any]] = {}
    for column in records.COLUMNS:
        if column.name not in table.column_names or column.dtype != pa.float32():
            continue
        values = records.list_column(table, column.name)[0].reshape(-1, column.width(dof)).astype(np.float64)
        mean = values.mean(0)
        result[column.name] = {
            "count": len(values),
            "mean": mean.tolist(),
            "M2": np.square(values - mean).sum(0).tolist(),
            "min": values.min(0).tolist(),
            "max": values.max(0).tolist(),
        }
    return result


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
