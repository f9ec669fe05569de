import json
from pathlib import Path

import httpx

from tests.services.api.conftest import problem, wait_until_ended
from tests.services.example import RunningService
from tests.shared.summary_example import example_summary

BODY = {"robot": "panda", "count": 20, "shard_rows": 10}


def test_a_summary_in_the_body_is_drawn_from(api: httpx.Client, service: RunningService) -> None:
    # With as many windows as the trainer takes by default, as large as they get.
    value = example_summary(windows=256)
    answer = api.post("/v1/jobs", json={**BODY, "workspace": {"kind": "fitted", "summary": value}})
    assert answer.status_code in (200, 202), answer.text
    job = wait_until_ended(api, answer.json()["id"])
    assert job["state"] == "succeeded", job["reason"]
    # Listings name the summary, and do not repeat it.
    assert set(job["request"]["workspace"]["summary"]) == {"sha256"}
    sha256 = job["request"]["workspace"]["summary"]["sha256"]
    stored = service.log.with_suffix("") / job["id"] / f"summary-{sha256}.json"
    assert json.loads(stored.read_text()) == value
    preview = api.post("/v1/preview", json={**BODY, "workspace": {"kind": "fitted", "summary": value}})
    assert preview.status_code == 200, preview.text
    assert len(preview.json()["trajectories"]) == 20


def test_the_service_reads_no_file_for_a_caller(api: httpx.Client, tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_text(json.dumps(example_summary()))
    answer = api.post("/v1/jobs", json={**BODY, "workspace": {"kind": "fitted", "summary": str(path)}})
    (error,) = problem(answer, 422)["errors"]
    assert error == {"pointer": "/workspace/summary", "detail": "must be a JSON object"}


def test_a_body_beyond_the_largest_summary_is_refused(api: httpx.Client) -> None:
    value = example_summary(windows=1024)
    body = json.dumps({**BODY, "workspace": {"kind": "fitted", "summary": value}}, indent=1)
    assert len(body) > (2 << 20) + 65536
    problem(api.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"}), 413)
