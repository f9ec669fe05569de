"""Shards made by Ray. What speaks with Ray is a process of its own (ray_driver), started again when it is lost."""

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Any

from services.engine.engine import MAX_DEATHS, POLL_S, EngineName, dying_workers, never
from services.engine.ray_driver import drive
from services.engine.worker import Child, WorkerDiedError
from services.synthesis.pipeline import ShardPlan
from shared.errors import EngineError
from shared.manifest import Commit
from shared.storage import Location, absolute

_START_S = 120.0
_PATIENCE_S = 120.0
"""How long a job waits for a Ray that is lost to be there again."""
_PAUSE_S = 2.0
_FAREWELL_S = 1.8

_log = logging.getLogger(__name__)


class RayEngine:
    """The engine of Ray tasks, one for each shard."""

    name: EngineName = "ray"

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or 1
        self._problem = ""
        self._wanted = workers
        self._driver: Child | None = None

    @property
    def problem(self) -> str:
        """See Engine.problem."""
        if not self._problem and self._driver is not None and not self._driver.is_alive:
            return "Ray is lost; it is started or joined again with the next job"
        return self._problem

    def start(self, should_stop: Callable[[], bool] = never) -> None:
        """Starts or joins Ray, which takes 3 to 7 s. Raises EngineError saying how to go on without it."""
        if self._driver is not None:
            return
        driver, deadline = Child(drive, self._wanted), time.monotonic() + _START_S
        try:
            while not driver.connection.poll(POLL_S):
                if should_stop():
                    raise EngineError("stopped before Ray was up")
                if time.monotonic() > deadline:
                    raise EngineError(f"Ray is not up after {_START_S:.0f} s; `--engine process` needs no Ray")
            answer, value = driver.take()
            if answer == "failed":
                raise EngineError(value)
        except WorkerDiedError:
            raise EngineError("Ray ended the process that started it; its logs are in /tmp/ray") from None
        except BaseException:
            driver.kill()
            raise
        # Lost and back: also where the job that lost it did not live to see that.
        self._driver, self.workers, self._problem = driver, value, ""

    def run_shards(
        self,
        plans: Iterable[ShardPlan],
        root: Location,
        on_commit: Callable[[Commit], None],
        should_stop: Callable[[], bool],
    ) -> bool:
        """See Engine.run_shards. Ray that is lost is waited for."""
        self.start(should_stop)
        run = _Run(plans, absolute(root))
        try:
            while not should_stop():
                try:
                    if not run.give(self._alive(), self.workers):
                        return True
                    commit = run.take(self._alive())
                    if commit is not None:
                        on_commit(commit)
                except WorkerDiedError as lost:
                    self._driver = None
                    run.lose_all(lost)
                    self._start_again(should_stop)
                else:
                    self.workers = run.workers or self.workers
            return False
        finally:
            self._drop(run)

    def close(self) -> None:
        """Leaves Ray, and ends it if this engine started it."""
        driver, self._driver = self._driver, None
        if driver is not None:
            driver.give(("end",))
            driver.join(_FAREWELL_S)
            driver.kill()

    def _alive(self) -> Child:
        if self._driver is None:
            raise WorkerDiedError("Ray is lost")
        return self._driver

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
        if not run.running or self._driver is None:
            return
        driver, deadline = self._driver, time.monotonic() + _FAREWELL_S
        try:
            driver.give(("drop",))
            while driver.connection.poll(max(0.0, deadline - time.monotonic())):
                if driver.take() == ("dropped",):
                    return
        except WorkerDiedError:
            pass
        driver.kill()
        self._driver = None


class _Run:
    """The shards of one call of run_shards: those to make, and those in the making."""

    def __init__(self, plans: Iterable[ShardPlan], root: Location) -> None:
        self.running: dict[int, ShardPlan] = {}
        self.workers = 0
        self._root = root
        self._waiting, self._again = iter(plans), deque[ShardPlan]()
        self._deaths, self._losses = Counter[int](), 0

    def give(self, driver: Child, most: int) -> bool:
        """Has shards made until `most` are in the making. False if none is left."""
        while len(self.running) < most:
            plan = self._again.popleft() if self._again else next(self._waiting, None)
            if plan is None:
                break
            self.running[plan.index] = plan
            driver.give(("make", plan, self._root))
        return bool(self.running)

    def take(self, driver: Child) -> Commit | None:
        """Waits POLL_S for a shard, and gives its commit. Raises what it raised, or WorkerDiedError."""
        if not driver.connection.poll(POLL_S):
            return None
        answer, index, value, *more = driver.take()
        plan = self.running.pop(index)
        if answer == "raised":
            raise value
        if answer == "lost":
            _log.warning("shard %d: %s", index, value)
            self._deaths[index] += 1
            if self._deaths[index] > MAX_DEATHS:
                raise dying_workers(plan)
            self._again.append(plan)
            return None
        self._losses, (self.workers,) = 0, more
        commit: Commit = value
        return commit

    def lose_all(self, lost: Any) -> None:
        """Ray is lost: what was in the making is made again. Raises EngineError if that happens again and again."""
        self._losses += 1
        if self._losses > MAX_DEATHS:
            raise EngineError(
                f"Ray was lost {self._losses} times without a shard in between; see its logs in /tmp/ray, then submit "
                "the same request to go on from the committed shards"
            ) from lost
        self._again.extendleft(reversed(self.running.values()))
        self.running.clear()
