import json
import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headstart_client.data.object_store import ObjectStorage
from services.engine import Engine, InlineEngine, ProcessEngine
from services.jobs import (
    IdempotencyError,
    Job,
    JobQueue,
    JobStateError,
    QueueFullError,
    StorageError,
    Tally,
    UnknownJobError,
    begin,
    generate,
    make_dataset,
)
from services.synthesis import GENERATOR_VERSION
from services.synthesis.pipeline import ShardPlan
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.dataset import Dataset
from shared.errors import EngineError, GeneratorVersionError, SynthesisError
from shared.manifest import Commit
from shared.storage import Location
from tests.services.example import LONG_BODY, REQUEST, child_processes, contents

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
def _queue(data: Location, engine: Engine, **limits: Any) -> Iterator[JobQueue]:
    # What is tested of one job after another, is of one at a time; unless a test says otherwise.
    queue = JobQueue(data, engine, **{"max_running": 1, **limits})
    queue.start()
    try:
        yield queue
    finally:
        queue.stop()


def _until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _ends(job: Job) -> None:
    _until(lambda: not job.is_active)


def test_a_job_runs_to_its_seal_and_counts_what_is_on_disk(tmp_path: Path, reference: Dataset) -> None:
    with _queue(tmp_path, InlineEngine()) as queue:
        job, active = queue.submit(REQUEST)
        assert active
        assert job.id == REQUEST.dataset_id
        _ends(job)
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
    with _queue(tmp_path, engine) as queue:
        job, _ = queue.submit(REQUEST)
        later, _ = queue.submit(OTHER)
        engine.step(5)
        _until(lambda: job.progress.shards_committed == 5)
        assert (job.state, later.state) == ("running", "queued")
    before = Dataset(tmp_path / job.id)
    assert before.state().state == "growing"
    files = {path: path.stat().st_mtime_ns for path in (before.root / "shards").iterdir()}
    assert len(files) in (5, 6)
    with _queue(tmp_path, InlineEngine()) as queue:
        again, last = queue.job(job.id), queue.job(later.id)
        assert again.created_at == job.created_at
        _ends(again)
        _ends(last)
        assert (again.state, last.state) == ("succeeded", "succeeded")
    assert contents(Dataset(tmp_path / job.id)) == contents(reference)
    assert {path: path.stat().st_mtime_ns for path in files} == files


def test_cancelling_a_running_job_is_quick_and_resubmitting_goes_on(tmp_path: Path) -> None:
    with _queue(tmp_path, ProcessEngine(1)) as queue:
        job, _ = queue.submit(LONG)
        waiting, _ = queue.submit(OTHER)
        _until(lambda: job.state == "running")
        begun = time.monotonic()
        assert queue.cancel(job.id).state in ("cancelling", "cancelled")
        # On disk at once, so that a crash now does not bring it back.
        assert Dataset(tmp_path / job.id).state().state == "cancelled"
        _until(lambda: job.state == "cancelled", 2)
        assert time.monotonic() - begun < 2
        assert queue.cancel(job.id).state == "cancelled"
        _ends(waiting)
        again, active = queue.submit(LONG)
        assert active
        assert again.created_at == job.created_at
        _until(lambda: again.state == "running")
        assert Dataset(tmp_path / job.id).state().state == "growing"
        with pytest.raises(JobStateError, match="has succeeded already"):
            queue.cancel(waiting.id)


def test_a_job_that_is_being_cancelled_is_not_begun_again_yet(tmp_path: Path) -> None:
    engine = StubbornEngine()
    with _queue(tmp_path, engine) as queue:
        job, _ = queue.submit(REQUEST)
        _until(lambda: job.state == "running")
        assert queue.cancel(job.id).state == queue.cancel(job.id).state == "cancelling"
        with pytest.raises(JobStateError, match="being cancelled"):
            queue.submit(REQUEST)
        with pytest.raises(JobStateError, match="is cancelling"):
            queue.delete(job.id)
        engine.may_stop.set()
        _ends(job)
        assert job.state == "cancelled"


def test_a_queued_job_is_cancelled_without_a_trace_of_work(tmp_path: Path) -> None:
    with _queue(tmp_path, GatedEngine()) as queue:
        queue.submit(REQUEST)
        job, _ = queue.submit(OTHER)
        assert queue.cancel(job.id).state == "cancelled"
    with _queue(tmp_path, InlineEngine()) as queue:
        assert queue.job(job.id).state == "cancelled"
        assert queue.job(job.id).progress.shards_committed == 0


def test_an_impossible_request_fails_with_its_counts_and_others_go_on(tmp_path: Path) -> None:
    box = {"kind": "box", "min": [3, 3, 3], "max": [4, 4, 4]}
    impossible = TrajectoryRequest.parse({"robot": "panda", "count": 4, "workspace": box})
    with _queue(tmp_path, InlineEngine()) as queue:
        job, _ = queue.submit(impossible)
        other, _ = queue.submit(OTHER)
        _ends(other)
        assert (job.state, other.state) == ("failed", "succeeded")
        assert "unreachable" in job.reason
    state = Dataset(tmp_path / job.id).state()
    assert (state.state, state.reason) == ("failed", job.reason)


def test_a_folder_that_stops_being_writable_fails_the_job_and_keeps_its_shards(
    tmp_path: Path, reference: Dataset
) -> None:
    engine = GatedEngine()
    with _queue(tmp_path, engine) as queue:
        job, _ = queue.submit(REQUEST)
        engine.step(3)
        _until(lambda: job.progress.shards_committed == 3)
        shards = tmp_path / job.id / "shards"
        shards.rename(tmp_path / "aside")
        shards.write_text("in the way")
        engine.step(9)
        _ends(job)
        assert job.state == "failed"
        assert job.reason.startswith("Not a directory: ")
        assert "goes on where this one stopped" in job.reason
        shards.unlink()
        (tmp_path / "aside").rename(shards)
        dataset = Dataset(tmp_path / job.id)
        assert [dataset.read_shard(commit).num_rows for commit in dataset.commits()] == [20, 20, 20]
        again, _ = queue.submit(REQUEST)
        engine.step(9)
        _ends(again)
        assert again.state == "succeeded"
    assert contents(dataset) == contents(reference)


def test_data_that_is_gone_fails_its_job_and_no_other(tmp_path: Path) -> None:
    engine = GatedEngine()
    with _queue(tmp_path, engine) as queue:
        job, _ = queue.submit(REQUEST)
        other, _ = queue.submit(OTHER)
        engine.step(1)
        _until(lambda: job.progress.shards_committed == 1)
        dataset = job.dataset
        (tmp_path / job.id).rename(tmp_path / "gone")
        engine.step(2)
        _ends(other)
        assert (job.state, other.state) == ("failed", "succeeded")
        assert "no dataset.json here" in job.reason
        # The same one all the time: what remembers commits is gone with the making.
        assert job.dataset is dataset
        (tmp_path / "gone").rename(tmp_path / job.id)
        again, _ = queue.submit(REQUEST)
        engine.step(11)
        _ends(again)
        assert again.state == "succeeded"


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_job_is_stopped_also_where_that_can_not_be_stored(tmp_path: Path, state: str) -> None:
    with _queue(tmp_path, GatedEngine()) as queue:
        if state == "queued":
            queue.submit(OTHER)
        job, _ = queue.submit(REQUEST)
        _until(lambda: job.state == state)
        parts = tmp_path / job.id / ".tmp"
        parts.rename(tmp_path / "aside")
        parts.write_text("in the way")
        with pytest.raises(StorageError, match="is stopped, but that can't be stored: Not a directory; mend that and"):
            queue.cancel(job.id)
        _ends(job)
        assert job.state == "cancelled"
        # It would go on, and can still be kept from it.
        assert Dataset(tmp_path / job.id).state().state == "growing"
        parts.unlink()
        (tmp_path / "aside").rename(parts)
        assert queue.cancel(job.id).state == "cancelled"
        assert Dataset(tmp_path / job.id).state().state == "cancelled"


def test_a_dataset_that_can_not_be_deleted_is_looked_at_again(tmp_path: Path) -> None:
    with _queue(tmp_path, InlineEngine()) as queue:
        job, _ = queue.submit(OTHER)
        _ends(job)
        (tmp_path / ".trash").write_text("in the way")
        with pytest.raises(StorageError, match="can't be deleted"):
            queue.delete(job.id)
        assert queue.job(job.id).state == "succeeded"
        (tmp_path / job.id).rename(tmp_path / "gone")
        with pytest.raises(StorageError, match="can't be deleted"):
            queue.delete(job.id)
        assert queue.job(job.id).state == "failed"
        assert "can't be deleted" in queue.job(job.id).reason


@contextmanager
def _paused_store() -> Iterator[None]:
    """The object server answers nothing for the time of a block."""
    (server,) = child_processes("-s3.port=")
    server.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.send_signal(signal.SIGCONT)


def test_calls_that_wait_for_a_store_hold_up_no_others(bucket_uri: str, tmp_path: Path) -> None:
    engine = GatedEngine()
    with _queue(bucket_uri, engine, state=tmp_path) as queue, ThreadPoolExecutor() as calls:
        done, _ = queue.submit(OTHER)
        engine.step(1)
        _ends(done)
        running, _ = queue.submit(REQUEST)
        _until(lambda: running.state == "running")
        queued, _ = queue.submit(LONG)
        with _paused_store():
            deleting = calls.submit(queue.delete, done.id)
            _until(lambda: done not in queue.jobs())
            with pytest.raises(JobStateError, match="being deleted"):
                queue.submit(OTHER)
            assert queue.submit(REQUEST) == (running, True)
            cancelling = [calls.submit(queue.cancel, job.id) for job in (queued, running)]
            _until(lambda: queued.state == running.state == "cancelling")
            assert not deleting.done()
        deleting.result(60)
        assert [call.result(60).id for call in cancelling] == [queued.id, running.id]
        _ends(running)
        assert (queued.state, running.state) == ("cancelled", "cancelled")
        assert queue.submit(OTHER)[1]
    with _queue(bucket_uri, GatedEngine(), state=tmp_path) as queue:
        states = {job.id: job.state for job in queue.jobs()}
        assert states[queued.id] == states[running.id] == "cancelled"


def test_a_deletion_cut_short_brings_no_job_back(bucket_uri: str, tmp_path: Path) -> None:
    with _queue(bucket_uri, GatedEngine(), state=tmp_path) as queue:
        job, _ = queue.submit(REQUEST)
        queue.cancel(job.id)
        _ends(job)
        # As a service leaves it that is killed before the last object goes.
        ObjectStorage(bucket_uri).remove(name for name in ObjectStorage(bucket_uri).paths() if "manifest" not in name)
    with _queue(bucket_uri, GatedEngine(), state=tmp_path) as queue:
        assert queue.jobs() == []
        assert queue.submit(REQUEST)[1]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root can make a disk of its own")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_fails_the_job_and_leaves_whole_shards(small_disk: Path, reference: Dataset) -> None:
    def remount(options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", str(small_disk)], check=True)

    dataset = begin(REQUEST, small_disk / REQUEST.dataset_id)
    with pytest.raises(OSError, match="No space left on device"):
        make_dataset(REQUEST, dataset, InlineEngine())
    whole = Dataset(dataset.root).commits()
    assert 1 <= len(whole) < 12
    assert [dataset.read_shard(commit).num_rows for commit in whole] == [20] * len(whole)
    # Room, but nothing can be written.
    with _queue(small_disk, GatedEngine()) as queue:
        remount("size=8m,ro")
        with pytest.raises(StorageError, match="Read-only file system"):
            queue.submit(OTHER)
        remount("size=8m,rw")
    with _queue(small_disk, InlineEngine()) as queue:
        again, _ = queue.submit(REQUEST)
        _ends(again)
        assert again.state == "succeeded"
    assert contents(dataset) == contents(reference)


def test_a_job_stops_before_it_uses_up_the_disk(small_disk: Path) -> None:
    with _queue(small_disk, InlineEngine(), min_free_bytes=1 << 18) as queue:
        job, _ = queue.submit(REQUEST)
        _ends(job)
        assert job.state == "failed"
        assert "MiB more are needed" in job.reason
        assert Dataset(small_disk / job.id).state().reason == job.reason
        # After its first shard, which says how large the others will be.
        assert job.progress.shards_committed == 1
        with pytest.raises(StorageError, match="MiB more are needed"):
            queue.submit(REQUEST)


def test_files_that_can_not_grow_fail_the_job_too(tmp_path: Path) -> None:
    """As on a full disk, where no disk can be made: the system refuses to write beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with _queue(tmp_path, InlineEngine()) as queue:
            job, _ = queue.submit(REQUEST)
            _ends(job)
            assert job.state == "failed"
            assert job.reason.startswith("File too large: ")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with _queue(tmp_path, InlineEngine()) as queue:
        again, _ = queue.submit(REQUEST)
        _ends(again)
        assert again.state == "succeeded"


def test_a_bug_in_an_engine_fails_the_job_on_disk_too(tmp_path: Path) -> None:
    class Broken(InlineEngine):
        def run_shards(self, *_: Any) -> bool:
            raise ZeroDivisionError("oops")

    with _queue(tmp_path, Broken()) as queue:
        job, _ = queue.submit(REQUEST)
        _ends(job)
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
    with _queue(tmp_path, engine) as queue:
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
    with _queue(tmp_path, engine) as queue:
        _until(lambda: queue.engine_problem == "no workers here")
        job, _ = queue.submit(OTHER)
        _ends(job)
        assert job.state == "succeeded"
        assert queue.engine_problem == ""


def test_another_generator_version_is_never_resumed(tmp_path: Path) -> None:
    dataset = begin(REQUEST, tmp_path / REQUEST.dataset_id)
    path = dataset.root / "dataset.json"
    before = path.read_text()
    path.write_text(before.replace(f'"generator_version": {GENERATOR_VERSION}', '"generator_version": 0'))
    with _queue(tmp_path, InlineEngine()) as queue:
        job = queue.job(REQUEST.dataset_id)
        _ends(job)
        assert job.state == "failed"
        assert f"begun by generator_version 0, this release is {GENERATOR_VERSION}" in job.reason
    # Nothing was touched: the release that began it can still finish it.
    assert Dataset(dataset.root).state().state == "growing"
    other = tmp_path / "other"
    begin(REQUEST, other)
    changed = json.loads((other / "dataset.json").read_text()) | {"generator_version": 0, "dataset_id": "0" * 64}
    (other / "dataset.json").write_text(json.dumps(changed))
    with pytest.raises(GeneratorVersionError, match=f"generator_version 0, this release is {GENERATOR_VERSION}"):
        begin(REQUEST, other)


def test_limits_and_keys(tmp_path: Path) -> None:
    with _queue(tmp_path, GatedEngine(), max_queued=1) as queue:
        job, _ = queue.submit(REQUEST, "key-1")
        _until(lambda: job.state == "running")
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
    with _queue(tmp_path, GatedEngine()) as queue, pytest.raises(IdempotencyError):
        queue.submit(OTHER, "key-1")
    full = JobQueue(tmp_path / "full", InlineEngine(), min_free_bytes=1 << 60)
    with pytest.raises(StorageError, match="MiB are required; free some space"):
        full.submit(OTHER)
    assert not (tmp_path / "full" / OTHER.dataset_id).exists()


def test_what_is_not_a_dataset_is_passed_over(tmp_path: Path) -> None:
    for name, text in (("a" * 64, "{}"), ("b" * 64, "not json"), ("notes", "{}")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "dataset.json").write_text(text)
    for seed, damage in ((1, "no commits"), (2, "manifest"), (3, "folder")):
        request = TrajectoryRequest.parse({"robot": "panda", "count": 3, "seed": seed})
        root = begin(request, tmp_path / request.dataset_id).root
        if damage == "no commits":
            (root / "commits").rmdir()
        elif damage == "manifest":
            (root / "manifest.json").write_text("{}")
        else:
            (root / "manifest.json").unlink()
            (root / "manifest.json").mkdir()
    begin(OTHER, tmp_path / OTHER.dataset_id)
    assert [job.id for job in JobQueue(tmp_path, InlineEngine()).jobs()] == [OTHER.dataset_id]


def test_old_parts_of_killed_producers_are_swept(empty: Dataset) -> None:
    import os

    old, young = empty.root / ".tmp" / "old.part", empty.root / ".tmp" / "young.part"
    for part in (old, young):
        part.write_text("half")
    os.utime(old, (1, 1))
    make_dataset(REQUEST, empty, InlineEngine())
    assert not old.exists()
    assert young.exists()


def test_failures_carry_their_counts_through_make_dataset(tmp_path: Path) -> None:
    box = {"kind": "box", "min": [3, 3, 3], "max": [4, 4, 4]}
    impossible = TrajectoryRequest.parse({"robot": "panda", "count": 4, "workspace": box})
    dataset = begin(impossible, tmp_path / "impossible")
    with pytest.raises(SynthesisError):
        make_dataset(impossible, dataset, InlineEngine())
    assert dataset.state().state == "failed"
    # Beginning it again is trying again.
    assert begin(impossible, dataset.root).state().state == "growing"


def test_a_copied_dataset_says_the_same_of_itself(tmp_path: Path) -> None:
    with _queue(tmp_path / "first", InlineEngine()) as queue:
        job, _ = queue.submit(OTHER)
        _ends(job)
    for path in sorted((tmp_path / "first").rglob("*")):
        copy = tmp_path / "second" / path.relative_to(tmp_path / "first")
        # As `cp -r` does it: with times of its own.
        if path.is_dir():
            copy.mkdir(parents=True)
        else:
            copy.write_bytes(path.read_bytes())
            os.utime(copy, (1e9, 1e9))
    with _queue(tmp_path / "second", InlineEngine()) as queue:
        (other,) = queue.jobs()
        assert (other.id, other.created_at, other.state, other.reason) == (job.id, job.created_at, "succeeded", "")
        assert other.dataset.header.to_json() == job.dataset.header.to_json()
        assert other.progress == replace(job.progress, rows_per_s=None, remaining_s=None)
        assert other.dataset.state() == job.dataset.state()


def test_a_dataset_under_another_name_is_no_job(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with _queue(tmp_path, InlineEngine()) as queue:
        job, _ = queue.submit(OTHER)
        _ends(job)
    (tmp_path / job.id).rename(tmp_path / ("b" * 64))
    with _queue(tmp_path, InlineEngine()) as queue:
        assert queue.jobs() == []
    assert f"{'b' * 64} is dataset {job.id}, so that is what its folder must be called" in caplog.text


def test_generate_goes_on_where_it_was_stopped_and_seals(tmp_path: Path, reference: Dataset) -> None:
    done: list[int] = []

    class StoppedError(Exception):
        pass

    def stop(tally: Tally, commit: Commit | None) -> None:
        if commit is not None and commit.index == 4:
            raise StoppedError

    def count(tally: Tally, commit: Commit | None) -> None:
        done.append(tally.progress.shards_committed)

    folder = tmp_path / "dataset"
    with pytest.raises(StoppedError):
        generate(REQUEST, folder, InlineEngine(), stop)
    dataset = generate(REQUEST, folder, InlineEngine(), count)
    assert done == list(range(5, 13))
    assert dataset.state().state == "sealed"
    assert contents(dataset) == contents(reference)
    generate(REQUEST, folder, InlineEngine(), count)
    assert done == list(range(5, 13))
