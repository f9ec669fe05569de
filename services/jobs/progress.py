"""How far a job is, and which of its shards are committed."""

import bisect
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from services.synthesis.pipeline import robot_spec
from services.synthesis.request import TrajectoryRequest
from shared import records
from shared.manifest import Commit, DatasetHeader

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
        watermark: shards committed without a gap.
    """

    def __init__(self, header: DatasetHeader, commits: Iterable[Commit] = ()) -> None:
        """Starts from the commits of earlier runs, which don't count towards the rate."""
        self.progress = Progress(header.count, 0, 0, {}, header.shards, 0, 0)
        self.watermark = 0
        self._indices: list[int] = []
        for commit in commits:
            self._count(commit)
        self._before = self.progress.accepted
        self._since = time.monotonic()

    def add(self, commit: Commit) -> None:
        """Counts a shard that was committed just now."""
        self._count(commit)
        done = self.progress
        rate = (done.accepted - self._before) / max(1e-6, time.monotonic() - self._since)
        self.progress = replace(done, rows_per_s=rate, remaining_s=(done.count - done.accepted) / rate)

    def has(self, index: int) -> bool:
        """Whether shard `index` is committed."""
        return self.after(index - 1, 1) == [index]

    def after(self, index: int, limit: int) -> list[int]:
        """The first `limit` committed indices beyond `index`, in order."""
        first = bisect.bisect_right(self._indices, index)
        return self._indices[first : first + limit]

    def _count(self, commit: Commit) -> None:
        done = self.progress
        self.progress = Progress(
            count=done.count,
            accepted=done.accepted + commit.rows,
            attempts=done.attempts + commit.attempts,
            rejections=dict(sorted((Counter(done.rejections) + Counter(commit.rejections)).items())),
            shards=done.shards,
            shards_committed=done.shards_committed + 1,
            bytes=done.bytes + commit.bytes,
        )
        bisect.insort(self._indices, commit.index)
        while self._indices[self.watermark : self.watermark + 1] == [self.watermark]:
            self.watermark += 1


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
