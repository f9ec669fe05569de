"""The record: one row of Parquet is one trajectory.

The one implementation is headstart_client.data.columns (which columns there are) and headstart_client.data.records.
"""

from headstart_client.data.columns import (
    COLUMNS,
    OPTIONAL_COLUMNS,
    PIECES_PER_SEGMENT,
    SCHEMA_VERSION,
    columns,
    columns_of,
    copy_columns,
    schema,
)
from headstart_client.data.records import (
    ROW_GROUP_ROWS,
    build_table,
    content_hash,
    list_column,
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
