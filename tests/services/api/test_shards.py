import base64
import hashlib
import io
import threading
import time
from dataclasses import replace
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared import records
from shared.dataset import Dataset
from shared.manifest import Commit, DatasetHeader
from tests.services.api.conftest import problem, wait_until_ended
from tests.services.example import LONG_BODY


def test_the_manifest_is_header_state_and_commits_in_pages(
    api: httpx.Client, finished: dict[str, Any], reference: Dataset
) -> None:
    path = f"/v1/jobs/{finished['id']}/manifest"
    body = api.get(path).json()
    header = DatasetHeader.from_json(body["header"], "http")
    assert replace(header, created_at="").to_json() == replace(reference.header, created_at="").to_json()
    assert (body["state"], body["reason"], body["more"]) == ("sealed", "", False)
    commits = [Commit.from_json(entry, "http") for entry in body["commits"]]
    assert [commit.content_sha256 for commit in commits] == [c.content_sha256 for c in reference.commits()]
    page = api.get(path, params={"after": 3, "limit": 2}).json()
    assert [entry["index"] for entry in page["commits"]] == [4, 5]
    assert page["more"]
    assert api.get(path, params={"after": 11}).json()["commits"] == []


def test_shards_are_listed_and_fetched_whole(api: httpx.Client, finished: dict[str, Any]) -> None:
    page = api.get(f"/v1/jobs/{finished['id']}/shards").json()
    assert [shard["index"] for shard in page["shards"]] == list(range(12))
    shard = page["shards"][11]
    response = api.get(shard["url"])
    assert response.headers["content-type"] == "application/vnd.apache.parquet"
    assert response.headers["etag"] == f'"{shard["file_sha256"]}"'
    assert hashlib.sha256(response.content).hexdigest() == shard["file_sha256"]
    digest = base64.b64encode(hashlib.sha256(response.content).digest()).decode()
    assert response.headers["repr-digest"] == f"sha-256=:{digest}:"
    table = pq.read_table(io.BytesIO(response.content))
    assert table.schema.equals(records.schema())
    assert table.column("trajectory_id").to_pylist() == list(range(220, 230))
    assert records.content_hash(table) == shard["content_sha256"]


@pytest.mark.parametrize(
    ("header", "status", "span"),
    [
        ("bytes=0-3", 206, (0, 4)),
        ("bytes=10-", 206, (10, None)),
        ("bytes=-7", 206, (-7, None)),
        ("bytes=5-999999999", 206, (5, None)),
        ("bytes=999999999-", 416, None),
        ("bytes=-0", 416, None),
        # Not understood, so passed over.
        ("bytes=0-1,3-4", 200, (0, None)),
        ("bytes=9-3", 200, (0, None)),
        ("bytes=x-y", 200, (0, None)),
        ("lines=0-3", 200, (0, None)),
        ("bytes=" + "9" * 5000 + "-", 200, (0, None)),
    ],
)
def test_a_range_of_a_shard(
    api: httpx.Client, finished: dict[str, Any], header: str, status: int, span: tuple[int, int | None] | None
) -> None:
    path = f"/v1/jobs/{finished['id']}/shards/0"
    whole = api.get(path).content
    response = api.get(path, headers={"Range": header})
    assert response.status_code == status
    if span is None:
        problem(response, 416)
        assert response.headers["content-range"] == f"bytes */{len(whole)}"
    else:
        assert response.content == whole[slice(*span)]


def test_a_shard_the_caller_has_is_not_sent_again(api: httpx.Client, finished: dict[str, Any]) -> None:
    path = f"/v1/jobs/{finished['id']}/shards/0"
    etag = api.get(path).headers["etag"]
    for value in (etag, f'"other", {etag}', f"W/{etag}"):
        assert api.get(path, headers={"If-None-Match": value}).status_code == 304
    assert api.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
    # A range of another version is the whole of this one.
    assert api.get(path, headers={"Range": "bytes=0-3", "If-Range": '"other"'}).status_code == 200
    assert api.get(path, headers={"Range": "bytes=0-3", "If-Range": etag}).status_code == 206


def test_the_stream_gives_every_row_in_order(api: httpx.Client, finished: dict[str, Any], reference: Dataset) -> None:
    response = api.get(f"/v1/jobs/{finished['id']}/stream")
    assert response.headers["content-type"] == "application/vnd.apache.arrow.stream"
    table = pa.ipc.open_stream(response.content).read_all()
    expected = pa.concat_tables([reference.read_shard(commit) for commit in reference.commits()])
    assert table.equals(expected)


def test_a_stream_goes_on_after_a_shard(api: httpx.Client, finished: dict[str, Any]) -> None:
    for after, ids in ((9, list(range(200, 230))), (11, []), (50, [])):
        response = api.get(f"/v1/jobs/{finished['id']}/stream", params={"after": after})
        table = pa.ipc.open_stream(response.content).read_all()
        assert table.schema == records.schema()
        assert table.column("trajectory_id").to_pylist() == ids


def test_waiting_for_shards_ends_when_there_is_one_or_never_will_be(api: httpx.Client) -> None:
    job = api.post("/v1/jobs", json={**LONG_BODY, "shard_rows": 50, "seed": 73}).json()
    path = f"/v1/jobs/{job['id']}"
    after = -1
    for name, entries in (("manifest", "commits"), ("shards", "shards"), ("manifest", "commits")):
        page = api.get(f"{path}/{name}", params={"after": after, "wait": 30}).raise_for_status().json()
        # None was there when it was asked for, unless it came in between.
        assert page[entries][0]["index"] == after + 1
        after = page[entries][-1]["index"]
    threading.Timer(0.3, lambda: api.post(f"{path}:cancel")).start()
    begun = time.monotonic()
    page = api.get(f"{path}/manifest", params={"after": 9999, "wait": 30}).json()
    assert (page["state"], page["commits"]) == ("cancelled", [])
    # It has ended: no waiting now.
    wait_until_ended(api, job["id"])
    assert api.get(f"{path}/shards", params={"after": 9999, "wait": 30}).json()["shards"] == []
    assert time.monotonic() - begun < 25
    problem(api.get(f"{path}/manifest", params={"wait": 31}), 422)


def test_a_stream_runs_along_with_its_job_and_is_cut_when_it_is_cancelled(api: httpx.Client) -> None:
    # Shards that take a fraction of a second each, enough of them to be cancelled among.
    job = api.post("/v1/jobs", json={**LONG_BODY, "shard_rows": 50, "seed": 71}).json()
    got = bytearray()
    enough = threading.Event()

    def follow() -> None:
        with api.stream("GET", f"/v1/jobs/{job['id']}/stream") as response:
            for chunk in response.iter_bytes():
                got.extend(chunk)
                if len(got) > 2_000_000:
                    enough.set()

    failure: list[Exception] = []

    def run() -> None:
        try:
            follow()
        except httpx.HTTPError as error:
            failure.append(error)

    follower = threading.Thread(target=run)
    follower.start()
    assert enough.wait(60)
    assert api.get(f"/v1/jobs/{job['id']}").json()["state"] == "running"
    api.post(f"/v1/jobs/{job['id']}:cancel").raise_for_status()
    follower.join(10)
    # Not an orderly end, which would pass for the whole of it.
    assert isinstance(failure[0], httpx.RemoteProtocolError)
    reader = pa.ipc.open_stream(bytes(got))
    first = [*reader.read_next_batch().column("trajectory_id"), *reader.read_next_batch().column("trajectory_id")]
    assert [scalar.as_py() for scalar in first] == list(range(len(first)))
    problem(api.get(f"/v1/jobs/{job['id']}/stream"), 409)


def test_a_shard_that_is_not_there(api: httpx.Client, finished: dict[str, Any]) -> None:
    assert "not committed" in problem(api.get(f"/v1/jobs/{finished['id']}/shards/12"), 404)["detail"]
    for path in ("manifest", "shards", "shards/0", "stream", "events", "coverage"):
        problem(api.get(f"/v1/jobs/{'0' * 64}/{path}"), 404)
