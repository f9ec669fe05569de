import threading
import time
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
from prometheus_client.parser import text_string_to_metric_families

from services.synthesis.pipeline import ShardPlan, robot_spec, synthesize
from shared import records
from shared.records import SCHEMA_VERSION
from tests.services.api.conftest import problem
from tests.services.example import BODY, LONG_BODY, REQUEST


def test_a_preview_is_the_first_rows_of_the_job(api: httpx.Client) -> None:
    body = api.post("/v1/preview", json={**BODY, "count": 5}).raise_for_status().json()
    table: pa.Table = synthesize(ShardPlan(REQUEST, 0, 0, 5)).table
    assert body["robot"] == robot_spec(REQUEST).to_json()
    assert body["attempts"] == 5 + sum(body["rejections"].values())
    assert [row["trajectory_id"] for row in body["trajectories"]] == [0, 1, 2, 3, 4]
    for name, width in (("joint_position", 7), ("joint_velocity", 7), ("ee_position", 3), ("ee_rotation_6d", 6)):
        values, _ = records.list_column(table, name)
        arrays = [np.array(row[name]) for row in body["trajectories"]]
        assert [array.shape for array in arrays] == [(row["length"], width) for row in body["trajectories"]]
        np.testing.assert_allclose(np.concatenate(arrays).reshape(-1), values, atol=2e-7, rtol=0)
    assert set(np.concatenate([row["gripper"] for row in body["trajectories"]])) <= {-1.0, 1.0}


def test_a_preview_as_arrow_has_the_same_rows(api: httpx.Client) -> None:
    response = api.post(
        "/v1/preview", json={**BODY, "count": 5}, headers={"Accept": "application/vnd.apache.arrow.stream, */*;q=0.1"}
    )
    assert response.headers["content-type"] == "application/vnd.apache.arrow.stream"
    assert response.headers["vary"] == "Accept"
    table = pa.ipc.open_stream(response.content).read_all()
    assert records.content_hash(table) == records.content_hash(synthesize(ShardPlan(REQUEST, 0, 0, 5)).table)


def test_a_preview_has_limits_and_keeps_nothing(api: httpx.Client) -> None:
    before = api.get("/v1/jobs").json()
    too_many = problem(api.post("/v1/preview", json={**BODY, "count": 65}), 422)
    assert too_many["errors"][0]["pointer"] == "/count"
    slow = {**BODY, "count": 40, "rate_hz": 1000.0, "speed_scale": [0.05, 0.05], "shard_rows": 1}
    assert problem(api.post("/v1/preview", json=slow), 422)["errors"][0]["pointer"] == "/rate_hz"
    box = {"kind": "box", "min": [3, 3, 3], "max": [4, 4, 4]}
    impossible = problem(api.post("/v1/preview", json={**BODY, "count": 1, "workspace": box}), 422)
    assert impossible["type"] == "urn:headstart:problem:synthesis"
    assert api.get("/v1/jobs").json() == before


def test_robots_health_and_version(api: httpx.Client) -> None:
    robots = api.get("/v1/robots").json()["robots"]
    assert any(robot["name"] == "panda" for robot in robots)
    assert api.get("/healthz").json() == api.get("/readyz").json() == {"status": "ok"}
    version = api.get("/version").json()
    assert version["schema_version"] == SCHEMA_VERSION
    assert version["libraries"]["pin"].startswith("4.")


def test_metrics_count_what_was_made_and_asked(api: httpx.Client, finished: dict[str, Any]) -> None:
    def value(name: str, **labels: str) -> float:
        response = api.get("/metrics")
        assert response.headers["content-type"].startswith("text/plain; version=")
        samples = [s for family in text_string_to_metric_families(response.text) for s in family.samples]
        return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())

    assert value("headstart_rows_total") >= finished["progress"]["accepted"]
    assert value("headstart_attempts_total") == value("headstart_rows_total") + value("headstart_rejections_total")
    assert value("headstart_jobs", state="succeeded") >= 1
    assert value("headstart_engine_up") == value("headstart_workers") == 1
    assert value("process_resident_memory_bytes") > 1e7
    before = value("headstart_calls_total", operation="get_job", status="404")
    api.get(f"/v1/jobs/{'0' * 64}")
    assert value("headstart_calls_total", operation="get_job", status="404") == before + 1
    assert value("headstart_call_seconds_count", operation="get_job") > before


def test_the_service_answers_while_it_works(api: httpx.Client) -> None:
    job = api.post("/v1/jobs", json={**LONG_BODY, "seed": 72}).json()
    preview: list[int] = []
    asking = threading.Thread(
        target=lambda: preview.append(api.post("/v1/preview", json={**BODY, "count": 64}).status_code)
    )
    asking.start()
    answered = 0
    while asking.is_alive() or answered < 20:
        assert api.get("/healthz").status_code == 200
        answered += 1
        time.sleep(0.01)
    asking.join()
    assert preview == [200]
    assert api.get(f"/v1/jobs/{job['id']}").json()["state"] == "running"
    api.post(f"/v1/jobs/{job['id']}:cancel").raise_for_status()


def test_the_openapi_document_has_stable_names(api: httpx.Client) -> None:
    document: dict[str, Any] = api.get("/openapi.json").json()
    operations = {
        f"{method.upper()} {path}": operation["operationId"]
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert operations == {
        "POST /v1/jobs": "submit_job",
        "GET /v1/jobs": "list_jobs",
        "GET /v1/jobs/{job_id}": "get_job",
        "DELETE /v1/jobs/{job_id}": "delete_job",
        "POST /v1/jobs/{job_id}:cancel": "cancel_job",
        "GET /v1/jobs/{job_id}/events": "job_events",
        "GET /v1/jobs/{job_id}/coverage": "get_coverage",
        "GET /v1/jobs/{job_id}/trajectories/{trajectory_id}": "get_trajectory",
        "GET /v1/robots/{name}/mesh": "get_robot_mesh",
        "GET /v1/jobs/{job_id}/manifest": "get_manifest",
        "GET /v1/jobs/{job_id}/shards": "list_shards",
        "GET /v1/jobs/{job_id}/shards/{index}": "get_shard",
        "GET /v1/jobs/{job_id}/stream": "stream_rows",
        "POST /v1/preview": "preview",
        "GET /v1/motions": "list_motions",
        "POST /v1/motions": "upload_motions",
        "GET /v1/motions/{sha256}": "get_motions",
        "DELETE /v1/motions/{sha256}": "delete_motions",
        "GET /v1/robots": "list_robots",
        "POST /v1/robots": "upload_robot",
        "GET /v1/robots/{name}": "get_robot",
        "GET /v1/robots/{name}/urdf": "get_robot_urdf",
        "DELETE /v1/robots/{name}": "delete_robot",
        "GET /healthz": "health",
        "GET /readyz": "ready",
        "GET /version": "version",
        "GET /metrics": "metrics",
    }
    assert {"TrajectoryRequest", "Problem", "JobBody"} <= set(document["components"]["schemas"])
