"""Shards made by Ray. What speaks with Ray is a process of its own (ray_driver), started again when it is lost."""

import itertools
import logging
import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Any

from services.engine.engine import MAX_DEATHS, POLL_S, EngineName, ShardTask, dying_workers, never, usual
from services.engine.fair_share import FairShare, Share
from services.engine.first_failure import FirstFailure
from services.engine.ray_process import DriverProcess
from services.engine.worker import WorkerDiedError
from services.synthesis.pipeline import ShardPlan
from shared.errors import EngineError, SynthesisError
from shared.manifest import Commit
from shared.storage import Location, absolute

_PATIENCE_S = 120.0
"""How long a job waits for a Ray that is lost to be there again."""
_PAUSE_S = 2.0
_DROP_S = 1.8
"""How long Ray is given to end a run's shards: then its driver is killed, and Ray ends with it."""

_log = logging.getLogger(__name__)


class RayEngine:
    """The engine of Ray tasks, one for each shard."""

    name: EngineName = "ray"

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or 1
        self._problem = ""
        self._wanted = workers
        self._driver: DriverProcess | None = None
        self._changing = threading.RLock()
        self._sharing = FairShare(lambda: self.workers)
        self._numbers = itertools.count()
        self._runs: dict[int, _Run] = {}

    @property
    def problem(self) -> str:
        """See Engine.problem."""
        driver = self._driver
        if not self._problem and driver is not None and not driver.is_alive:
            return "Ray is lost; it is started or joined again with the next job"
        return self._problem

    def start(self, should_stop: Callable[[], bool] = never) -> None:
        """Starts or joins Ray, which takes 3 to 7 s. Raises EngineError saying how to go on without it."""
        with self._changing:
            if self._driver is not None:
                self._problem = ""
                return
            driver = DriverProcess(self._wanted)
            workers = driver.wait_until_ready(should_stop)
            # Lost and back: also where the job that lost it did not live to see that.
            self._driver, self.workers, self._problem = driver, workers, ""
        threading.Thread(target=self._listen, args=(driver,), name="headstart-ray", daemon=True).start()

    def run_shards(
        self,
        plans: Iterable[ShardPlan],
        root: Location,
        on_commit: Callable[[Commit], None],
        should_stop: Callable[[], bool],
        priority: Callable[[], int] = usual,
    ) -> bool:
        """See Engine.run_shards. Ray that is lost is waited for."""
        self.start(should_stop)
        with self._sharing.joined(priority) as share:
            run = _Run(next(self._numbers), plans, absolute(root), share)
            self._runs[run.number] = run
            try:
                while not should_stop():
                    run.raise_failure()
                    try:
                        if not self._give(run):
                            return True
                        commit = run.take()
                        if commit is not None:
                            on_commit(commit)
                    except WorkerDiedError as lost:
                        run.lose_all(lost)
                        self._start_again(should_stop)
                    else:
                        self.workers = run.workers or self.workers
                return False
            finally:
                self._drop(run)
                del self._runs[run.number]

    def close(self) -> None:
        """Leaves Ray, and ends it if this engine started it."""
        with self._changing:
            driver, self._driver = self._driver, None
            if driver is not None:
                driver.leave()

    def _listen(self, driver: DriverProcess) -> None:
        """Hands what a driver answers to the runs, until it has died."""
        try:
            while True:
                answer, number, *more = driver.take()
                run = self._runs.get(number)
                if run is not None:
                    run.answers.put((driver, answer, *more))
        except WorkerDiedError:
            with self._changing:
                if self._driver is driver:
                    self._driver = None
            for run in list(self._runs.values()):
                run.answers.put((driver, "died"))

    def _give(self, run: "_Run") -> bool:
        """Has shards of a run made, as its share allows. False if none is left. Raises WorkerDiedError."""
        while run.left and run.share.take(0.0 if run.running else POLL_S):
            plan = run.next_plan()
            if plan is None:
                break
            with self._changing:
                driver = self._driver
                run.give(plan, driver)
                if driver is None:
                    raise WorkerDiedError("Ray is lost")
        return run.left or bool(run.running)

    def _start_again(self, should_stop: Callable[[], bool]) -> None:
        """Starts or joins Ray again, for as long as a job's patience. Raises EngineError after that."""
        deadline = time.monotonic() + _PATIENCE_S
        self._problem = "Ray is lost and is being started or joined again"
        _log.warning("%s", self._problem)
        while not should_stop():
            try:
                self.start(should_stop)
                return
            except EngineError as error:
                self._problem = f"Ray is lost: {error}"
                if time.monotonic() > deadline:
                    raise EngineError(
                        f"Ray is lost, and was not there again for {_PATIENCE_S:.0f} s ({error}); when it is, submit "
                        "the same request to go on from the committed shards"
                    ) from error
            resume_at = time.monotonic() + _PAUSE_S
            while time.monotonic() < resume_at and not should_stop():
                time.sleep(POLL_S)

    def _drop(self, run: "_Run") -> None:
        """Ends what is in the making; if that takes too long, together with Ray."""
        driver = run.driver
        run.share.give_back(run.share.busy, wants_more=False)
        if not run.running or driver is None or driver is not self._driver:
            return
        deadline = time.monotonic() + _DROP_S
        with self._changing:
            driver.give(("drop", run.number))
        while (left := deadline - time.monotonic()) > 0:
            try:
                if run.answers.get(timeout=left)[1] in ("dropped", "died"):
                    return
            except queue.Empty:
                break
        driver.end()


class _Run:
    """The shards of one call of run_shards: those to make, and those in the making.

    Attributes:
        number: that the driver knows it by.
        share: of the workers.
        left: whether there may be shards to begin.
        running: shards in the making, and parts of them, by task.
        answers: what the driver said of them, each after the driver that said it.
        driver: that makes them.
        workers: that Ray had at the last answer.
    """

    def __init__(self, number: int, plans: Iterable[ShardPlan], root: Location, share: Share) -> None:
        self.number, self.share = number, share
        self.left = True
        self.running: dict[ShardTask, ShardPlan] = {}
        self.answers: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
        self.driver: DriverProcess | None = None
        self.workers = 0
        self._root = root
        self._waiting, self._again = iter(plans), deque[ShardPlan]()
        self._deaths, self._losses, self._failure = Counter[ShardTask](), 0, FirstFailure()

    def next_plan(self) -> ShardPlan | None:
        """What the worker that was taken is to make; where that is nothing, it is given back."""
        plan = self._again.popleft() if self._again else next(self._waiting, None)
        self.left = plan is not None
        if plan is None:
            self.share.give_back(wants_more=False)
        return plan

    def give(self, plan: ShardPlan, driver: DriverProcess | None) -> None:
        """Has a shard made. Without a driver, it is one of those that are lost."""
        self.driver = driver
        task = ShardTask.of(plan)
        self.running[task] = plan
        if driver is not None:
            driver.give(("make", self.number, task, self._root))

    def take(self) -> Commit | None:
        """Waits POLL_S for a shard, and gives its commit; None without one, and for a part.

        Raises what it raised, or WorkerDiedError. That a request is impossible is raised by `raise_failure`.
        """
        try:
            driver, answer, *more = self.answers.get(timeout=POLL_S if self.running else 0.0)
        except queue.Empty:
            return None
        if driver is not self.driver:
            # Of one that is gone: what it had is made again.
            return None
        if answer == "died":
            raise WorkerDiedError("Ray is lost")
        task, value, *rest = more
        plan = self.running.pop(task)
        self.share.give_back(wants_more=self.left)
        if answer == "raised":
            if not isinstance(value, SynthesisError):
                raise value
            self._failure.add(plan, value)
            self._waiting, self.left = iter(()), bool(self._again)
            # Workers that it no longer wants are other jobs'.
            self.share.give_back(0, wants_more=self.left)
            return None
        if answer == "lost":
            _log.warning("shard %d: %s", plan.index, value)
            self._deaths[task] += 1
            if self._deaths[task] > MAX_DEATHS:
                raise dying_workers(plan)
            self._again.append(plan)
            self.left = True
            return None
        self._losses, (self.workers,) = 0, rest
        commit: Commit | None = value
        return commit

    def raise_failure(self) -> None:
        """Raises why the request is impossible, once all shards are made that might say it in other words."""
        self._failure.raise_before([*self.running.values(), *self._again])

    def lose_all(self, lost: Any) -> None:
        """Ray is lost: what was in the making is made again. Raises EngineError if that happens again and again."""
        self._losses += bool(self.running)
        if self._losses > MAX_DEATHS:
            raise EngineError(
                f"Ray was lost {self._losses} times without a shard in between; see its logs in /tmp/ray, then submit "
                "the same request to go on from the committed shards"
            ) from lost
        self._again.extendleft(reversed(self.running.values()))
        self.left = self.left or bool(self.running)
        self.share.give_back(len(self.running))
        self.running.clear()
        self.driver = None
