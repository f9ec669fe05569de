"""The audit of one shard: its file, its rows, and their motion."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from services.audit.claims import Claims
from services.audit.collision_check import CollisionCheck
from services.audit.copy_check import CopiesCheck
from services.audit.findings import AuditReport
from services.audit.held_check import HeldCheck
from services.audit.lines import check_lines
from services.audit.moments import ALLOWED, exact_from_hz, sampled, stored
from services.audit.motion_check import check_continuity, check_samples, check_tool, keeps_limits
from services.audit.pinocchio_model import Frames, check_poses, open_kinematics
from services.audit.profile_check import check_profiles
from services.audit.row_check import Rows, check_table, read_rows
from shared.dataset import Dataset, verify_bytes
from shared.errors import CorruptShardError
from shared.manifest import Commit
from shared.motions_file import motions_of

_SAMPLES_AT_ONCE = 2**14


class ShardAudit:
    """Checks shards of one dataset."""

    def __init__(self, dataset: Dataset) -> None:
        """Reads the dataset's robot. Raises RobotError, or DatasetFormatError for a request or motions
        that can't be read."""
        self.dataset, self._claims = dataset, Claims.of(dataset.header)
        self._limits = self._claims.limits(dataset.header)
        self._kinematics = open_kinematics(AuditReport("", ""), dataset)
        kept_apart = self._claims.self_collision or self._claims.keep_out
        self._collision = CollisionCheck(self._kinematics, self._claims) if kept_apart else None
        motions = motions_of(dataset)
        self._copies = None if motions is None else CopiesCheck(motions)
        self._held: HeldCheck | None = None
        if motions is not None and self._collision is not None:
            self._held = HeldCheck(self._kinematics, self._claims, self._collision.geometry, motions)

    def check(self, commit: Commit, chosen: NDArray[np.bool_]) -> AuditReport:
        """What is found in a shard; the motion only of the rows that are chosen."""
        header = self.dataset.header
        report = AuditReport(header.dataset_id, "", shards=1, rows=commit.rows)
        table, said = self._read(report, commit), self.dataset.statistics(commit.index)
        if table is not None and check_table(report, header, self._claims, commit, said, table):
            for part in _parts(table, np.flatnonzero(chosen[: table.num_rows])):
                self._check_motion(report, part)
        return report

    def _read(self, report: AuditReport, commit: Commit) -> pa.Table | None:
        """A shard's table, or None if it can't be read."""
        name, content = commit.file, self.dataset.shard_bytes(commit)
        try:
            verify_bytes(content, commit, name)
            report.expect("file sha256", True, name)
        except CorruptShardError as error:
            report.expect("file sha256", False, f"{name}: {error.message}")
        try:
            return pq.read_table(pa.BufferReader(content or b""), use_threads=False).combine_chunks()
        except (OSError, pa.ArrowException) as error:
            report.expect("file can be read", False, f"{name}: {error}")
            return None

    def _check_motion(self, report: AuditReport, part: pa.Table) -> None:
        limits, rows = self._limits, read_rows(part, self._kinematics.dof)
        check_samples(report, limits, self.dataset.header.action_range, rows)
        check_continuity(report, limits, rows)
        check_tool(report, self._claims, rows)
        along = np.zeros(len(rows.ids), np.bool_)
        if rows.profile_first is not None:
            along = check_profiles(report, limits, rows)
        frames = self._kinematics.frames(rows.lists["joint_position"].astype(np.float64))
        check_poses(report, self._kinematics, rows, frames)
        if self._copies is not None:
            self._copies.check(report, part, rows)
        if rows.profile_first is not None:
            check_lines(report, self._kinematics, rows, part.column("family").to_pylist())
        if self._collision is not None:
            self._check_collisions(report, part, rows, along, frames)
        report.rows_in_motion += len(rows.ids)
        report.samples += int(rows.first[-1])

    def _check_collisions(
        self, report: AuditReport, table: pa.Table, rows: Rows, along: NDArray[np.bool_], frames: Frames
    ) -> None:
        """Looks for collisions along the profiles of the rows marked, and through the samples of the others."""
        assert self._collision is not None
        exact, n = exact_from_hz(self._collision.reach, self._limits.jerk), len(rows.ids)
        # Nothing bounds the motion of a row that breaks its limits at its samples, or along its profiles.
        sound = keeps_limits(self._limits, sampled(rows), n)
        if rows.profile_first is None:
            report.between_samples = (
                f"collisions were looked for along cubics through the samples: exact to {1000 * ALLOWED:g} mm from "
                f"{exact:.0f} Hz on; at {self.dataset.header.rate_hz:g} Hz ask for profile_time and profile_jerk"
            )
        else:
            report.between_samples = "collisions were looked for along the stored profiles: exact at any rate"
            moments = stored(rows)
            kept = sound & along & keeps_limits(self._limits, moments, n)
            self._collision.check(report, rows.ids, moments, kept, self._kinematics.frames(moments.q))
            if self._held is not None:
                self._held.check(report, table, rows, moments, kept)
            sound &= ~along
        if sound.any():
            self._collision.check(report, rows.ids, sampled(rows), sound, frames)
            if self._held is not None:
                self._held.check(report, table, rows, sampled(rows), sound)


def _parts(table: pa.Table, wanted: NDArray[np.int64]) -> list[pa.Table]:
    """The wanted rows of a table, so many at once that their arrays stay in the cache."""
    samples = np.cumsum(table.column("length").to_numpy()[wanted]) // _SAMPLES_AT_ONCE
    runs = np.split(wanted, np.flatnonzero(np.diff(samples)) + 1)
    return [
        table.slice(run[0], len(run)) if run[-1] - run[0] + 1 == len(run) else table.take(pa.array(run))
        for run in runs
        if len(run)
    ]
