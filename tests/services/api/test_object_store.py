"""The service with its datasets in a real S3 server."""

import time
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest

from headstart_client.data.object_store import ObjectStorage, below
from services.jobs import StorageError, open_dataset_root
from shared.client import Client
from shared.dataset import Dataset
from tests.object_server import running_object_server
from tests.services.api.conftest import problem, wait_until_ended
from tests.services.example import BODY, RunningService, command, contents


def _arguments(folder: Path, uri: str) -> tuple[str, ...]:
    return ("--engine", "process", "--workers", "1", "--data", uri, "--state", str(folder / "state"))


def test_a_job_in_a_bucket_is_resumed_read_and_deleted(tmp_path: Path, bucket_uri: str, reference: Dataset) -> None:
    service = RunningService(tmp_path / "service", *_arguments(tmp_path, bucket_uri))
    try:
        with Client(service.url) as client:
            client.wait_ready()
            job_id = client.submit(BODY, idempotency_key="one")["id"]
            while client.job(job_id)["progress"]["shards_committed"] < 2:
                time.sleep(0.02)
        service.kill()
        service = RunningService(tmp_path / "service", *_arguments(tmp_path, bucket_uri))
        with (
            httpx.Client(base_url=service.url, timeout=60, trust_env=False) as api,
            Client(service.url) as client,
        ):
            job = wait_until_ended(api, job_id)
            assert (job["state"], job["progress"]["accepted"]) == ("succeeded", BODY["count"])
            dataset = Dataset(below(bucket_uri, job_id))
            assert contents(dataset) == contents(reference)
            _check_reading(api, client, job, dataset)
            problem(api.post("/v1/jobs", json={**BODY, "seed": 99}, headers={"Idempotency-Key": "one"}), 422)
            client.delete(job_id)
            assert ObjectStorage(bucket_uri).paths() == [".service"]
            problem(api.get(f"/v1/jobs/{job_id}"), 404)
            assert client.submit(BODY)["id"] == job_id
    finally:
        assert service.stop() == 0


def _check_reading(api: httpx.Client, client: Client, job: dict[str, Any], dataset: Dataset) -> None:
    path, commit = f"/v1/jobs/{job['id']}/shards/3", dataset.commits()[3]
    content = dataset.checked_bytes(commit).to_pybytes()
    assert api.get(path).content == content
    part = api.get(path, headers={"Range": "bytes=100-299"})
    assert (part.status_code, part.content) == (206, content[100:300])
    assert part.headers["content-range"] == f"bytes 100-299/{len(content)}"
    problem(api.get(path, headers={"Range": f"bytes={len(content)}-"}), 416)
    rows = pa.Table.from_batches(client.stream(job["id"]))
    assert rows.column("trajectory_id").to_pylist() == list(range(BODY["count"]))
    assert client.coverage(job["id"])["sampled_rows"] > 0


def test_a_store_that_is_away_is_said_and_waited_for(tmp_path: Path, bucket_uri: str) -> None:
    with running_object_server(tmp_path / "objects") as endpoint:
        uri = f"{bucket_uri.partition('?')[0]}?endpoint_override={endpoint}"
        service = RunningService(tmp_path / "service", *_arguments(tmp_path, uri))
        with Client(service.url) as client:
            client.wait_ready()
    try:
        with httpx.Client(base_url=service.url, timeout=60, trust_env=False) as api:
            while api.get("/readyz").status_code == 200:
                time.sleep(0.02)
            refused = problem(api.get("/readyz"), 503)
            assert refused["errors"][0]["pointer"] == "/storage"
            assert "the object store says nothing" in refused["detail"]
            problem(api.post("/v1/jobs", json=BODY), 507)
            assert api.get("/healthz").status_code == 200
    finally:
        service.stop()
    # Nor does it start.
    started = command("serve", "--port", "0", *_arguments(tmp_path, uri))
    _, err = started.communicate(timeout=60)
    assert started.returncode == 2
    assert "check AWS_ENDPOINT_URL" in err
    assert err.count("\n") == 1
    with pytest.raises(StorageError, match="can't be deleted"):
        open_dataset_root(uri).remove("f" * 64)
