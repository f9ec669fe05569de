"""A job from its submission to its end: its turn, its cancellation, limits, engines that fail."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.engine import InlineEngine, ProcessEngine
from services.jobs import (
    IdempotencyError,
    JobQueue,
    JobStateError,
    QueueFullError,
    StorageError,
    UnknownJobError,
)
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.dataset import Dataset
from shared.errors import EngineError
from tests.services.example import REQUEST, contents
from tests.services.queueing import LONG, OTHER, GatedEngine, StubbornEngine, ends, job_queue, until


def test_a_job_runs_to_its_seal_and_counts_what_is_on_disk(tmp_path: Path, reference: Dataset) -> None:
    with job_queue(tmp_path, InlineEngine()) as queue:
        job, active = queue.submit(REQUEST)
        assert active
        assert job.id == REQUEST.dataset_id
        ends(job)
        assert job.state == "succeeded"
        assert queue.submit(REQUEST) == (job, False)
    dataset = Dataset(tmp_path / job.id)
    assert dataset.state().state == "sealed"
    assert contents(dataset) == contents(reference)
    commits = dataset.commits()
    progress = job.progress
    assert (progress.accepted, progress.count, progress.shards_committed, progress.shards) == (230, 230, 12, 12)
    assert progress.attempts == sum(commit.attempts for commit in commits)
    assert progress.attempts == 230 + sum(progress.rejections.values())
    assert progress.bytes == sum(path.stat().st_size for path in (dataset.root / "shards").iterdir())
    assert progress.rows_per_s is not None
    assert progress.rows_per_s > 0
    assert progress.remaining_s == 0


def test_a_stopped_service_takes_its_jobs_up_again_in_order(tmp_path: Path, reference: Dataset) -> None:
    engine = GatedEngine()
    with job_queue(tmp_path, engine) as queue:
        job, _ = queue.submit(REQUEST)
        later, _ = queue.submit(OTHER)
        engine.step(5)
        until(lambda: job.progress.shards_committed == 5)
        assert (job.state, later.state) == ("running", "queued")
    before = Dataset(tmp_path / job.id)
    assert before.state().state == "growing"
    files = {path: path.stat().st_mtime_ns for path in (before.root / "shards").iterdir()}
    assert len(files) in (5, 6)
    with job_queue(tmp_path, InlineEngine()) as queue:
        again, last = queue.job(job.id), queue.job(later.id)
        assert again.created_at == job.created_at
        ends(again)
        ends(last)
        assert (again.state, last.state) == ("succeeded", "succeeded")
    assert contents(Dataset(tmp_path / job.id)) == contents(reference)
    assert {path: path.stat().st_mtime_ns for path in files} == files


def test_cancelling_a_running_job_is_quick_and_resubmitting_goes_on(tmp_path: Path) -> None:
    with job_queue(tmp_path, ProcessEngine(1)) as queue:
        job, _ = queue.submit(LONG)
        waiting, _ = queue.submit(OTHER)
        until(lambda: job.state == "running")
        begun = time.monotonic()
        assert queue.cancel(job.id).state in ("cancelling", "cancelled")
        # On disk at once, so that a crash now does not bring it back.
        assert Dataset(tmp_path / job.id).state().state == "cancelled"
        until(lambda: job.state == "cancelled", 2)
        assert time.monotonic() - begun < 2
        assert queue.cancel(job.id).state == "cancelled"
        ends(waiting)
        again, active = queue.submit(LONG)
        assert active
        assert again.created_at == job.created_at
        until(lambda: again.state == "running")
        assert Dataset(tmp_path / job.id).state().state == "growing"
        with pytest.raises(JobStateError, match="has succeeded already"):
            queue.cancel(waiting.id)


def test_a_job_that_is_being_cancelled_is_not_begun_again_yet(tmp_path: Path) -> None:
    engine = StubbornEngine()
    with job_queue(tmp_path, engine) as queue:
        job, _ = queue.submit(REQUEST)
        until(lambda: job.state == "running")
        assert queue.cancel(job.id).state == queue.cancel(job.id).state == "cancelling"
        with pytest.raises(JobStateError, match="being cancelled"):
            queue.submit(REQUEST)
        with pytest.raises(JobStateError, match="is cancelling"):
            queue.delete(job.id)
        engine.may_stop.set()
        ends(job)
        assert job.state == "cancelled"


def test_a_queued_job_is_cancelled_without_a_trace_of_work(tmp_path: Path) -> None:
    with job_queue(tmp_path, GatedEngine()) as queue:
        queue.submit(REQUEST)
        job, _ = queue.submit(OTHER)
        assert queue.cancel(job.id).state == "cancelled"
    with job_queue(tmp_path, InlineEngine()) as queue:
        assert queue.job(job.id).state == "cancelled"
        assert queue.job(job.id).progress.shards_committed == 0


def test_an_impossible_request_fails_with_its_counts_and_others_go_on(tmp_path: Path) -> None:
    box = {"kind": "box", "min": [3, 3, 3], "max": [4, 4, 4]}
    impossible = TrajectoryRequest.parse({"robot": "panda", "count": 4, "workspace": box})
    with job_queue(tmp_path, InlineEngine()) as queue:
        job, _ = queue.submit(impossible)
        other, _ = queue.submit(OTHER)
        ends(other)
        assert (job.state, other.state) == ("failed", "succeeded")
        assert "unreachable" in job.reason
    state = Dataset(tmp_path / job.id).state()
    assert (state.state, state.reason) == ("failed", job.reason)


def test_a_bug_in_an_engine_fails_the_job_on_disk_too(tmp_path: Path) -> None:
    class Broken(InlineEngine):
        def run_shards(self, *_: Any) -> bool:
            raise ZeroDivisionError("oops")

    with job_queue(tmp_path, Broken()) as queue:
        job, _ = queue.submit(REQUEST)
        ends(job)
    assert Dataset(tmp_path / job.id).state().reason == "internal error, please report it: ZeroDivisionError: oops"


def test_a_stop_ends_the_engine_before_its_jobs(tmp_path: Path) -> None:
    # What they have in the making ends with the engine, in the time that it takes itself.
    class Lasting(InlineEngine):
        def __init__(self) -> None:
            super().__init__()
            self.begun, self.closed = threading.Event(), threading.Event()
            self.was_closed: list[bool] = []

        def run_shards(self, *_: Any) -> bool:
            self.begun.set()
            self.was_closed.append(self.closed.wait(10))
            raise EngineError("its workers are gone")

        def close(self) -> None:
            self.closed.set()

    engine = Lasting()
    with job_queue(tmp_path, engine) as queue:
        job, _ = queue.submit(REQUEST)
        assert engine.begun.wait(60)
        assert not engine.closed.is_set()
    assert engine.was_closed == [True]
    # Stopped, not failed: it goes on with the next service.
    assert Dataset(tmp_path / job.id).state().state == "growing"


def test_an_engine_that_does_not_start_is_said_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.jobs.queue._ENGINE_RETRY_S", 0.05)

    class Slow(InlineEngine):
        starts = 0

        def start(self, should_stop: Callable[[], bool] = lambda: False) -> None:
            self.starts += 1
            if self.starts < 4:
                raise EngineError("no workers here")

    engine = Slow()
    with job_queue(tmp_path, engine) as queue:
        until(lambda: queue.engine_problem == "no workers here")
        job, _ = queue.submit(OTHER)
        ends(job)
        assert job.state == "succeeded"
        assert queue.engine_problem == ""


def test_limits_and_keys(tmp_path: Path) -> None:
    with job_queue(tmp_path, GatedEngine(), max_queued=1) as queue:
        job, _ = queue.submit(REQUEST, "key-1")
        until(lambda: job.state == "running")
        assert queue.submit(REQUEST, "key-1")[0] is job
        assert queue.submit(REQUEST, "key-2")[0] is job
        with pytest.raises(IdempotencyError):
            queue.submit(OTHER, "key-1")
        queue.submit(OTHER)
        with pytest.raises(QueueFullError, match="1 jobs are waiting"):
            queue.submit(LONG)
        with pytest.raises(UnknownJobError):
            queue.job("f" * 64)
        assert not (tmp_path / LONG.dataset_id).exists()
    # Keys last.
    with job_queue(tmp_path, GatedEngine()) as queue, pytest.raises(IdempotencyError):
        queue.submit(OTHER, "key-1")
    full = JobQueue(tmp_path / "full", InlineEngine(), min_free_bytes=1 << 60)
    with pytest.raises(StorageError, match="MiB are required; free some space"):
        full.submit(OTHER)
    assert not (tmp_path / "full" / OTHER.dataset_id).exists()
