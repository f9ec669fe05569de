import asyncio
import shutil
import threading
from collections.abc import Callable, Generator
from pathlib import Path

import anyio
import psutil
import pyarrow as pa
import pytest

from services.api import shared_shards as reading
from services.api.shared_shards import FellBehindError, Reading, Readings
from services.api.stream import arrow_stream
from services.jobs import Job
from services.jobs.dataset_root import open_dataset_root
from services.jobs.store import stored_job
from shared.dataset import Dataset
from shared.errors import CorruptShardError
from shared.manifest import Commit

THREADS = 2
# Of a shard, with a row each.
BATCHES = 20
KEPT = 8
Messages = Callable[[Job, Commit], Generator[bytes, None, None]]


@pytest.fixture
def job(reference: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    monkeypatch.setattr(reading, "_BATCH_BYTES", 1)
    shutil.copytree(reference.root, tmp_path / reference.header.dataset_id)
    return stored_job(open_dataset_root(tmp_path, 0), reference.header.dataset_id)


async def whole(reader: Reading) -> list[bytes]:
    messages: list[bytes] = []
    while message := await reader.message(len(messages)):
        messages.append(message)
    return messages


def rows(job: Job, messages: list[bytes]) -> pa.Table:
    schema = job.dataset.read_shard(job.dataset.commits()[0]).schema
    return pa.Table.from_batches([pa.ipc.read_record_batch(pa.py_buffer(one), schema) for one in messages], schema)


async def alone(job: Job, commit: Commit) -> list[bytes]:
    with Readings(anyio.CapacityLimiter(THREADS)).alone(job, commit) as reader:
        return await whole(reader)


@pytest.fixture
def decodings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The shards whose decoding began, in order."""
    begun: list[int] = []
    messages: Messages = reading._messages

    def counted(job: Job, commit: Commit) -> Generator[bytes, None, None]:
        begun.append(commit.index)
        yield from messages(job, commit)

    monkeypatch.setattr(reading, "_messages", counted)
    return begun


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Until it is set, nothing is decoded."""
    opened = threading.Event()
    messages: Messages = reading._messages

    def gated(job: Job, commit: Commit) -> Generator[bytes, None, None]:
        assert opened.wait(60)
        yield from messages(job, commit)

    monkeypatch.setattr(reading, "_messages", gated)
    return opened


def open_files() -> int:
    return len(psutil.Process().open_files())


def test_streams_that_read_along_get_what_one_alone_gets(job: Job) -> None:
    commit = job.dataset.commits()[0]

    async def run() -> list[list[bytes]]:
        readings = Readings(anyio.CapacityLimiter(THREADS))
        got: list[list[bytes]] = [[] for _ in range(5)]

        async def follow(index: int) -> None:
            with readings.join(job, commit) as reader:
                got[index] = await whole(reader)

        async with anyio.create_task_group() as group:
            for index in range(len(got)):
                group.start_soon(follow, index)
        with readings.alone(job, commit) as reader:
            return [await whole(reader), *got]

    alone, *along = anyio.run(run)
    assert len(alone) == BATCHES
    assert all(messages == alone for messages in along)
    assert rows(job, alone).equals(job.dataset.read_shard(commit))


def test_one_that_falls_behind_is_told_so_and_nothing_is_skipped(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, *_ = job.dataset.commits()
    last = anyio.run(alone, job, first)[-KEPT:]
    monkeypatch.setattr(reading, "_KEPT_BYTES", sum(map(len, last)))

    async def run() -> None:
        readings = Readings(anyio.CapacityLimiter(THREADS))
        with (
            readings.join(job, first) as reader,
            readings.join(job, first) as same,
            readings.join(job, second) as other,
        ):
            assert reader is same
            assert reader is not other
            message = await reader.message(0)
            await whole(reader)
            # The last of them and the end are still there, whoever asks again.
            kept = [await reader.message(BATCHES - index) for index in range(KEPT + 1)]
            assert kept == [b"", *reversed(last)]
            with pytest.raises(FellBehindError):
                await reader.message(BATCHES - KEPT - 1)
        with readings.alone(job, first) as reader:
            assert await reader.message(0) == message

    anyio.run(run)


def test_a_damaged_shard_ends_no_stream_as_if_it_were_whole(job: Job) -> None:
    commit = job.dataset.commits()[0]
    path = job.dataset.shard_path(0)
    path.write_bytes(path.read_bytes()[:-1])

    async def run() -> None:
        readings = Readings(anyio.CapacityLimiter(THREADS))
        with readings.join(job, commit) as reader:
            with pytest.raises(CorruptShardError):
                await reader.message(0)
            # For another that joined it; by itself it meets the damage.
            with pytest.raises(FellBehindError):
                await reader.message(0)
            with readings.alone(job, commit) as alone, pytest.raises(CorruptShardError):
                await alone.message(0)

    anyio.run(run)


def test_its_file_is_closed_with_the_last_that_reads(job: Job) -> None:
    commit = job.dataset.commits()[0]

    async def run() -> None:
        readings = Readings(anyio.CapacityLimiter(THREADS))
        before = open_files()
        with readings.join(job, commit) as one:
            with readings.join(job, commit):
                await one.message(0)
                assert open_files() == before + 1
            await one.message(1)
            assert open_files() == before + 1
        assert open_files() == before

    anyio.run(run)


def test_of_batches_larger_than_what_is_kept_the_newest_is(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = job.dataset.commits()[0]
    expected = anyio.run(alone, job, commit)
    monkeypatch.setattr(reading, "_KEPT_BYTES", 1)

    async def run() -> None:
        readings = Readings(anyio.CapacityLimiter(THREADS))
        with readings.join(job, commit) as one, readings.join(job, commit) as other:
            for index in range(BATCHES):
                assert await one.message(index) == await other.message(index) == expected[index]
            assert await one.message(BATCHES) == b""
            assert await other.message(BATCHES - 1) == expected[-1]
            with pytest.raises(FellBehindError):
                await other.message(BATCHES - 2)

    anyio.run(run)


def test_a_stalled_stream_costs_the_others_one_decoding(
    job: Job, decodings: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_KEPT_BYTES", 1)
    after = job.dataset.header.shards - 2

    async def run() -> None:
        readings = Readings(anyio.CapacityLimiter(THREADS))
        stalled = arrow_stream(job, after + 1, readings)
        # The schema, and the first batch.
        got = [await anext(stalled), await anext(stalled)]
        along = [[part async for part in arrow_stream(job, after + 1, readings)] for _ in range(2)]
        assert decodings == [after + 1] * 2
        # Two that came later go along with one another, however far apart threads let them come.
        monkeypatch.setattr(reading, "_KEPT_BYTES", 1 << 20)
        both: list[list[bytes]] = [[], []]

        async def follow(index: int) -> None:
            both[index] = [part async for part in arrow_stream(job, after + 1, readings)]

        async with anyio.create_task_group() as group:
            group.start_soon(follow, 0)
            group.start_soon(follow, 1)
        assert decodings == [after + 1] * 3
        # It goes on by itself, and leaves what it had shared.
        assert [*got, *[part async for part in stalled]] == along[0] == along[1] == both[0] == both[1]
        assert decodings == [after + 1] * 4
        assert not readings._shared

    before = open_files()
    anyio.run(run)
    assert open_files() == before


def test_streams_that_wait_for_one_batch_take_one_thread(job: Job, gate: threading.Event) -> None:
    first, second, *_ = job.dataset.commits()

    async def run() -> None:
        threads = anyio.CapacityLimiter(THREADS)
        readings = Readings(threads)

        async def follow(commit: Commit) -> None:
            with readings.join(job, commit) as reader:
                assert len(await whole(reader)) == BATCHES

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(follow, first)
            await anyio.wait_all_tasks_blocked()
            assert threads.borrowed_tokens == 1
            group.start_soon(follow, second)
            await anyio.wait_all_tasks_blocked()
            assert threads.borrowed_tokens == 2
            gate.set()

    anyio.run(run)


def test_what_is_decoded_for_one_that_is_cancelled_is_there_for_the_others(job: Job, gate: threading.Event) -> None:
    commit = job.dataset.commits()[0]

    async def run() -> list[bytes]:
        readings = Readings(anyio.CapacityLimiter(THREADS))
        with readings.join(job, commit) as reader:
            # As a server cancels that stops: at once, while the thread goes on.
            leaving = asyncio.create_task(whole(reader))
            await anyio.wait_all_tasks_blocked()
            staying = asyncio.create_task(whole(reader))
            await anyio.wait_all_tasks_blocked()
            leaving.cancel()
            await asyncio.wait([leaving])
            assert leaving.cancelled()
            gate.set()
            return await staying

    assert len(anyio.run(run)) == BATCHES
