import shutil
from pathlib import Path

import anyio
import psutil
import pyarrow as pa
import pytest

from services.api import reading
from services.api.reading import FellBehindError, Reading, Readings
from services.jobs import Job
from services.jobs.place import open_place
from services.jobs.store import stored_job
from shared.dataset import Dataset
from shared.errors import CorruptShardError

THREADS = 2
# Of a shard, with a row each.
BATCHES = 20


@pytest.fixture
def job(reference: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    monkeypatch.setattr(reading, "_BATCH_BYTES", 1)
    shutil.copytree(reference.root, tmp_path / reference.header.dataset_id)
    return stored_job(open_place(tmp_path, 0), reference.header.dataset_id)


async def whole(reader: Reading) -> list[bytes]:
    messages: list[bytes] = []
    while message := await reader.message(len(messages)):
        messages.append(message)
    return messages


def rows(job: Job, messages: list[bytes]) -> pa.Table:
    schema = job.dataset.read_shard(job.dataset.commits()[0]).schema
    return pa.Table.from_batches([pa.ipc.read_record_batch(pa.py_buffer(one), schema) for one in messages], schema)


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


def test_one_that_falls_behind_is_told_so_and_nothing_is_skipped(job: Job) -> None:
    first, second, *_ = job.dataset.commits()

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
            kept = [await reader.message(BATCHES - index) for index in range(reading._KEPT)]
            assert kept[0] == b""
            with pytest.raises(FellBehindError):
                await reader.message(BATCHES - reading._KEPT)
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
