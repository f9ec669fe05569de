"""Shards made in worker processes on this machine.

A pool of its own rather than concurrent.futures': a worker that dies costs only its own shard (there the whole pool
breaks), and a cancelled shard is dropped by ending its worker, which that pool has no way to do.
"""

import multiprocessing.connection
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

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


@dataclass(eq=False)
class _Run:
    """One call of run_shards.

    Attributes:
        share: of the engine's workers.
        waiting: plans that were not begun.
        again: plans whose worker died, to be begun once more.
        busy: plans in the making, by their workers.
        deaths: of workers, by what they were making.
        failure: of the shards that can't be made, the one that counts.
        left: whether there may be plans to begin.
    """

    share: Share
    waiting: Iterator[ShardPlan]
    again: deque[ShardPlan] = field(default_factory=deque)
    busy: dict[Worker, ShardPlan] = field(default_factory=dict)
    deaths: Counter[ShardTask] = field(default_factory=Counter)
    failure: FirstFailure = field(default_factory=FirstFailure)
    left: bool = True


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
        run = _Run(share, iter(plans))
        try:
            while not should_stop():
                run.failure.raise_before([*run.busy.values(), *run.again])
                self._give_out(run, root)
                if not run.busy and not run.left:
                    return True
                for worker in _answering(run.busy) if run.busy else []:
                    commit = self._take_back(worker, run)
                    if commit is not None:
                        on_commit(commit)
            return False
        finally:
            kill_all(run.busy)

    def _give_out(self, run: _Run, root: Location) -> None:
        """Has shards begun by as many workers as the run may take."""
        while run.left and run.share.take(0.0 if run.busy else POLL_S):
            plan = run.again.popleft() if run.again else next(run.waiting, None)
            run.left = plan is not None
            if plan is None:
                run.share.give_back(wants_more=False)
                return
            worker = self._worker()
            run.busy[worker] = plan
            worker.send(make_shard_alone, ShardTask.of(plan), root)

    def _take_back(self, worker: Worker, run: _Run) -> Commit | None:
        """The commit of a worker that has answered; None if it had none to make, died, or its shard can't be made."""
        plan = run.busy.pop(worker)
        run.share.give_back(wants_more=run.left)
        try:
            commit: Commit | None = worker.receive()
        except WorkerDiedError:
            run.deaths[ShardTask.of(plan)] += 1
            if run.deaths[ShardTask.of(plan)] > MAX_DEATHS:
                raise dying_workers(plan) from None
            run.again.append(plan)
            run.left = True
            return None
        except SynthesisError as error:
            self._idle.append(worker)
            run.failure.add(plan, error)
            run.waiting, run.left = iter(()), bool(run.again)
            # Workers that it no longer wants are other jobs'.
            run.share.give_back(0, wants_more=run.left)
            return None
        except Exception:
            self._idle.append(worker)
            raise
        self._idle.append(worker)
        return commit

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
