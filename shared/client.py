"""The HTTP client of the service: submit a request, watch its job, follow and fetch its shards.

    client = Client("http://127.0.0.1:8000")
    job = client.submit({"robot": "panda", "count": 20000})
    dataset = RemoteDataset(client, job["id"], cache=Path("cache"))   # a shared.follow.ShardSource

Where a path or a job's URL may be given, `open_dataset` opens either.
"""

import copy
import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from shared.connection import Connection, Json
from shared.dataset import Dataset, verify_shard
from shared.errors import CorruptShardError, ServiceError
from shared.follow import ShardSource
from shared.manifest import Commit, DatasetHeader, DatasetState

_JOB_URL = re.compile(r"(?P<service>https?://.+?)/v1/jobs/(?P<id>[0-9a-f]{64})/?")


class Client:
    """One service, at one URL. Safe to use from several threads.

    Every call raises ServiceError, saying what to do, when the service can't be reached, asks for a key, or answers
    with a problem.
    """

    def __init__(self, url: str, api_key: str | None = None, *, timeout: float = 60.0, patience: float = 0.0) -> None:
        """Connects lazily.

        Args:
            url: of the service, without /v1.
            api_key: sent as a bearer key; by default HEADSTART_API_KEY, or the contents of HEADSTART_API_KEY_FILE.
            timeout: seconds without a byte before a call is given up.
            patience: seconds that reading calls are repeated for while the service can't be reached.
        """
        self.patience = patience
        self._connection = Connection(url, api_key, timeout)

    @property
    def url(self) -> str:
        """Of the service."""
        return self._connection.url

    def close(self) -> None:
        """Closes its connections."""
        self._connection.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def patient(self, seconds: float) -> "Client":
        """This client over the same connections, but waiting `seconds` for a service that is away."""
        other = copy.copy(self)
        other.patience = seconds
        return other

    def wait_ready(self, timeout: float = 120.0) -> None:
        """Waits until the service takes jobs. Raises ServiceError with its reasons if it does not in time."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                self._connection.json("GET", "/readyz", patience=0.0)
                return
            except ServiceError as error:
                if error.status not in (None, 503) or time.monotonic() > deadline:
                    raise
            time.sleep(0.2)

    def submit(self, request: Mapping[str, Any], idempotency_key: str | None = None) -> Json:
        """Submits a trajectory request and returns its job; the same request is always the same job."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        # Safe to repeat: an identical request is the same job.
        return self._connection.json("POST", "/v1/jobs", self.patience, json=dict(request), headers=headers)

    def job(self, job_id: str) -> Json:
        """A job: its state, progress, and why it failed if it did."""
        return self._connection.json("GET", f"/v1/jobs/{job_id}", self.patience)

    def jobs(self, state: str | None = None) -> Iterator[Json]:
        """Every job, newest first, or those in `state`."""
        params: dict[str, Any] = {"state": state} if state else {}
        while True:
            page = self._connection.json("GET", "/v1/jobs", self.patience, params=params)
            yield from page["jobs"]
            if not page["next_cursor"]:
                return
            params["cursor"] = page["next_cursor"]

    def cancel(self, job_id: str) -> Json:
        """Cancels a job that has not finished. What it has committed stays readable."""
        return self._connection.json("POST", f"/v1/jobs/{job_id}:cancel", patience=0.0)

    def manifest(self, job_id: str, after: int = -1) -> Json:
        """One page of a job's manifest: header, state, and the commits of shards beyond index `after`."""
        return self._connection.json("GET", f"/v1/jobs/{job_id}/manifest", self.patience, params={"after": after})

    def robots(self) -> list[Json]:
        """The robots the service knows, each as RobotSpec.to_json writes it."""
        return list(self._connection.json("GET", "/v1/robots", self.patience)["robots"])

    def preview(self, request: Mapping[str, Any]) -> Json:
        """Up to 64 trajectories of a request, made at once and kept nowhere."""
        return self._connection.json("POST", "/v1/preview", self.patience, json=dict(request))

    def fetch_shard(self, job_id: str, commit: Commit, folder: Path) -> Path:
        """Downloads a shard into `folder`, unless it lies there already, and checks its sha256.

        Raises:
            CorruptShardError: what arrives, twice, is not what was committed.
        """
        path = folder / f"shard-{commit.index:08d}.parquet"
        if _is_whole(path, commit):
            return path
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f"{path.name}.{os.getpid()}.part"
        try:
            for attempt in (1, 2):
                self._connection.download(f"/v1/jobs/{job_id}/shards/{commit.index}", part, self.patience)
                try:
                    verify_shard(part, commit)
                    break
                except CorruptShardError:
                    if attempt == 2:
                        raise
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
        return path


class RemoteDataset:
    """A job's dataset over HTTP, finished or growing: a shared.follow.ShardSource.

    Shards are kept in a folder and fetched once; a service that restarts is waited for.
    """

    def __init__(self, client: Client, job_id: str, cache: Path | str, *, patience: float = 300.0) -> None:
        """Opens the dataset of job `job_id`.

        Args:
            client: of the service that makes it.
            job_id: of the job, which is the dataset's id.
            cache: folder under which shards are kept, in one named after the job.
            patience: seconds to wait for a service that is away before raising ServiceError.
        """
        self._client = client.patient(patience)
        self._id = job_id
        self._folder = Path(cache) / job_id
        self._commits: dict[int, Commit] = {}
        self._verified: dict[int, Path] = {}
        self._where = f"{client.url}/v1/jobs/{job_id}"
        self._header = DatasetHeader.from_json(self._client.manifest(job_id)["header"], self._where)

    @property
    def header(self) -> DatasetHeader:
        """What the dataset is."""
        return self._header

    def state(self) -> DatasetState:
        """How far it is now; asks only for commits that are not known yet."""
        after = DatasetState("growing", commits=tuple(self._commits.values())).watermark - 1
        while True:
            page = self._client.manifest(self._id, after)
            for entry in page["commits"]:
                commit = Commit.from_json(entry, self._where)
                after = self._commits.setdefault(commit.index, commit).index
            if not page["more"]:
                break
        commits = tuple(self._commits[index] for index in sorted(self._commits))
        return DatasetState(page["state"], page["reason"], commits)

    def read_shard(self, commit: Commit, columns: list[str] | None = None) -> pa.Table:
        """The rows of a committed shard, fetched and checked the first time.

        Raises:
            CorruptShardError: what arrives is not what was committed.
        """
        if commit.index not in self._verified:
            self._verified[commit.index] = self._client.fetch_shard(self._id, commit, self._folder)
        return pq.read_table(self._verified[commit.index], columns=columns, memory_map=True, use_threads=False)


def open_dataset(path_or_url: Path | str, cache: Path | str, api_key: str | None = None) -> ShardSource:
    """Opens a dataset directory, or the dataset of a job by its URL (http://host:8000/v1/jobs/ID).

    Args:
        path_or_url: where it is.
        cache: folder for the shards of a remote dataset.
        api_key: of the service, where it asks for one; by default from the environment (see Client).

    Raises:
        DatasetFormatError: the path is not a dataset.
        ServiceError: the URL is not a job's, or its service can't be reached.
    """
    text = str(path_or_url)
    if not text.startswith(("http://", "https://")):
        return Dataset(path_or_url)
    match = _JOB_URL.fullmatch(text)
    if match is None:
        raise ServiceError(f"{text} is not a job's URL; it looks like http://host:8000/v1/jobs/<64 hexadecimal digits>")
    return RemoteDataset(Client(match["service"], api_key), match["id"], cache)


def _is_whole(path: Path, commit: Commit) -> bool:
    try:
        verify_shard(path, commit)
    except CorruptShardError:
        return False
    return True
