"""How rows become a table, and a table a file: its columns are those of columns.py."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from headstart_client.data.columns import columns, schema

ROW_GROUP_ROWS = 1024
"""Rows of a row group, at most."""
ROW_GROUP_BYTES = 2**25
"""Bytes of a row group's values, about and at most: what writing or reading one takes beside the table itself."""


def build_table(
    scalars: Mapping[str, Any],
    lists: Mapping[str, tuple[NDArray[Any], NDArray[np.integer]]],
    optional: Iterable[str] = (),
) -> pa.Table:
    """Puts flattened columns together without copying them.

    Args:
        scalars: for each scalar column, n values.
        lists: for each list column, its values (row after row, flattened) and n + 1 offsets into them.
        optional: the optional columns the table has.

    Raises:
        KeyError: a column is missing.
    """
    arrays = []
    for column in columns(optional):
        arrow_type = column.field().type
        if column.is_list:
            values, offsets = lists[column.name]
            items = pa.array(np.ascontiguousarray(values).reshape(-1), column.dtype)
            arrays.append(
                pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32), pa.int32()), items, type=arrow_type)
            )
        else:
            arrays.append(pa.array(scalars[column.name], arrow_type))
    return pa.Table.from_arrays(arrays, schema=schema(optional))


def list_column(table: pa.Table, name: str) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Values and n + 1 offsets of a list column, offsets starting at 0; without a copy where it is one chunk."""
    array = _single_chunk(table, name)
    offsets = array.offsets.to_numpy().astype(np.int64)
    return array.values.to_numpy()[offsets[0] : offsets[-1]], offsets - offsets[0]


def content_hash(table: pa.Table) -> str:
    """sha256 of the columns' values and offsets in schema order: equal for equal rows, however a file is packed."""
    digest = hashlib.sha256()
    for field in table.schema:
        digest.update(field.name.encode())
        if pa.types.is_list(field.type):
            values, offsets = list_column(table, field.name)
            digest.update(offsets.astype("<i8").tobytes())
            digest.update(np.ascontiguousarray(values).view(np.uint8).data)
        elif pa.types.is_string(field.type):
            digest.update("\0".join(_single_chunk(table, field.name).to_pylist()).encode())
        else:
            digest.update(np.ascontiguousarray(_single_chunk(table, field.name).to_numpy()).tobytes())
    return digest.hexdigest()


def to_parquet(table: pa.Table) -> pa.Buffer:
    """A shard file's bytes: zstd-1 over byte-stream-split floats (ratio 1.59; higher levels gain nothing)."""
    sink = pa.BufferOutputStream()
    floats = [f.name for f in table.schema if pa.types.is_list(f.type) or pa.types.is_floating(f.type)]
    pq.write_table(
        table,
        sink,
        row_group_size=max(1, min(ROW_GROUP_ROWS, ROW_GROUP_BYTES * table.num_rows // max(table.nbytes, 1))),
        compression="zstd",
        compression_level=1,
        use_dictionary=False,
        use_byte_stream_split=[f"{name}.list.element" if _is_list(table, name) else name for name in floats],
        # Of the floats, the commit has better ones; the rows of a group are found by their ids.
        write_statistics=["trajectory_id"],
        write_page_checksum=True,
        store_schema=True,
    )
    return sink.getvalue()


def _is_list(table: pa.Table, name: str) -> bool:
    return bool(pa.types.is_list(table.schema.field(name).type))


def _single_chunk(table: pa.Table, name: str) -> pa.Array:
    chunked = table.column(name)
    return chunked.chunk(0) if chunked.num_chunks == 1 else chunked.combine_chunks()
