"""The HTTP client of the service, the only one there is: of the trainer, the tests and the docs (docs/client.md).

    with Client("http://127.0.0.1:8000") as client:
        job = client.submit({"robot": "panda", "count": 20000})
        for event in client.events(job["id"]):
            print(event.kind, event.data)

A job's data is read as a dataset by headstart_client.data.remote_dataset.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote
from zipfile import is_zipfile

import httpx

from headstart_client.errors import ServiceError
from headstart_client.service.connection import NONE, Connection, Json, Patience, broken_off
from headstart_client.service.event_stream import follow_events
from headstart_client.service.job import LAST_STATES, Event, Job, JobState, ShardPage, Trajectory

if TYPE_CHECKING:
    import pyarrow as pa

    from headstart_client.data.manifest import Commit

# What is imported in functions here needs pyarrow (extra [data]), which the rest does without.


class Client:
    """One service, at one URL. Safe to use from several threads.

    Every call raises ServiceError, saying what to do, when the service can't be reached, asks for a key, or answers
    with a problem. Calls that are safe to repeat are repeated while the service is away; `cancel` and `delete` never.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        timeout: float = 60.0,
        patience: float = 0.0,
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Connects lazily.

        Args:
            url: of the service, without /v1.
            api_key: sent as a bearer key; by default HEADSTART_API_KEY, or the contents of HEADSTART_API_KEY_FILE.
            timeout: seconds without a byte before a call is given up; `stream` waits for as long as there is a
                connection.
            patience: seconds that calls are repeated for while the service can't be reached.
            tell: told, every ten seconds of that, what is waited for.
        """
        self._patience = Patience(patience, tell)
        self._connection = Connection(url, api_key, timeout)

    @property
    def url(self) -> str:
        """The URL of the service."""
        return self._connection.url

    def close(self) -> None:
        """Closes its connections."""
        self._connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def patient(self, seconds: float, tell: Callable[[str], None] | None = None) -> Client:
        """This client over the same connections, but waiting `seconds` for a service that is away."""
        other = copy.copy(self)
        other._patience = Patience(seconds, tell or self._patience.tell)
        return other

    def wait_ready(self, timeout: float = 120.0) -> None:
        """Waits until the service takes jobs. Raises ServiceError with its reasons if it does not in time."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                self._connection.json("GET", "/readyz", NONE)
                return
            except ServiceError as error:
                if error.status not in (None, 503) or time.monotonic() > deadline:
                    raise
            time.sleep(0.2)

    def version(self) -> Json:
        """Versions of the service, its generator, the record schema and its libraries."""
        return self._connection.json("GET", "/version", self._patience)

    def submit(
        self,
        request: Mapping[str, Any],
        idempotency_key: str | None = None,
        priority: int | None = None,
        webhook: str | None = None,
    ) -> Job:
        """Submits a trajectory request and returns its job; the same request is always the same job.

        Args:
            request: what to make.
            idempotency_key: of the caller's.
            priority: shards of jobs with a higher one (-100 to 100, by default 0) are made first.
            webhook: URL that the service calls when the job has ended; see shared.webhook_signature.
        """
        given = {"priority": priority, "webhook": webhook}
        params = {name: value for name, value in given.items() if value is not None}
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        # Safe to repeat: an identical request is the same job.
        answer = self._connection.json(
            "POST", "/v1/jobs", self._patience, json=dict(request), headers=headers, params=params
        )
        return cast(Job, answer)

    def job(self, job_id: str) -> Job:
        """A job: its state, progress, and why it failed if it did."""
        return cast(Job, self._connection.json("GET", f"/v1/jobs/{job_id}", self._patience))

    def jobs(self, state: JobState | None = None) -> Iterator[Job]:
        """Every job, newest first, or those in `state`; asks for a page at a time."""
        params: dict[str, Any] = {"state": state} if state else {}
        while True:
            page = self._connection.json("GET", "/v1/jobs", self._patience, params=params)
            yield from page["jobs"]
            if not page["next_cursor"]:
                return
            params["cursor"] = page["next_cursor"]

    def wait(self, job_id: str, timeout: float = 3600.0) -> Job:
        """The job once it has ended. Raises ServiceError if it has not in time."""
        deadline, pause = time.monotonic() + timeout, 0.1
        while (job := self.job(job_id))["state"] not in LAST_STATES:
            if time.monotonic() > deadline:
                raise ServiceError(f"job {job_id[:12]} is still {job['state']} after {timeout:.0f} s")
            time.sleep(pause)
            pause = min(2.0, 2 * pause)
        return job

    def cancel(self, job_id: str) -> Job:
        """Cancels a job that has not finished. What it has committed stays readable."""
        return cast(Job, self._connection.json("POST", f"/v1/jobs/{job_id}:cancel", NONE))

    def delete(self, job_id: str) -> None:
        """Deletes a job that has ended, with its data."""
        self._connection.json("DELETE", f"/v1/jobs/{job_id}", NONE)

    def events(self, job_id: str, after: str = "") -> Iterator[Event]:
        """What happens to a job, as it happens, until it has ended.

        A service that goes away is waited for as long as this client has patience, and asked for what came since.

        Args:
            job_id: of the job.
            after: id of the event after which to go on; by default from the start.
        """
        return follow_events(self._connection, self._patience, f"/v1/jobs/{job_id}/events", after)

    def manifest(self, job_id: str, after: int = -1, wait: float = 0.0) -> Json:
        """One page of a job's manifest: header, state, and the commits of shards beyond index `after`.

        With `wait`, the service answers once there are such commits or the job has ended, or after so many seconds
        (at most 30).
        """
        params = {"after": after, "wait": wait}
        return self._connection.json("GET", f"/v1/jobs/{job_id}/manifest", self._patience, params=params)

    def shards(self, job_id: str, after: int = -1, wait: float = 0.0) -> ShardPage:
        """One page of a job's committed shards, those beyond index `after`; `wait` as in `manifest`."""
        params = {"after": after, "wait": wait}
        answer = self._connection.json("GET", f"/v1/jobs/{job_id}/shards", self._patience, params=params)
        return cast(ShardPage, answer)

    def upload_motions(self, content: bytes) -> Json:
        """Uploads a motions file; uploading it again changes nothing. Its `sha256` is what requests name it by."""
        headers = {"Content-Type": "application/octet-stream"}
        return self._connection.json("POST", "/v1/motions", self._patience, content=content, headers=headers)

    def motions(self, sha256: str) -> bytes | None:
        """A motions file; None where the service has none of that content."""
        try:
            return self._connection.content("GET", f"/v1/motions/{sha256}", self._patience)
        except ServiceError as error:
            if error.status == 404:
                return None
            raise

    def trajectory(self, job_id: str, trajectory_id: int) -> Trajectory:
        """One row, once its shard is committed, rounded to 1e-7 for looking at it."""
        path = f"/v1/jobs/{job_id}/trajectories/{trajectory_id}"
        return cast(Trajectory, self._connection.json("GET", path, self._patience))

    def stream(self, job_id: str) -> Iterator[pa.RecordBatch]:
        """Every row in order of its id, in small batches, as shards are committed; ends when the dataset is whole.

        Waits for a job's turn and for slow shards without end; a connection that has died is noticed within a minute.

        Raises:
            ServiceError: also when it breaks off, because the job failed or was cancelled, or the service stopped.
        """
        from headstart_client.data.arrow_stream import record_batches

        missing = self.job(job_id)["progress"]["count"]
        try:
            with self._connection.open(f"/v1/jobs/{job_id}/stream", silent=True) as response:
                for batch in record_batches(response.iter_bytes()):
                    missing -= batch.num_rows
                    yield batch
        except httpx.TransportError as error:
            raise broken_off(self.url, error) from error
        if missing:
            raise ServiceError(f"the stream of job {job_id[:12]} ended {missing} rows early; fetch its shards instead")

    def coverage(self, job_id: str) -> Json:
        """What a job's rows cover so far: statistics of every column, and histograms of a sample."""
        return self._connection.json("GET", f"/v1/jobs/{job_id}/coverage", self._patience)

    def robots(self) -> list[Json]:
        """The robots the service knows, each as RobotSpec.to_json writes it."""
        return list(self._connection.json("GET", "/v1/robots", self._patience)["robots"])

    def robot(self, name: str) -> Json:
        """A robot's joints, limits, frames and home posture."""
        return self._connection.json("GET", f"/v1/robots/{quote(name, safe='')}", self._patience)

    def robot_urdf(self, name: str) -> bytes:
        """A robot's URDF: its maker's, or what was read of an uploaded one."""
        return self._connection.content("GET", f"/v1/robots/{quote(name, safe='')}/urdf", self._patience)

    def upload_robot(self, file: Path, tip: str, base: str | None = None, **numbers: float | Sequence[float]) -> Json:
        """Uploads a robot, and returns it with the name that requests use; the same robot is always the same name.

        Args:
            file: its URDF, or a ZIP archive of one URDF and its meshes.
            tip: link whose pose is recorded.
            base: link in whose frame poses are expressed; by default the root.
            numbers: `acceleration`, `jerk`, `home`: a number, or one for each joint.
        """
        params = {"tip": tip, **({"base": base} if base else {})}
        params |= {name: _listed(value) for name, value in numbers.items()}
        try:
            headers = {"Content-Type": "application/zip" if is_zipfile(file) else "application/xml"}
            body = {"content": file.read_bytes(), "headers": headers}
        except OSError as error:
            raise ServiceError(f"{file} can't be read: {error.strerror}") from None
        # Safe to repeat: the same robot is there already.
        return self._connection.json("POST", "/v1/robots", self._patience, params=params, **body)

    def delete_robot(self, name: str) -> None:
        """Deletes an uploaded robot. Datasets made with it keep their own copy."""
        self._connection.json("DELETE", f"/v1/robots/{quote(name, safe='')}", NONE)

    def preview(self, request: Mapping[str, Any]) -> Json:
        """Up to 64 trajectories of a request, made at once and kept nowhere, as JSON for people."""
        return self._connection.json("POST", "/v1/preview", self._patience, json=dict(request))

    def preview_rows(self, request: Mapping[str, Any]) -> pa.Table:
        """The same as rows: what the first of the request's job will be."""
        import pyarrow as pa

        from headstart_client.data.arrow_stream import record_batches

        headers = {"Accept": "application/vnd.apache.arrow.stream"}
        content = self._connection.content("POST", "/v1/preview", self._patience, json=dict(request), headers=headers)
        return pa.Table.from_batches(record_batches(iter([content])))

    def fetch_shard(self, job_id: str, commit: Commit, folder: Path) -> Path:
        """Downloads a shard into `folder`, unless it lies there already, and checks its sha256.

        Raises:
            CorruptShardError: what arrives, twice, is not what was committed.
        """
        from headstart_client.data.shard_file import fetch_shard

        return fetch_shard(
            lambda part: self._connection.download(f"/v1/jobs/{job_id}/shards/{commit.index}", part, self._patience),
            commit,
            folder,
        )


def _listed(numbers: float | Sequence[float]) -> str:
    """As a query has them: one for every joint, or one each."""
    values = numbers if isinstance(numbers, Sequence) else [numbers]
    return ",".join(repr(float(value)) for value in values)
