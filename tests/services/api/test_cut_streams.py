"""A stream of rows that is cut is unreadable, also once it was saved, and whoever reads it."""

import io
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import httpx
import polars
import pyarrow as pa
import pytest

from headstart_client.data.arrow_stream import record_batches
from services.api.shared_shards import Readings
from services.api.stream import arrow_stream
from services.jobs.dataset_root import open_dataset_root
from services.jobs.store import stored_job
from shared.client import Client
from shared.dataset import Dataset
from shared.errors import ServiceError
from tests.services.api.conftest import wait_until_ended
from tests.services.example import BODY, LONG_BODY, RunningService, running_service


class _Trickle(io.RawIOBase):
    """A file that gives a few bytes at a time, as a connection does."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self._content.read(min(len(buffer), 1000))
        buffer[: len(part)] = part
        return len(part)


def _polars(path: Path) -> int:
    try:
        return int(polars.read_ipc_stream(path).height)
    except polars.exceptions.PolarsError as error:
        raise OSError(str(error)) from error


READERS: dict[str, Callable[[Path], int]] = {
    "pyarrow": lambda path: int(pa.ipc.open_stream(path.read_bytes()).read_all().num_rows),
    "pyarrow, from the file": lambda path: int(pa.ipc.open_stream(pa.OSFile(str(path))).read_all().num_rows),
    "pyarrow, mapped": lambda path: int(pa.ipc.open_stream(pa.memory_map(str(path))).read_all().num_rows),
    "pyarrow, batch by batch, a few bytes at a time": lambda path: sum(
        batch.num_rows for batch in pa.ipc.open_stream(io.BufferedReader(_Trickle(path.read_bytes()), 500))
    ),
    "our client": lambda path: sum(batch.num_rows for batch in record_batches(iter([path.read_bytes()]))),
    "polars": _polars,
}
"""Each gives the rows of a stream in a file, or raises what is wrong with it."""
REFUSALS = (pa.ArrowException, OSError, ServiceError)


@pytest.fixture(params=list(READERS))
def read(request: pytest.FixtureRequest) -> Callable[[Path], int]:
    return READERS[request.param]


def test_every_part_but_the_last_ends_where_no_reader_stops(
    reference: Dataset, tmp_path: Path, read: Callable[[Path], int]
) -> None:
    (tmp_path / reference.header.dataset_id).symlink_to(reference.root)
    job = stored_job(open_dataset_root(tmp_path, 0), reference.header.dataset_id)

    async def parts(first: int) -> list[bytes]:
        return [part async for part in arrow_stream(job, first, Readings(anyio.CapacityLimiter(1)))]

    saved = tmp_path / "rows.arrow"
    for first, rows in ((0, 230), (10, 30), (12, 0)):
        got = anyio.run(parts, first)
        saved.write_bytes(b"".join(got))
        assert read(saved) == rows
        # The schema, a batch of each shard, and the end.
        assert len(got) == 12 - first + 2
        for sent in range(1, len(got)):
            saved.write_bytes(b"".join(got[:sent]))
            with pytest.raises(REFUSALS):
                read(saved)


@pytest.fixture(scope="module", params=["cancelled", "stopped", "killed"])
def cut(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What was saved of a stream that had sent all there was and waited for more when it was cut."""
    folder = tmp_path_factory.mktemp("cut")
    with running_service(folder / "data", "--engine", "process", "--workers", "1") as service:
        return _cut(service, folder / "rows.arrow", request.param)


def _cut(service: RunningService, saved: Path, how: str) -> Path:
    with httpx.Client(base_url=service.url, timeout=60, trust_env=False) as api:
        job = api.post("/v1/jobs", json={**BODY, "count": 100_000, "rate_hz": 2}).raise_for_status().json()
        while api.get(f"/v1/jobs/{job['id']}").json()["progress"]["shards_committed"] < 2:
            time.sleep(0.05)
        # The only worker makes a shard of this one for many seconds: the other job's stream runs dry.
        api.post("/v1/jobs", params={"priority": 1}, json=LONG_BODY).raise_for_status()
        failures: list[Exception] = []
        reading = threading.Thread(target=_save, args=(api, job["id"], saved, failures))
        reading.start()
        _wait_until_dry(saved)
        if how == "cancelled":
            api.post(f"/v1/jobs/{job['id']}:cancel").raise_for_status()
        elif how == "stopped":
            service.stop()
        else:
            service.kill()
        reading.join(60)
        # Not an orderly end, which would pass for the whole of it.
        assert isinstance(failures[0], httpx.RemoteProtocolError)
        return saved


def _save(api: httpx.Client, job_id: str, saved: Path, failures: list[Exception]) -> None:
    try:
        with api.stream("GET", f"/v1/jobs/{job_id}/stream") as response, saved.open("wb", buffering=0) as file:
            for part in response.iter_bytes():
                file.write(part)
    except httpx.HTTPError as error:
        failures.append(error)


def _wait_until_dry(saved: Path) -> None:
    """Until nothing more comes. Sooner on a slow machine, which leaves a cut that is only easier to see."""
    before = -1
    while before <= 0 or saved.stat().st_size != before:
        before = saved.stat().st_size if saved.exists() else 0
        time.sleep(1)


def test_a_cut_stream_is_unreadable(cut: Path, read: Callable[[Path], int]) -> None:
    assert cut.stat().st_size > 10_000
    with pytest.raises(REFUSALS):
        read(cut)


def test_our_client_says_that_it_was_cut(service: RunningService, api: httpx.Client) -> None:
    with Client(service.url) as client:
        job = client.submit({**LONG_BODY, "shard_rows": 50, "seed": 74})
        rows = client.stream(job["id"])
        assert next(rows).column("trajectory_id")[0].as_py() == 0
        client.cancel(job["id"])
        with pytest.raises(ServiceError, match="broke off"):
            for _ in rows:
                pass
    wait_until_ended(api, job["id"])
