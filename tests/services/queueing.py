"""A queue of jobs in the test's own process, and engines that stop where a test looks."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from services.engine import Engine, InlineEngine
from services.jobs import Job, JobQueue
from services.synthesis.pipeline import ShardPlan
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.manifest import Commit
from shared.storage import Location
from tests.services.example import LONG_BODY

LONG = TrajectoryRequest.parse(LONG_BODY)
OTHER = TrajectoryRequest.parse({"robot": "panda", "count": 3, "seed": 9})


class GatedEngine(InlineEngine):
    """The inline engine, which makes a shard each time `step` is called: a running job that waits to be looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Semaphore(0)

    def step(self, shards: int = 1) -> None:
        self.gate.release(shards)

    def run_shards(
        self,
        plans: Any,
        root: Location,
        on_commit: Callable[[Commit], None],
        should_stop: Callable[[], bool],
        priority: Callable[[], int] = lambda: 0,
    ) -> bool:
        def gated() -> Iterator[ShardPlan]:
            for plan in plans:
                while not self.gate.acquire(timeout=0.01):
                    if should_stop():
                        break
                yield plan

        return super().run_shards(gated(), root, on_commit, should_stop, priority)


class StubbornEngine(InlineEngine):
    """An engine that does not stop until it may: a job that is being cancelled and waits to be looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.may_stop = threading.Event()

    def run_shards(
        self,
        plans: Any,
        root: Location,
        on_commit: Callable[[Commit], None],
        should_stop: Callable[[], bool],
        priority: Callable[[], int] = lambda: 0,
    ) -> bool:
        while not should_stop():
            time.sleep(0.01)
        assert self.may_stop.wait(60)
        return False


@contextmanager
def job_queue(data: Location, engine: Engine, **limits: Any) -> Iterator[JobQueue]:
    # What is tested of one job after another, is of one at a time; unless a test says otherwise.
    queue = JobQueue(data, engine, **{"max_running": 1, **limits})
    queue.start()
    try:
        yield queue
    finally:
        queue.stop()


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def ends(job: Job) -> None:
    until(lambda: not job.is_active)
