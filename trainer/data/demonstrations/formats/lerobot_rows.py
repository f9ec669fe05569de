"""The rows of one episode in a LeRobot file that holds many: their number, their numbering and their order."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_SORT = "sort them by episode_index and frame_index"


def require_sorted(table: pa.Table) -> None:
    """Raises ValueError at the first row of a file that is of an episode before the one above it."""
    episodes = _whole_numbers(table, "episode_index")
    back = np.flatnonzero(np.diff(episodes) < 0)
    if len(back):
        row = int(back[0]) + 1
        raise ValueError(
            f"has unsorted rows: row {row} is of episode {episodes[row]}, the one before of episode "
            f"{episodes[row - 1]}; {_SORT}"
        )


def episode_rows(table: pa.Table, episode: int, length: int) -> pa.Table:
    """An episode's rows of a sorted file, in the order of its steps.

    The first step may have any number: an episode that was trimmed begins after 0.

    Args:
        table: of the file, with `episode_index` and `frame_index`.
        episode: the episode's index.
        length: how many rows meta/ says it has.

    Raises:
        ValueError: they are fewer or more, out of order, or a step is missing or there twice; says where.
    """
    first, end = np.searchsorted(table.column("episode_index").to_numpy(), [episode, episode + 1])
    rows = table.slice(first, end - first)
    if rows.num_rows != length:
        raise ValueError(f"has {rows.num_rows} steps of episode {episode}, meta/ says {length}: is it whole?")
    rise = np.diff(_whole_numbers(rows, "frame_index"))
    # What is out of order also looks like steps that are missing, so that order comes first.
    for wrong, what, remedy in (
        (rise < 0, "has unsorted rows", _SORT),
        (rise == 0, "has a step twice", "remove one of the two, or number the frames anew"),
        (rise > 1, "lacks steps", "split the episode there, or number its frames anew if none is missing"),
    ):
        if wrong.any():
            at = int(np.argmax(wrong)) + 1
            before, after = rows.column("frame_index").to_numpy()[at - 1 : at + 1]
            raise ValueError(
                f"{what}: in episode {episode}, frame_index {after} follows {before}, in row {first + at}; {remedy}"
            )
    return rows


def _whole_numbers(table: pa.Table, name: str) -> NDArray[np.int64]:
    values: NDArray[Any] = table.column(name).to_numpy()
    if values.dtype.kind not in "iu":
        raise ValueError(f"lacks whole numbers in '{name}': it holds {table.schema.field(name).type}, or nulls")
    return values.astype(np.int64)
