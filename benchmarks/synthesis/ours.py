"""Our synthesis as a contender: rows of one request, checked and committed on disk."""

from pathlib import Path
from typing import Any

from services.jobs import begin
from services.synthesis.pipeline import ShardPlan, plan_shards, synthesize
from services.synthesis.request.trajectory_request import TrajectoryRequest


class Ours:
    """Shards of one request, from nothing to their commits."""

    def __init__(self, body: dict[str, Any], shards: int, root: Path) -> None:
        self.request = TrajectoryRequest.parse({**body, "count": shards * body["shard_rows"]})
        self._plans = plan_shards(self.request)
        self._dataset = begin(self.request, root)
        self.attempts = self.rows = self.redraws = 0
        synthesize(ShardPlan(self.request, 0, 0, 64))

    def make(self, turn: int) -> tuple[int, int]:
        """One shard. Returns rows and samples."""
        rows = synthesize(self._plans[turn])
        commit = self._dataset.publish(turn, rows.table, rows.attempts, rows.rejections)
        self.attempts += commit.attempts
        self.rows += commit.rows
        self.redraws += rows.redraws
        return commit.rows, commit.samples
