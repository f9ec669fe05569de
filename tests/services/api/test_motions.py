"""Motions files over HTTP: uploaded, copied, kept, given back, refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from services.motions_registry import MotionsRegistry, MotionsRegistryFullError
from shared import motions_parquet
from shared.client import Client
from shared.dataset import Dataset
from shared.motions_file import motions_of
from shared.remote_dataset import open_dataset
from tests.services.api.conftest import problem, wait_until_ended
from tests.services.example import RunningService, running_service
from tests.stacking import motions

_KIND = {"Content-Type": "application/octet-stream"}
MOTIONS = motions(3)
SHA256 = MOTIONS.content_sha256


def body(**changes: Any) -> dict[str, Any]:
    workspace = {"kind": "objects", "motions": SHA256}
    return {"robot": "panda", "count": 20, "shard_rows": 10, "workspace": workspace, **changes}


def test_uploaded_motions_are_copied_and_given_back(service: RunningService, api: httpx.Client, tmp_path: Path) -> None:
    unknown = problem(api.post("/v1/jobs", json=body(seed=1)), 422)
    assert unknown["errors"][0]["pointer"] == "/workspace/motions"
    assert "upload it with POST /v1/motions" in unknown["errors"][0]["detail"]
    first = api.post("/v1/motions", content=motions_parquet.to_parquet(MOTIONS), headers=_KIND)
    assert (first.status_code, first.headers["Location"]) == (201, f"/v1/motions/{SHA256}")
    said = first.json()
    assert (said["sha256"], said["motions"], said["objects"]) == (SHA256, 3, ["block", "base"])
    again = api.post("/v1/motions", content=motions_parquet.to_parquet(MOTIONS), headers=_KIND)
    assert (again.status_code, again.json()) == (200, said)
    assert said in api.get("/v1/motions").json()["motions"]
    assert motions_parquet.from_parquet(api.get(f"/v1/motions/{SHA256}").content) == MOTIONS
    job = wait_until_ended(api, api.post("/v1/jobs", json=body(seed=1)).raise_for_status().json()["id"])
    assert job["state"] == "succeeded"
    remote = open_dataset(f"{service.url}/v1/jobs/{job['id']}", cache=tmp_path)
    assert motions_of(remote) == MOTIONS
    assert remote.header.optional_columns[:3] == ("source", "source_time", "segment")
    commits = remote.state().commits
    assert sum(commit.rows for commit in commits) == 20
    rows = remote.read_shard(commits[0])
    assert set(rows["family"].to_pylist()) == {"demonstrated"}
    assert set(rows["source"].to_pylist()) <= {0, 1, 2}
    preview = api.post("/v1/preview", json={**body(), "count": 3}).raise_for_status()
    assert preview.json()


def test_a_job_goes_on_with_its_own_copy_of_the_motions(tmp_path: Path) -> None:
    arguments = ("--engine", "process", "--workers", "1")
    with running_service(tmp_path / "data", *arguments) as service, Client(service.url) as client:
        client.wait_ready()
        assert client.upload_motions(motions_parquet.to_parquet(MOTIONS))["sha256"] == SHA256
        job = client.submit(body(count=400, shard_rows=10))
        with httpx.Client(base_url=service.url, trust_env=False) as api:
            assert api.delete(f"/v1/motions/{SHA256}").status_code == 204
            problem(api.delete(f"/v1/motions/{SHA256}"), 404)
            problem(api.get(f"/v1/motions/{SHA256}"), 404)
        assert client.motions(SHA256) is None
    with (
        running_service(tmp_path / "data", *arguments) as service,
        httpx.Client(base_url=service.url, timeout=60, trust_env=False) as api,
    ):
        Client(service.url).wait_ready()
        assert wait_until_ended(api, job["id"])["state"] == "succeeded"
    dataset = Dataset(next((tmp_path / "data").rglob("dataset.json")).parent)
    assert motions_of(dataset) == MOTIONS
    lengths = [dataset.read_shard(commit, ["length"])["length"].to_numpy() for commit in dataset.state().commits]
    assert len(np.concatenate(lengths)) == 400


@pytest.mark.parametrize(
    ("content", "headers", "status", "message"),
    [
        (b"", _KIND, 422, "is no Parquet file"),
        (b"PAR1 nothing PAR1", _KIND, 422, "is no Parquet file"),
        (motions_parquet.to_parquet(MOTIONS)[:-100], _KIND, 422, "is no Parquet file"),
        (motions_parquet.to_parquet(MOTIONS), {"Content-Type": "text/plain"}, 415, "send a motions file as"),
        (b"x" * ((32 << 20) + 1), _KIND, 413, "a motions file"),
    ],
)
def test_what_is_no_motions_file_is_refused(
    api: httpx.Client, content: bytes, headers: dict[str, str], status: int, message: str
) -> None:
    assert message in problem(api.post("/v1/motions", content=content, headers=headers), status)["detail"]


@pytest.mark.parametrize("name", ["x", "0" * 63, "..%2f..%2fetc%2fpasswd", "0" * 64])
def test_there_is_nothing_at_other_names(api: httpx.Client, name: str) -> None:
    assert api.get(f"/v1/motions/{name}").status_code in (404, 422)


def test_the_shelf_has_room_for_so_many(tmp_path: Path) -> None:
    registry = MotionsRegistry(tmp_path / "motions", 2)
    assert (registry.names(), registry.find(SHA256), registry.content("../x")) == ([], None, None)
    assert registry.add(MOTIONS)
    assert not registry.add(MOTIONS)
    other = replace(MOTIONS, task="other")
    assert registry.add(other)
    with pytest.raises(MotionsRegistryFullError, match="2 motions files were uploaded already"):
        registry.add(replace(MOTIONS, task="third"))
    assert registry.names() == sorted([SHA256, other.content_sha256])
    assert registry.find(SHA256) == MOTIONS
    assert registry.remove(SHA256)
    assert not registry.remove(SHA256)
    assert registry.find(SHA256) is None
