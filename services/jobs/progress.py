"""How far a job is."""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from shared.manifest import Commit, DatasetHeader


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
    """Adds commits up to a Progress. `progress` may be read from other threads."""

    def __init__(self, header: DatasetHeader, commits: Iterable[Commit] = ()) -> None:
        """Starts from the commits of earlier runs, which don't count towards the rate."""
        self.progress = Progress(header.count, 0, 0, {}, header.shards, 0, 0)
        for commit in commits:
            self._count(commit)
        self._before = self.progress.accepted
        self._since = time.monotonic()

    def add(self, commit: Commit) -> Progress:
        """Counts a shard that was committed just now."""
        self._count(commit)
        done = self.progress
        rate = (done.accepted - self._before) / max(1e-6, time.monotonic() - self._since)
        self.progress = replace(done, rows_per_s=rate, remaining_s=(done.count - done.accepted) / rate)
        return self.progress

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
