"""How far a job is, and which of its shards are committed."""

import time
from collections import Counter
from dataclasses import dataclass, replace

from headstart_client.data.index_set import IndexSet
from services.synthesis.pipeline import robot_spec
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared import records
from shared.manifest import Commit, DatasetHeader, Totals

_LEAST_S, _MOST_PACKED = 1.0, 2.0


@dataclass(frozen=True)
class Progress:
    """Counts over a dataset's commits, and how fast they grow.

    Attributes:
        count: trajectories wanted.
        accepted: trajectories committed.
        attempts: candidates tried for them.
        rejections: candidates that failed, by reason.
        shards: of the whole dataset.
        shards_committed: of them.
        bytes: of the committed shard files.
        rows_per_s: in this run, up to its last commit; None before its first.
        remaining_s: at that rate; None while it is unknown.
    """

    count: int
    accepted: int
    attempts: int
    rejections: dict[str, int]
    shards: int
    shards_committed: int
    bytes: int
    rows_per_s: float | None = None
    remaining_s: float | None = None


class Tally:
    """Adds commits up. One thread adds, any may read.

    Attributes:
        progress: the sums.
    """

    def __init__(self, header: DatasetHeader, totals: Totals | None = None, indices: IndexSet | None = None) -> None:
        """Starts from the commits of earlier runs: their sums, and which there are. They don't count for the rate."""
        before = totals or Totals()
        self.progress = Progress(
            count=header.count,
            accepted=before.rows,
            attempts=before.attempts,
            rejections=dict(before.rejections),
            shards=header.shards,
            shards_committed=before.commits,
            bytes=before.bytes,
        )
        self._indices = indices or IndexSet()
        self._before = before.rows
        self._since = time.monotonic()

    @property
    def watermark(self) -> int:
        """Shards committed without a gap."""
        return self._indices.watermark

    def add(self, commit: Commit) -> None:
        """Counts a shard that was committed just now."""
        done = self.progress
        accepted = done.accepted + commit.rows
        rate = (accepted - self._before) / max(1e-6, time.monotonic() - self._since)
        self.progress = replace(
            done,
            accepted=accepted,
            attempts=done.attempts + commit.attempts,
            rejections=dict(sorted((Counter(done.rejections) + Counter(commit.rejections)).items())),
            shards_committed=done.shards_committed + 1,
            bytes=done.bytes + commit.bytes,
            rows_per_s=rate,
            remaining_s=(done.count - accepted) / rate,
        )
        self._indices.add(commit.index)

    def has(self, index: int) -> bool:
        """Whether shard `index` is committed."""
        return index in self._indices

    def after(self, index: int, limit: int) -> list[int]:
        """The first `limit` committed indices beyond `index`, in order."""
        return self._indices.after(index, limit)


def bytes_wanted(request: TrajectoryRequest, progress: Progress | None = None) -> float:
    """What a request's rows will still take on disk: judged by those there are, else the least it can be.

    At the least a trajectory takes _LEAST_S, and its floats are packed _MOST_PACKED times.
    """
    if progress is not None and progress.accepted:
        return (progress.count - progress.accepted) * progress.bytes / progress.accepted
    dof = robot_spec(request).dof
    width = sum(
        column.width(dof) for column in records.columns(request.optional_columns) if column.shape.startswith("T")
    )
    return request.count * request.rate_hz * _LEAST_S * 4 * width / _MOST_PACKED
