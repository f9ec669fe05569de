"""Shards made in worker processes on this machine.

A pool of its own rather than concurrent.futures': a worker that dies costs only its own shard (there the whole pool
breaks), and a cancelled shard is dropped by ending its worker, which that pool has no way to do.
"""

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path

from services.engine.engine import MAX_DEATHS, POLL_S, EngineName, dying_workers, make_shard
from services.synthesis.pipeline import ShardPlan
from shared.manifest import Commit

# Spawned, never forked: Arrow's and Ray's threads do not survive a fork.
_CONTEXT = multiprocessing.get_context("spawn")
_FAREWELL_S = 2.0


@dataclass
class _Worker:
    process: SpawnProcess
    connection: Connection
    plan: ShardPlan | None = None


class ProcessEngine:
    """The engine of worker processes. They stay up between datasets."""

    name: EngineName = "process"

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool: list[_Worker] = []

    def start(self) -> None:
        """Spawns the workers that are missing; they import what they need in the background."""
        # Inherited by the workers: one thread each, or their BLAS pools fight over the cores.
        os.environ["OMP_NUM_THREADS"] = "1"
        while len(self._pool) < self.workers:
            ours, theirs = _CONTEXT.Pipe()
            process = _CONTEXT.Process(target=_work, args=(theirs,), name="headstart-worker", daemon=True)
            with _sigint_blocked():
                process.start()
            theirs.close()
            self._pool.append(_Worker(process, ours))

    def run_shards(
        self,
        plans: Iterable[ShardPlan],
        root: Path,
        on_commit: Callable[[Commit], None],
        should_stop: Callable[[], bool],
    ) -> bool:
        """See Engine.run_shards."""
        waiting, again, deaths = iter(plans), deque[ShardPlan](), Counter[int]()
        try:
            while not should_stop():
                self.start()
                for worker in self._pool:
                    if worker.plan is None:
                        worker.plan = again.popleft() if again else next(waiting, None)
                        if worker.plan is not None:
                            _send(worker, root)
                if all(worker.plan is None for worker in self._pool):
                    return True
                for worker in self._answering():
                    plan = worker.plan
                    assert plan is not None
                    commit = self._receive(worker)
                    if commit is not None:
                        on_commit(commit)
                        continue
                    deaths[plan.index] += 1
                    if deaths[plan.index] > MAX_DEATHS:
                        raise dying_workers(plan)
                    again.append(plan)
            return False
        finally:
            self._end([worker for worker in self._pool if worker.plan is not None])

    def close(self) -> None:
        """Ends every worker."""
        self._end(list(self._pool))

    def _answering(self) -> list[_Worker]:
        """Busy workers that have answered or died; waits POLL_S for one. A dead worker's pipe reads as ended."""
        busy = {worker.connection: worker for worker in self._pool if worker.plan is not None}
        return [busy[connection] for connection in multiprocessing.connection.wait(list(busy), POLL_S)]  # type: ignore[index]

    def _receive(self, worker: _Worker) -> Commit | None:
        """A worker's commit, or None if it died. Raises what its shard raised."""
        try:
            answer = worker.connection.recv()
        except (EOFError, OSError):
            self._end([worker])
            return None
        worker.plan = None
        if isinstance(answer, BaseException):
            raise answer
        assert isinstance(answer, Commit)
        return answer

    def _end(self, workers: list[_Worker]) -> None:
        for worker in workers:
            # Killed, not asked: it may be inside a long native call, and all that it leaves is an uncommitted part.
            worker.process.kill()
            worker.connection.close()
            self._pool.remove(worker)
        for worker in workers:
            worker.process.join(_FAREWELL_S)


@contextlib.contextmanager
def _sigint_blocked() -> Iterator[None]:
    """Children started meanwhile hold Ctrl-C back until they have said that they ignore it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _send(worker: _Worker, root: Path) -> None:
    # A worker that died while idle: reading its pipe says so, and the shard goes to another.
    with contextlib.suppress(OSError):
        worker.connection.send((worker.plan, root))


def _work(connection: Connection) -> None:
    """The worker: makes the shards it is sent until its pipe ends, which also happens when its parent dies."""
    # Ctrl-C reaches the whole process group; what to do about it is the parent's decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    while True:
        try:
            plan, root = connection.recv()
        except EOFError:
            return
        try:
            answer: Commit | Exception = make_shard(plan, root)
        except Exception as error:
            answer = error
        try:
            connection.send(answer)
        except OSError:
            return
