"""Shards of running jobs take turns."""

import threading
import time
from collections.abc import Callable, Iterable
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import pytest

from services.engine import InlineEngine, ProcessEngine
from services.engine.fair_share import FairShare
from services.engine.worker import Child
from services.jobs import Job, JobQueue, begin, make_dataset
from services.synthesis.pipeline import ShardPlan
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.manifest import Commit
from shared.storage import Location

SHORT = TrajectoryRequest.parse({"robot": "panda", "count": 6, "shard_rows": 2, "seed": 1})
LONG = TrajectoryRequest.parse({"robot": "panda", "count": 80, "shard_rows": 2, "seed": 2})


def test_a_free_worker_goes_to_the_run_with_the_fewest_shards_then_to_the_one_that_waits_longest() -> None:
    sharing = FairShare(lambda: 4)
    with sharing.joined(lambda: 0) as a, sharing.joined(lambda: 0) as b, sharing.joined(lambda: 0) as c:
        assert [a.take() for _ in range(5)] == [True, True, True, True, False]
        assert not b.take()
        a.give_back()
        assert not a.take()
        assert b.take()
        a.give_back()
        assert c.take()
        assert not c.take()
        assert (a.busy, b.busy, c.busy) == (2, 1, 1)
        b.give_back(wants_more=False)
        # c asked for it, and has fewer.
        assert not a.take()
        assert c.take()
        c.give_back(2, wants_more=False)
        assert a.take()
        assert sharing.busy == 3
    assert sharing.busy == 0


def test_a_higher_priority_goes_first_whenever_it_is_raised() -> None:
    sharing, priority = FairShare(lambda: 1), 0
    with sharing.joined(lambda: 0) as a, sharing.joined(lambda: priority) as b:
        assert a.take()
        assert not b.take()
        a.give_back()
        priority = -1
        assert a.take()
        a.give_back()
        priority = 1
        assert not a.take()
        assert b.take()
        b.give_back()
        assert not a.take()
        assert b.take()


def test_runs_with_as_many_shards_have_their_turns_in_the_order_of_their_last() -> None:
    sharing = FairShare(lambda: 1)
    with sharing.joined(lambda: 0) as a, sharing.joined(lambda: 0) as b, sharing.joined(lambda: 0) as c:
        shares = {"a": a, "b": b, "c": c}
        assert c.take()
        taken = ["c"]
        for _ in range(8):
            shares[taken[-1]].give_back()
            taken.append(next(name for name, share in shares.items() if share.take()))
        # None has had a turn but c: who asks first comes first, and then each in its turn.
        assert taken == ["c", "a", "b", "c", "a", "b", "c", "a", "b"]


def test_who_waits_for_a_worker_is_woken_when_one_is_free() -> None:
    sharing, got = FairShare(lambda: 1), threading.Event()
    with sharing.joined(lambda: 0) as a, sharing.joined(lambda: 0) as b:
        assert a.take()

        def wait() -> None:
            assert b.take(60)
            got.set()

        thread = threading.Thread(target=wait)
        thread.start()
        assert not got.wait(0.1)
        a.give_back()
        assert got.wait(60)
        thread.join()


class _Recording(InlineEngine):
    """Says whose shards it makes, in order; begins once `begin_after` runs are there."""

    def __init__(self, begin_after: int) -> None:
        super().__init__()
        self.made: list[str] = []
        self._barrier = threading.Barrier(begin_after)

    def run_shards(
        self,
        plans: Iterable[ShardPlan],
        root: Location,
        on_commit: Callable[[Commit], None],
        should_stop: Callable[[], bool],
        priority: Callable[[], int] = lambda: 0,
    ) -> bool:
        def record(commit: Commit) -> None:
            self.made.append(Path(root).name)
            on_commit(commit)

        self._barrier.wait(60)
        return super().run_shards(plans, root, record, should_stop, priority)


def _end(jobs: list[Job]) -> None:
    """Waits until they have succeeded."""
    deadline = time.monotonic() + 240
    while any(job.is_active for job in jobs):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert [job.state for job in jobs] == ["succeeded"] * len(jobs)


def _made(data: Path, engine: _Recording, *jobs: tuple[TrajectoryRequest, int | None]) -> list[str]:
    queue = JobQueue(data, engine)
    queue.start()
    try:
        submitted = [queue.submit(request, priority=priority)[0] for request, priority in jobs]
        _end(submitted)
    finally:
        queue.stop()
    return engine.made


def test_a_short_job_does_not_wait_for_a_long_one(tmp_path: Path) -> None:
    made = _made(tmp_path, _Recording(2), (LONG, None), (SHORT, None))
    short = [place for place, name in enumerate(made) if name == SHORT.dataset_id]
    assert len(made) == 43
    # One of each in turn; who is there first may have two before the other one asks.
    assert short[-1] <= 8


def test_a_job_of_higher_priority_goes_before_the_others(tmp_path: Path) -> None:
    made = _made(tmp_path, _Recording(2), (SHORT, None), (LONG, 5))
    short = [place for place, name in enumerate(made) if name == SHORT.dataset_id]
    # All but what was begun before it was there.
    assert short[-2] >= 40


def test_of_jobs_that_wait_the_one_of_higher_priority_begins_first(tmp_path: Path) -> None:
    engine = _Recording(1)
    queue = JobQueue(tmp_path, engine, max_running=1)
    requests = [TrajectoryRequest.parse({"robot": "panda", "count": 1, "seed": seed}) for seed in range(4)]
    jobs = [queue.submit(one, priority=rank)[0] for one, rank in zip(requests, (0, 3, 3, None), strict=True)]
    queue.start()
    try:
        _end(jobs)
    finally:
        queue.stop()
    # Of the same priority, in the order in which they came.
    assert engine.made == [jobs[place].id for place in (1, 2, 0, 3)]


def test_a_priority_is_no_part_of_the_job_and_is_kept(tmp_path: Path) -> None:
    queue = JobQueue(tmp_path, InlineEngine())
    job, _ = queue.submit(SHORT, priority=7)
    assert (job.id, job.priority) == (SHORT.dataset_id, 7)
    again = JobQueue(tmp_path, InlineEngine())
    assert again.job(job.id).priority == 7
    same, _ = again.submit(SHORT)
    assert same.priority == 7
    same, _ = again.submit(SHORT, priority=-3)
    assert JobQueue(tmp_path, InlineEngine()).job(job.id).priority == same.priority == -3


def test_a_shards_task_does_not_carry_the_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    poses = [{"position": [0.4, 0.01 * n, 0.4], "quat_xyzw": [1.0, 0.0, 0.0, 0.0]} for n in range(30)]
    body = {"robot": "panda", "count": 4, "shard_rows": 2, "workspace": {"kind": "poses", "poses": poses}}
    request, sent = TrajectoryRequest.parse(body), []
    give = Child.give

    def recorded(child: Child, message: Any) -> None:
        sent.append(len(ForkingPickler.dumps(message)))
        give(child, message)

    monkeypatch.setattr(Child, "give", recorded)
    engine = ProcessEngine(1)
    try:
        assert make_dataset(request, begin(request, tmp_path / "d"), engine)
    finally:
        engine.close()
    assert len(sent) == 2
    assert max(sent) < 400 < len(ForkingPickler.dumps(request))
