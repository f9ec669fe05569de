"""The record: one row of Parquet is one trajectory.

The one implementation is headstart_client.data.records.
"""

from headstart_client.data.records import (
    COLUMNS,
    OPTIONAL_COLUMNS,
    PIECES_PER_SEGMENT,
    ROW_GROUP_ROWS,
    SCHEMA_VERSION,
    build_table,
    columns,
    columns_of,
    content_hash,
    copy_columns,
    list_column,
    schema,
    to_parquet,
)

__all__ = [
    "COLUMNS",
    "OPTIONAL_COLUMNS",
    "PIECES_PER_SEGMENT",
    "ROW_GROUP_ROWS",
    "SCHEMA_VERSION",
    "build_table",
    "columns",
    "columns_of",
    "content_hash",
    "copy_columns",
    "list_column",
    "schema",
    "to_parquet",
]
