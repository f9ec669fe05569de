"""Two workers on one request, two independent runs of one worker each side by side, and one worker alone."""

import contextlib
import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.synthesis.turns import Contender
from services.engine import ProcessEngine
from services.jobs import begin, make_dataset
from services.synthesis.request.trajectory_request import TrajectoryRequest

SHARDS_PER_WORKER = 4


class Run:
    """An engine that makes one dataset after the other, each of another seed."""

    def __init__(self, body: dict[str, Any], workers: int, root: Path, seed: int) -> None:
        self._body, self._root, self._seeds = body, root, itertools.count(seed)
        self.workers, self.engine = workers, ProcessEngine(workers)
        self._make({**body, "shard_rows": 8}, 4 * workers)

    def make(self) -> tuple[int, int]:
        """A dataset of SHARDS_PER_WORKER shards for each worker. Returns rows and samples."""
        return self._make(self._body, SHARDS_PER_WORKER * self.workers)

    def _make(self, body: dict[str, Any], shards: int) -> tuple[int, int]:
        seed = next(self._seeds)
        request = TrajectoryRequest.parse({**body, "count": shards * body["shard_rows"], "seed": seed})
        dataset = begin(request, self._root / str(seed))
        make_dataset(request, dataset, self.engine, on_progress=lambda tally, commit: None)
        return request.count, sum(commit.samples for commit in dataset.commits())


@contextlib.contextmanager
def worker_contenders(body: dict[str, Any], root: Path) -> Iterator[tuple[Contender, Contender, Contender]]:
    """Two workers together, two runs apart, and one worker alone, all warm."""
    together, *apart = (Run(body, workers, root, 1000 * i) for i, workers in enumerate((2, 1, 1)))
    with ThreadPoolExecutor(2) as threads:

        def side_by_side(turn: int) -> tuple[int, int]:
            made = list(threads.map(Run.make, apart))
            return sum(rows for rows, _ in made), sum(samples for _, samples in made)

        try:
            yield (
                Contender("two_workers", lambda turn: together.make()),
                Contender("two_runs", side_by_side),
                Contender("one_worker", lambda turn: apart[0].make()),
            )
        finally:
            for run in (together, *apart):
                run.engine.close()
