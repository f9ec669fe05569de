"""A shard's rows as arrays, and the checks of everything about them but their motion."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from services.audit.claims import Claims
from services.audit.findings import AuditReport
from shared import records
from shared.manifest import Commit, DatasetHeader
from shared.statistics import column_statistics

IntArray = NDArray[np.int64]

_TIME_TOLERANCE = 1e-6
"""Share of a sample period by which duration * rate_hz may miss a whole number and still be taken for it."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Some rows of a shard. Lists are one after another, with a value for each of `first[i]` to `first[i + 1]`.

    Attributes:
        ids: trajectory ids, shape (n,).
        first: first sample of each row, and the number of samples N, shape (n + 1,).
        duration: [s], shape (n,).
        rate_hz: shape (n,).
        lists: list columns, each (N, width), profile columns each with a value offset of its own.
        profile_first: first profile value of each row, and their number, shape (n + 1,), or None without profiles.
    """

    ids: IntArray
    first: IntArray
    duration: NDArray[np.float64]
    rate_hz: NDArray[np.float64]
    lists: dict[str, NDArray[Any]]
    profile_first: IntArray | None

    @property
    def sample_row(self) -> IntArray:
        """To which row each sample belongs, shape (N,)."""
        return np.repeat(np.arange(len(self.ids)), np.diff(self.first))

    @property
    def sample_ids(self) -> IntArray:
        """To which trajectory each sample belongs, shape (N,)."""
        return self.ids[self.sample_row]


def read_rows(table: pa.Table, dof: int) -> Rows:
    """Rows of a table whose layout has been checked."""
    lists, profile_first = {}, None
    for column in records.columns_of(table.schema):
        if not column.is_list:
            continue
        values, offsets = records.list_column(table, column.name)
        lists[column.name] = values.reshape(-1, column.width(dof))
        if column.name == "profile_time":
            profile_first = offsets
    first = np.concatenate([[0], np.cumsum(table.column("length").to_numpy().astype(np.int64))])
    scalars = {name: table.column(name).to_numpy() for name in ("trajectory_id", "duration", "rate_hz")}
    return Rows(scalars["trajectory_id"], first, scalars["duration"], scalars["rate_hz"], lists, profile_first)


def check_table(
    report: AuditReport,
    header: DatasetHeader,
    claims: Claims,
    commit: Commit,
    statistics: Mapping[str, Any],
    table: pa.Table,
) -> bool:
    """Checks a shard's table against header, commit and the statistics beside that.

    Returns whether its layout allows looking at the motions.
    """
    where = f"shard {commit.index}"
    expected = records.schema(header.optional_columns)
    report.expect("schema", table.schema.equals(expected), where)
    if not table.schema.equals(expected):
        return False
    report.expect("content sha256", records.content_hash(table) == commit.content_sha256, where)
    rows = header.rows_in(commit.index)
    report.expect("rows in shard", table.num_rows == rows == commit.rows, where)
    ids = table.column("trajectory_id").to_numpy()
    first = commit.index * header.shard_rows
    report.expect("trajectory ids complete and sorted", np.array_equal(ids, np.arange(first, first + rows)), where)
    _check_scalars(report, header, commit, table, ids)
    made = set(table.column("family").to_pylist())
    known = {name for name, weight in claims.families.items() if weight > 0}
    report.expect("families are the request's", made <= known, where)
    whole = _check_lengths(report, header, table, ids)
    if whole:
        report.expect("commit's statistics", _statistics_agree(header, statistics, table), where)
    return whole


def _check_scalars(report: AuditReport, header: DatasetHeader, commit: Commit, table: pa.Table, ids: IntArray) -> None:
    rate = table.column("rate_hz").to_numpy()
    duration = table.column("duration").to_numpy()
    steps = table.column("length").to_numpy() - 1
    report.measure("rate_hz is the request's", np.abs(rate - header.rate_hz), 0.0, "1/s", ids)
    report.measure("duration is positive", -duration, 0.0, "s", ids)
    # T = ceil(duration * rate_hz) + 1: the goal lies after the last sample but one, and not after the last.
    over = np.maximum(duration * rate - steps, steps - 1 - duration * rate)
    report.measure("length is ceil(duration*rate_hz)+1", over, _TIME_TOLERANCE, "samples", ids)
    attempts = table.column("attempts").to_numpy()
    report.measure("attempts are at least 1", 1.0 - attempts, 0.0, "", ids)
    tried = commit.rows + sum(commit.rejections.values())
    counted = int(attempts.sum()) == commit.attempts == tried
    if commit.rejections_by_family:
        counted &= commit.rejections == dict(sum(map(Counter, commit.rejections_by_family.values()), Counter()))
    report.expect("attempts are rows and rejections", counted, f"shard {commit.index}")


def _check_lengths(report: AuditReport, header: DatasetHeader, table: pa.Table, ids: IntArray) -> bool:
    """Whether every list has as many values as its row's length says."""
    length = table.column("length").to_numpy().astype(np.int64)
    dof, whole = header.robot.dof, bool((length > 0).all())
    listed = {column.name: column for column in records.columns_of(table.schema) if column.is_list}
    sizes = {name: np.diff(records.list_column(table, name)[1]) for name in listed}
    for name, size in sizes.items():
        column = listed[name]
        if name.startswith("profile_"):
            piece = dof * records.PIECES_PER_SEGMENT
            off = np.abs(size - sizes["profile_time"]) + size % piece + (size == 0)
        else:
            off = np.abs(size - length * column.width(dof))
        report.measure("lists have their length", off, 0.0, "values", ids)
        whole &= bool((off == 0).all())
    return whole


def _statistics_agree(header: DatasetHeader, said: Mapping[str, Any], table: pa.Table) -> bool:
    found = column_statistics(table, header.robot.dof)
    if set(found) != set(said):
        return False
    pairs: list[tuple[Any, Any]] = [(found[name][key], said[name].get(key)) for name in found for key in found[name]]
    return all(np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=1e-9, atol=1e-9, equal_nan=True) for a, b in pairs)
