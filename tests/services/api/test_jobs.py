import time
from typing import Any

import httpx
import pyarrow as pa
import pytest

from tests.services.api.conftest import problem, wait_until_ended
from tests.services.example import BODY, LONG_BODY, REQUEST, RunningService

SMALL = {"robot": "panda", "count": 2}


def test_submitting_answers_202_with_a_location_and_the_same_request_is_the_same_job(
    api: httpx.Client, finished: dict[str, Any]
) -> None:
    first = api.post("/v1/jobs", json=LONG_BODY)
    assert first.status_code == 202
    job = first.json()
    assert first.headers["location"] == f"/v1/jobs/{job['id']}" == job["links"]["self"]
    assert first.headers["retry-after"] == "1"
    assert job["state"] in ("queued", "running")
    assert job["progress"]["count"] == LONG_BODY["count"]
    again = api.post("/v1/jobs", json=LONG_BODY)
    assert (again.status_code, again.json()["id"]) == (202, job["id"])
    # Written out in full it is still the same request.
    full = api.post(
        "/v1/jobs", json={**BODY, "rate_hz": 20.0, "self_collision": True, "workspace": {"kind": "joint_space"}}
    )
    assert (full.status_code, full.json()["id"]) == (200, finished["id"])
    assert finished["id"] == REQUEST.dataset_id
    api.post(f"/v1/jobs/{job['id']}:cancel").raise_for_status()
    assert wait_until_ended(api, job["id"])["state"] == "cancelled"


def test_a_job_says_how_it_went(finished: dict[str, Any]) -> None:
    assert finished["state"] == "succeeded"
    assert finished["reason"] == ""
    progress = finished["progress"]
    assert (progress["accepted"], progress["shards_committed"], progress["shards"]) == (230, 12, 12)
    assert progress["attempts"] == 230 + sum(progress["rejections"].values())
    assert progress["bytes"] > 0
    assert progress["remaining_s"] == 0
    assert finished["request"]["robot"]["name"] == "panda"


def test_cancelling(api: httpx.Client, finished: dict[str, Any]) -> None:
    job = api.post("/v1/jobs", json={**LONG_BODY, "seed": 70}).json()
    while api.get(f"/v1/jobs/{job['id']}").json()["state"] == "queued":
        time.sleep(0.02)
    begun = time.monotonic()
    answer = api.post(f"/v1/jobs/{job['id']}:cancel")
    assert answer.status_code == 202
    assert answer.json()["state"] in ("cancelling", "cancelled")
    assert wait_until_ended(api, job["id"])["state"] == "cancelled"
    assert time.monotonic() - begun < 2
    # Once more changes nothing; what has finished can't be cancelled.
    assert api.post(f"/v1/jobs/{job['id']}:cancel").status_code == 202
    assert "succeeded already" in problem(api.post(f"/v1/jobs/{finished['id']}:cancel"), 409)["detail"]
    problem(api.post(f"/v1/jobs/{'0' * 64}:cancel"), 404)


def test_a_failed_job_says_why(api: httpx.Client) -> None:
    box = {"kind": "box", "min": [3, 3, 3], "max": [4, 4, 4]}
    job = api.post("/v1/jobs", json={"robot": "panda", "count": 2, "workspace": box}).json()
    ended = wait_until_ended(api, job["id"])
    assert ended["state"] == "failed"
    assert "unreachable" in ended["reason"]
    assert "failed already" in problem(api.post(f"/v1/jobs/{job['id']}:cancel"), 409)["detail"]


def test_lists_come_in_pages_newest_first(api: httpx.Client, finished: dict[str, Any]) -> None:
    made = [api.post("/v1/jobs", json={**SMALL, "seed": seed}).json()["id"] for seed in range(100, 105)]
    for job_id in made:
        wait_until_ended(api, job_id)
    seen: list[str] = []
    url: str | None = "/v1/jobs?limit=2&state=succeeded"
    while url:
        page = api.get(url).raise_for_status()
        body = page.json()
        assert len(body["jobs"]) <= 2
        assert {job["state"] for job in body["jobs"]} == {"succeeded"}
        seen += [job["id"] for job in body["jobs"]]
        url = page.links["next"]["url"] if "next" in page.links else None
        assert (url is None) == (body["next_cursor"] is None)
    assert len(seen) == len(set(seen))
    assert [job_id for job_id in seen if job_id in made] == made[::-1]
    assert finished["id"] in seen
    assert api.get("/v1/jobs", params={"state": "running"}).json()["jobs"] == []


def test_cancelling_where_nothing_can_be_written(api: httpx.Client, service: RunningService) -> None:
    job_id = api.post("/v1/jobs", json={**LONG_BODY, "seed": 75}).json()["id"]
    parts = service.log.with_suffix("") / job_id / ".tmp"
    aside = parts.with_name("aside")
    while api.get(f"/v1/jobs/{job_id}").json()["state"] == "queued":
        time.sleep(0.02)
    parts.rename(aside)
    parts.write_text("in the way")
    refused = problem(api.post(f"/v1/jobs/{job_id}:cancel"), 507)
    assert "is stopped, but that can't be stored: Not a directory; mend that and cancel it again" in refused["detail"]
    assert wait_until_ended(api, job_id)["state"] == "cancelled"
    parts.unlink()
    aside.rename(parts)
    assert api.post(f"/v1/jobs/{job_id}:cancel").status_code == 202
    assert api.delete(f"/v1/jobs/{job_id}").status_code == 204


def test_an_idempotency_key_belongs_to_one_request(api: httpx.Client) -> None:
    headers = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
    first = api.post("/v1/jobs", json=SMALL, headers=headers)
    again = api.post("/v1/jobs", json=SMALL, headers=headers)
    assert first.json()["id"] == again.json()["id"]
    other = problem(api.post("/v1/jobs", json={**SMALL, "seed": 1}, headers=headers), 422)
    assert other["type"] == "urn:headstart:problem:idempotency"
    problem(api.post("/v1/jobs", json=SMALL, headers={"Idempotency-Key": "k" * 256}), 422)


def test_deleting_takes_an_ended_job_and_its_data(api: httpx.Client, service: RunningService) -> None:
    folder = service.log.with_suffix("")
    running = api.post("/v1/jobs", json={**LONG_BODY, "seed": 74}).json()["id"]
    assert "cancel it" in problem(api.delete(f"/v1/jobs/{running}"), 409)["detail"]
    waiting = api.post("/v1/jobs", json={**SMALL, "seed": 111}).json()["id"]
    problem(api.delete(f"/v1/jobs/{waiting}"), 409)
    api.post(f"/v1/jobs/{running}:cancel").raise_for_status()
    for job_id in (running, waiting):
        wait_until_ended(api, job_id)
        content = [shard["content_sha256"] for shard in api.get(f"/v1/jobs/{job_id}/shards").json()["shards"]]
        deleted = api.delete(f"/v1/jobs/{job_id}")
        assert (deleted.status_code, deleted.content) == (204, b"")
        problem(api.delete(f"/v1/jobs/{job_id}"), 404)
        problem(api.get(f"/v1/jobs/{job_id}/manifest"), 404)
        assert not (folder / job_id).exists()
    assert list((folder / ".trash").iterdir()) == []
    # The same request makes the same data anew.
    again = api.post("/v1/jobs", json={**SMALL, "seed": 111})
    assert (again.status_code, again.json()["id"]) == (202, waiting)
    wait_until_ended(api, waiting)
    assert [shard["content_sha256"] for shard in api.get(f"/v1/jobs/{waiting}/shards").json()["shards"]] == content


def test_a_stream_of_deleted_data_is_cut_and_never_wrong(api: httpx.Client) -> None:
    # Rows enough to fill every buffer between here and there.
    body = {**BODY, "seed": 112, "count": 240, "shard_rows": 40, "rate_hz": 500.0}
    job_id = api.post("/v1/jobs", json=body).json()["id"]
    assert wait_until_ended(api, job_id)["state"] == "succeeded"
    got = bytearray()

    def read_and_delete() -> None:
        with api.stream("GET", f"/v1/jobs/{job_id}/stream") as response:
            for chunk in response.iter_raw(65536):
                if not got:
                    api.delete(f"/v1/jobs/{job_id}").raise_for_status()
                got.extend(chunk)

    with pytest.raises(httpx.RemoteProtocolError):
        read_and_delete()
    reader = pa.ipc.open_stream(bytes(got))
    first = reader.read_next_batch().column("trajectory_id").to_pylist()
    assert first == list(range(len(first)))


def test_what_is_more_than_this_service_makes_is_said(api: httpx.Client) -> None:
    for body, pointer in (
        ({"count": 600_001, "shard_rows": 4096}, "/count"),
        ({"count": 20_002, "shard_rows": 2}, "/shard_rows"),
    ):
        refused = problem(api.post("/v1/jobs", json={"robot": "panda", **body}), 422)
        assert [item["pointer"] for item in refused["errors"]] == [pointer]


def test_a_priority_is_said_changed_and_no_part_of_the_job(api: httpx.Client, finished: dict[str, Any]) -> None:
    body = {**LONG_BODY, "seed": 4321}
    job = api.post("/v1/jobs", params={"priority": 7}, json=body).raise_for_status().json()
    assert job["priority"] == 7
    assert "priority" not in job["request"]
    again = api.post("/v1/jobs", params={"priority": -7}, json=body).raise_for_status().json()
    assert (again["id"], again["priority"]) == (job["id"], -7)
    assert api.post("/v1/jobs", json=body).json()["priority"] == -7
    assert finished["priority"] == 0
    problem(api.post("/v1/jobs", params={"priority": 101}, json=body), 422)
    api.post(f"/v1/jobs/{job['id']}:cancel").raise_for_status()
    wait_until_ended(api, job["id"])
