"""Shards made in worker processes on this machine.

A pool of its own rather than concurrent.futures': a worker that dies costs only its own shard (there the whole pool
breaks), and a cancelled shard is dropped by ending its worker, which that pool has no way to do.
"""

import multiprocessing.connection
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable

from services.engine.engine import (
    MAX_DEATHS,
    POLL_S,
    EngineName,
    ShardTask,
    dying_workers,
    make_shard_alone,
    never,
    usual,
)
from services.engine.fair_share import FairShare, Share
from services.engine.first_failure import FirstFailure
from services.engine.worker import Worker, WorkerDiedError, kill_all
from services.synthesis.pipeline import ShardPlan
from shared.errors import SynthesisError
from shared.manifest import Commit
from shared.storage import Location


class ProcessEngine:
    """The engine of worker processes. They stay up between datasets."""

    name: EngineName = "process"
    problem = ""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._sharing = FairShare(lambda: self.workers)
        self._changing = threading.Lock()
        self._idle: list[Worker] = []

    def start(self, should_stop: Callable[[], bool] = never) -> None:
        """Starts its workers; they import what they need in the background."""
        with self._changing:
            while len(self._idle) + self._sharing.busy < self.workers:
                self._idle.append(Worker())

    def run_shards(
        self,
        plans: Iterable[ShardPlan],
        root: Location,
        on_commit: Callable[[Commit], None],
        should_stop: Callable[[], bool],
        priority: Callable[[], int] = usual,
    ) -> bool:
        """See Engine.run_shards."""
        with self._sharing.joined(priority) as share:
            return self._run(plans, root, on_commit, should_stop, share)

    def _run(
        self,
        plans: Iterable[ShardPlan],
        root: Location,
        on_commit: Callable[[Commit], None],
        should_stop: Callable[[], bool],
        share: Share,
    ) -> bool:
        waiting, again, deaths = iter(plans), deque[ShardPlan](), Counter[ShardTask]()
        busy: dict[Worker, ShardPlan] = {}
        left, failure = True, FirstFailure()
        try:
            while not should_stop():
                failure.raise_before([*busy.values(), *again])
                while left and share.take(0.0 if busy else POLL_S):
                    plan = again.popleft() if again else next(waiting, None)
                    left = plan is not None
                    if plan is None:
                        share.give_back(wants_more=False)
                        break
                    worker = self._worker()
                    busy[worker] = plan
                    worker.send(make_shard_alone, ShardTask.of(plan), root)
                if not busy and not left:
                    return True
                for worker in _answering(busy) if busy else []:
                    plan = busy.pop(worker)
                    share.give_back(wants_more=left)
                    try:
                        commit = worker.receive()
                    except WorkerDiedError:
                        deaths[ShardTask.of(plan)] += 1
                        if deaths[ShardTask.of(plan)] > MAX_DEATHS:
                            raise dying_workers(plan) from None
                        again.append(plan)
                        left = True
                        continue
                    except SynthesisError as error:
                        self._idle.append(worker)
                        failure.add(plan, error)
                        waiting, left = iter(()), bool(again)
                        # Workers that it no longer wants are other jobs'.
                        share.give_back(0, wants_more=left)
                        continue
                    except Exception:
                        self._idle.append(worker)
                        raise
                    self._idle.append(worker)
                    if commit is not None:
                        on_commit(commit)
            return False
        finally:
            kill_all(busy)

    def close(self) -> None:
        """Ends every worker, but those that a call of run_shards still uses."""
        with self._changing:
            kill_all(self._idle)
            self._idle.clear()

    def _worker(self) -> Worker:
        with self._changing:
            return self._idle.pop() if self._idle else Worker()


def _answering(workers: Iterable[Worker]) -> list[Worker]:
    """Workers that have answered or died; waits POLL_S for one. A dead worker's pipe reads as ended."""
    by_connection = {worker.connection: worker for worker in workers}
    ready = multiprocessing.connection.wait(list(by_connection), POLL_S)
    return [worker for connection, worker in by_connection.items() if connection in ready]
