"""Jobs whose disk or store fails: full, gone, read-only or away."""

import resource
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from headstart_client.data.object_store import ObjectStorage
from services.engine import InlineEngine
from services.jobs import (
    JobStateError,
    StorageError,
    begin,
    make_dataset,
)
from shared.dataset import Dataset
from tests.services.example import REQUEST, child_processes, contents
from tests.services.queueing import LONG, OTHER, GatedEngine, ends, job_queue, until


def test_a_folder_that_stops_being_writable_fails_the_job_and_keeps_its_shards(
    tmp_path: Path, reference: Dataset
) -> None:
    engine = GatedEngine()
    with job_queue(tmp_path, engine) as queue:
        job, _ = queue.submit(REQUEST)
        engine.step(3)
        until(lambda: job.progress.shards_committed == 3)
        shards = tmp_path / job.id / "shards"
        shards.rename(tmp_path / "aside")
        shards.write_text("in the way")
        engine.step(9)
        ends(job)
        assert job.state == "failed"
        assert job.reason.startswith("Not a directory: ")
        assert "goes on where this one stopped" in job.reason
        shards.unlink()
        (tmp_path / "aside").rename(shards)
        dataset = Dataset(tmp_path / job.id)
        assert [dataset.read_shard(commit).num_rows for commit in dataset.commits()] == [20, 20, 20]
        again, _ = queue.submit(REQUEST)
        engine.step(9)
        ends(again)
        assert again.state == "succeeded"
    assert contents(dataset) == contents(reference)


def test_data_that_is_gone_fails_its_job_and_no_other(tmp_path: Path) -> None:
    engine = GatedEngine()
    with job_queue(tmp_path, engine) as queue:
        job, _ = queue.submit(REQUEST)
        other, _ = queue.submit(OTHER)
        engine.step(1)
        until(lambda: job.progress.shards_committed == 1)
        dataset = job.dataset
        (tmp_path / job.id).rename(tmp_path / "gone")
        engine.step(2)
        ends(other)
        assert (job.state, other.state) == ("failed", "succeeded")
        assert "no dataset.json here" in job.reason
        # The same one all the time: what remembers commits is gone with the making.
        assert job.dataset is dataset
        (tmp_path / "gone").rename(tmp_path / job.id)
        again, _ = queue.submit(REQUEST)
        engine.step(11)
        ends(again)
        assert again.state == "succeeded"


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_job_is_stopped_also_where_that_can_not_be_stored(tmp_path: Path, state: str) -> None:
    with job_queue(tmp_path, GatedEngine()) as queue:
        if state == "queued":
            queue.submit(OTHER)
        job, _ = queue.submit(REQUEST)
        until(lambda: job.state == state)
        parts = tmp_path / job.id / ".tmp"
        parts.rename(tmp_path / "aside")
        parts.write_text("in the way")
        with pytest.raises(StorageError, match="is stopped, but that can't be stored: Not a directory; mend that and"):
            queue.cancel(job.id)
        ends(job)
        assert job.state == "cancelled"
        # It would go on, and can still be kept from it.
        assert Dataset(tmp_path / job.id).state().state == "growing"
        parts.unlink()
        (tmp_path / "aside").rename(parts)
        assert queue.cancel(job.id).state == "cancelled"
        assert Dataset(tmp_path / job.id).state().state == "cancelled"


def test_a_dataset_that_can_not_be_deleted_is_looked_at_again(tmp_path: Path) -> None:
    with job_queue(tmp_path, InlineEngine()) as queue:
        job, _ = queue.submit(OTHER)
        ends(job)
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
    with job_queue(bucket_uri, engine, state=tmp_path) as queue, ThreadPoolExecutor() as calls:
        done, _ = queue.submit(OTHER)
        engine.step(1)
        ends(done)
        running, _ = queue.submit(REQUEST)
        until(lambda: running.state == "running")
        queued, _ = queue.submit(LONG)
        with _paused_store():
            deleting = calls.submit(queue.delete, done.id)
            until(lambda: done not in queue.jobs())
            with pytest.raises(JobStateError, match="being deleted"):
                queue.submit(OTHER)
            assert queue.submit(REQUEST) == (running, True)
            cancelling = [calls.submit(queue.cancel, job.id) for job in (queued, running)]
            until(lambda: queued.state == running.state == "cancelling")
            assert not deleting.done()
        deleting.result(60)
        assert [call.result(60).id for call in cancelling] == [queued.id, running.id]
        ends(running)
        assert (queued.state, running.state) == ("cancelled", "cancelled")
        assert queue.submit(OTHER)[1]
    with job_queue(bucket_uri, GatedEngine(), state=tmp_path) as queue:
        states = {job.id: job.state for job in queue.jobs()}
        assert states[queued.id] == states[running.id] == "cancelled"


def test_a_deletion_cut_short_brings_no_job_back(bucket_uri: str, tmp_path: Path) -> None:
    with job_queue(bucket_uri, GatedEngine(), state=tmp_path) as queue:
        job, _ = queue.submit(REQUEST)
        queue.cancel(job.id)
        ends(job)
        # As a service leaves it that is killed before the last object goes.
        ObjectStorage(bucket_uri).remove(name for name in ObjectStorage(bucket_uri).paths() if "manifest" not in name)
    with job_queue(bucket_uri, GatedEngine(), state=tmp_path) as queue:
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
    with job_queue(small_disk, GatedEngine()) as queue:
        remount("size=8m,ro")
        with pytest.raises(StorageError, match="Read-only file system"):
            queue.submit(OTHER)
        remount("size=8m,rw")
    with job_queue(small_disk, InlineEngine()) as queue:
        again, _ = queue.submit(REQUEST)
        ends(again)
        assert again.state == "succeeded"
    assert contents(dataset) == contents(reference)


def test_a_job_stops_before_it_uses_up_the_disk(small_disk: Path) -> None:
    with job_queue(small_disk, InlineEngine(), min_free_bytes=1 << 18) as queue:
        job, _ = queue.submit(REQUEST)
        ends(job)
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
        with job_queue(tmp_path, InlineEngine()) as queue:
            job, _ = queue.submit(REQUEST)
            ends(job)
            assert job.state == "failed"
            assert job.reason.startswith("File too large: ")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with job_queue(tmp_path, InlineEngine()) as queue:
        again, _ = queue.submit(REQUEST)
        ends(again)
        assert again.state == "succeeded"
