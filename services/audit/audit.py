"""An audit: every committed shard's files and rows, and the motion of all rows or of a sample."""

import hashlib
import json
import time
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from services.audit.kinematics import Kinematics, check_poses, open_kinematics
from services.audit.motion import check_continuity, check_samples
from services.audit.profiles import check_profiles
from services.audit.report import AuditReport
from services.audit.rows import check_table, read_rows
from shared.dataset import Dataset, verify_bytes
from shared.errors import CorruptShardError
from shared.manifest import Commit

_ROWS_AT_ONCE = 256


def audit_dataset(
    dataset: Dataset, sample: int | None = None, on_shard: Callable[[AuditReport], None] = lambda report: None
) -> AuditReport:
    """Checks a dataset from its files.

    Args:
        dataset: finished or not; what is committed is checked.
        sample: rows whose motion is checked, chosen by a fixed seed; all of them by default.
        on_shard: called after each shard.

    Raises:
        RobotError: the dataset's robot is neither in the catalogue nor beside it, or not with these joints.
    """
    began, header, state = time.monotonic(), dataset.header, dataset.state()
    report = AuditReport(header.dataset_id, state.state)
    canonical = json.dumps(header.request, sort_keys=True, separators=(",", ":"))
    named = hashlib.sha256(canonical.encode()).hexdigest() == header.dataset_id
    report.expect("dataset_id is the request's hash", named, "dataset.json")
    complete = state.state != "sealed" or [c.index for c in state.commits] == list(range(header.shards))
    report.expect("a sealed dataset has every shard", complete, "manifest.json")
    kinematics = open_kinematics(report, dataset)
    chosen = _choose(header.count, sample)
    for commit in state.commits:
        table = _check_files(report, dataset, commit)
        if table is not None and check_table(report, header, commit, table):
            first = commit.index * header.shard_rows
            wanted = np.flatnonzero(chosen[first : first + table.num_rows])
            _check_motion(report, dataset, kinematics, table, wanted)
        report.shards += 1
        report.rows += commit.rows
        report.seconds = time.monotonic() - began
        on_shard(report)
    return report


def _choose(count: int, sample: int | None) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which rows are looked at closely, shape (count,)."""
    chosen = np.ones(count, np.bool_)
    if sample is not None and sample < count:
        chosen[:] = False
        chosen[np.random.default_rng(0).choice(count, sample, replace=False)] = True
    return chosen


def _check_files(report: AuditReport, dataset: Dataset, commit: Commit) -> pa.Table | None:
    """A shard's table, or None if it can't be read."""
    name, content = f"shard-{commit.index:08d}.parquet", dataset.shard_bytes(commit.index)
    try:
        verify_bytes(content, commit, name)
        report.expect("file sha256", True, name)
    except CorruptShardError as error:
        report.expect("file sha256", False, f"{name}: {error.message}")
    try:
        return pq.read_table(pa.BufferReader(content or b""), use_threads=False)
    except (OSError, pa.ArrowException) as error:
        report.expect("file can be read", False, f"{name}: {error}")
        return None


def _check_motion(
    report: AuditReport,
    dataset: Dataset,
    kinematics: Kinematics,
    table: pa.Table,
    wanted: np.ndarray[tuple[int], np.dtype[np.int64]],
) -> None:
    header = dataset.header
    for begin in range(0, len(wanted), _ROWS_AT_ONCE):
        part = table.take(pa.array(wanted[begin : begin + _ROWS_AT_ONCE]))
        rows = read_rows(part, header.robot.dof)
        check_samples(report, header, rows)
        check_continuity(report, header, rows)
        if rows.profile_first is not None:
            check_profiles(report, header, rows)
        check_poses(report, kinematics, rows)
        report.rows_in_motion += len(rows.ids)
        report.samples += int(rows.first[-1])
