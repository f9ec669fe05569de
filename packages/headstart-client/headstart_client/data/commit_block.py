"""A block of commits: those of consecutive shards in one Parquet file, which takes the place of a file for each."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from headstart_client.data.manifest import BY_FAMILY, SHARD_FILE, Commit, Totals
from headstart_client.errors import DatasetFormatError

BLOCK = 1024
"""Shards of a block; the last one of a dataset may have fewer."""

_SHA256, _COUNTS = pa.binary(32), pa.map_(pa.string(), pa.int64())
_TYPES = {
    "index": pa.int64(),
    "rows": pa.int64(),
    "samples": pa.int64(),
    "bytes": pa.int64(),
    "file": pa.string(),
    "file_sha256": _SHA256,
    "content_sha256": _SHA256,
    "attempts": pa.int64(),
    "rejections": _COUNTS,
    **dict.fromkeys(BY_FAMILY, pa.map_(pa.string(), _COUNTS)),
}
_SCHEMA = pa.schema([*((name, kind) for name, kind in _TYPES.items()), ("statistics", pa.string())])
_REMEDY = "; restore it, or make the dataset again"


def pack_block(commits: Sequence[Commit], statistics: Sequence[Mapping[str, Any]]) -> pa.Buffer:
    """The file of commits in index order, with the statistics of each as JSON, which is read by itself."""
    columns: dict[str, list[Any]] = {name: [getattr(commit, name) for commit in commits] for name in _TYPES}
    for name, kind in _TYPES.items():
        if kind == _SHA256:
            columns[name] = [bytes.fromhex(value) for value in columns[name]]
    columns["rejections"] = [list(value.items()) for value in columns["rejections"]]
    for name in BY_FAMILY:
        columns[name] = [
            [(family, list(counts.items())) for family, counts in value.items()] for value in columns[name]
        ]
    columns["statistics"] = [json.dumps(value) for value in statistics]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns, _SCHEMA), sink, compression="zstd", use_dictionary=False, write_page_checksum=True)
    return sink.getvalue()


class CommitBlock:
    """The commits in a block's file, without their statistics."""

    def __init__(self, content: pa.Buffer, indices: range, where: str) -> None:
        """Reads them. Raises DatasetFormatError, naming `where`, unless they are those of these shards."""
        self._first, self._table = indices.start, _read(content, list(_TYPES), where)
        if self._table.column("index").to_pylist() != list(indices):
            raise DatasetFormatError("has commits of other shards than its name says" + _REMEDY, where)
        named = pc.all(pc.match_substring_regex(self._table.column("file"), f"^{SHARD_FILE}$")).as_py()
        if not named or any(column.null_count for column in self._table.columns):
            raise DatasetFormatError("is not a block of commits: it lacks values, or names no shard" + _REMEDY, where)

    def commit(self, index: int) -> Commit:
        """The commit of shard `index`."""
        return self.commits(index, index + 1)[0]

    def totals(self) -> Totals:
        """The sums over all of them."""
        sums = {name: pc.sum(self._table.column(name)).as_py() for name in ("rows", "samples", "bytes", "attempts")}
        rejections: Counter[str] = Counter()
        for chunk in self._table.column("rejections").chunks:
            for reason, count in zip(chunk.keys.to_pylist(), chunk.items.to_pylist(), strict=True):
                rejections[reason] += count
        by_family: dict[str, dict[str, Counter[str]]] = {name: {} for name in BY_FAMILY}
        for name, families in by_family.items():
            for chunk in self._table.column(name).chunks:
                for family, counts in zip(chunk.keys.to_pylist(), chunk.items.to_pylist(), strict=True):
                    families.setdefault(family, Counter()).update(dict(counts))
        return Totals(
            self._table.num_rows,
            **sums,
            rejections=rejections,
            rejections_by_family=by_family["rejections_by_family"],
            redraws_by_family=by_family["redraws_by_family"],
        )

    def commits(self, first: int, end: int) -> list[Commit]:
        """The commits of shards `first` to `end` - 1."""
        part = self._table.slice(first - self._first, end - first)
        columns = {name: part.column(name).to_pylist() for name in _TYPES}
        for name, kind in _TYPES.items():
            if kind == _SHA256:
                columns[name] = [value.hex() for value in columns[name]]
        columns["rejections"] = [dict(value) for value in columns["rejections"]]
        for name in BY_FAMILY:
            columns[name] = [{family: dict(counts) for family, counts in value} for value in columns[name]]
        return [Commit(*values) for values in zip(*columns.values(), strict=True)]


def block_statistics(content: pa.Buffer, where: str) -> pa.ChunkedArray:
    """The statistics in a block's file: a JSON text for each of its shards, in order. Raises DatasetFormatError."""
    return _read(content, ["statistics"], where).column("statistics")


def _read(content: pa.Buffer, columns: list[str], where: str) -> pa.Table:
    try:
        return pq.read_table(
            pa.BufferReader(content),
            columns=columns,
            schema=_SCHEMA,
            use_threads=False,
            page_checksum_verification=True,
        )
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise DatasetFormatError(f"is not a block of commits: {error}" + _REMEDY, where) from error
