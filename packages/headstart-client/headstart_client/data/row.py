"""One row of a dataset as arrays, for looking at it; programs that read many take whole columns of shards."""

from typing import Any

import numpy as np
import pyarrow as pa

from headstart_client.data.columns import columns_of
from headstart_client.data.follow import ShardSource
from headstart_client.errors import DatasetError


def read_row(source: ShardSource, trajectory_id: int) -> dict[str, Any]:
    """One trajectory, by the names of its columns.

    Args:
        source: the dataset, on disk or over HTTP, finished or growing.
        trajectory_id: of the row, from 0.

    Returns:
        Scalars as they are. Columns of T samples as arrays (T, width), those of one number a sample (T,); other lists
        as flat arrays. In the types of the record.

    Raises:
        DatasetError: there is no such row, or not yet; or its shard is damaged.
    """
    header = source.header
    if not 0 <= trajectory_id < header.count:
        raise DatasetError(f"has trajectories 0 to {header.count - 1}, not {trajectory_id}", header.dataset_id[:12])
    shard, place = divmod(trajectory_id, header.shard_rows)
    commit = source.state().commits.get(shard)
    if commit is None:
        raise DatasetError(
            f"trajectory {trajectory_id} is in shard {shard}, which is not committed yet", header.dataset_id[:12]
        )
    return row_of(source.read_shard(commit), place)


def row_of(table: pa.Table, place: int) -> dict[str, Any]:
    """One trajectory of the rows of a shard, as `read_row` gives it, by its place in them."""
    samples = table.column("length")[place].as_py()
    row: dict[str, Any] = {}
    for column in columns_of(table.schema):
        value = table.column(column.name)[place]
        if not column.is_list:
            row[column.name] = value.as_py()
        elif column.shape == "T" or not column.shape.startswith("T"):
            row[column.name] = np.array(value.values)
        else:
            row[column.name] = np.array(value.values).reshape(samples, -1)
    return row
