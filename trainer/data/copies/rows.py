"""Rows of a dataset of copies, as arrays."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shared.records import list_column
from shared.rotation import rot6d_to_matrix
from trainer.data.copies.scene import CopiedRow

FloatArray = NDArray[np.float64]


def copied_columns(objects: Sequence[str]) -> list[str]:
    """Columns of the record that copies with these objects are read from."""
    poses = [f"object/{name}/{part}" for name in objects for part in ("position", "rotation_6d")]
    return ["source", "source_time", "ee_position", "ee_rotation_6d", "gripper", *poses]


def copied_rows(table: pa.Table, objects: Sequence[str]) -> Iterator[CopiedRow]:
    """Rows of a table with these objects, in order."""
    steps, first = list_column(table, "source_time")
    time = steps.astype(np.float64)
    position = _vectors(table, "ee_position", 3)
    rotation = rot6d_to_matrix(_vectors(table, "ee_rotation_6d", 6))
    places = _stacked([_vectors(table, f"object/{name}/position", 3) for name in objects], len(time), 3)
    turns = _stacked([_vectors(table, f"object/{name}/rotation_6d", 6) for name in objects], len(time), 6)
    turned = rot6d_to_matrix(turns)
    for row, source in enumerate(table.column("source").to_pylist()):
        own = slice(int(first[row]), int(first[row + 1]))
        yield CopiedRow(source, time[own], position[own], rotation[own], places[own], turned[own])


def _vectors(table: pa.Table, name: str, width: int) -> FloatArray:
    return np.asarray(list_column(table, name)[0].reshape(-1, width), np.float64)


def _stacked(parts: list[FloatArray], steps: int, width: int) -> FloatArray:
    """(T, O, width), for no objects too."""
    return np.stack(parts, axis=1) if parts else np.empty((steps, 0, width))
