"""The oldest job that has ended is forgotten for a new one, and its data stay."""

from pathlib import Path
from typing import Any

import httpx

from shared.dataset import Dataset
from tests.services.api.conftest import problem, wait_until_ended
from tests.services.example import BODY, LONG_BODY, contents, running_service

_ENGINE = ("--engine", "process", "--workers", "1")
_LIMITS = {"HEADSTART_MAX_JOBS": "3"}


def _body(seed: int) -> dict[str, Any]:
    return {**BODY, "count": 20, "seed": seed}


def _listed(api: httpx.Client) -> list[str]:
    return [job["id"] for job in api.get("/v1/jobs").raise_for_status().json()["jobs"]]


def test_the_oldest_that_has_ended_is_forgotten_and_its_data_stay(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with (
        running_service(data, *_ENGINE, env=_LIMITS) as service,
        httpx.Client(base_url=service.url, timeout=60, trust_env=False) as api,
    ):
        # The oldest of all, which goes on and is kept for that. The others wait for one of its shards each.
        long = {**LONG_BODY, "shard_rows": 500}
        working = api.post("/v1/jobs", json=long, params={"priority": -1}).raise_for_status().json()["id"]
        ids = []
        for seed in range(4):
            ids.append(api.post("/v1/jobs", json=_body(seed)).raise_for_status().json()["id"])
            assert wait_until_ended(api, ids[-1])["state"] == "succeeded"
        assert _listed(api) == [ids[3], ids[2], working]
        for job_id in ids[:2]:
            problem(api.get(f"/v1/jobs/{job_id}"), 404)
        first = Dataset(data / ids[0])
        assert first.manifest().state == "sealed"
        rows = first.read_shard(first.commits()[0])
        assert rows.num_rows == 20
    with (
        running_service(data, *_ENGINE, env=_LIMITS) as service,
        httpx.Client(base_url=service.url, timeout=60, trust_env=False) as api,
    ):
        # The next start knows as many.
        assert _listed(api) == [ids[3], ids[2], working]
        # The same request is that job again, whole as it was, in the place of the oldest.
        before = contents(first)
        again = api.post("/v1/jobs", json=_body(0))
        assert (again.status_code, again.json()["id"], again.json()["state"]) == (200, ids[0], "succeeded")
        assert contents(Dataset(data / ids[0])) == before
        assert set(_listed(api)) == {ids[0], ids[3], working}
        api.post(f"/v1/jobs/{working}:cancel").raise_for_status()


def test_jobs_that_go_on_are_never_forgotten(tmp_path: Path) -> None:
    with (
        running_service(tmp_path / "data", *_ENGINE, env=_LIMITS) as service,
        httpx.Client(base_url=service.url, timeout=60, trust_env=False) as api,
    ):
        jobs = [api.post("/v1/jobs", json={**LONG_BODY, "seed": seed}).json()["id"] for seed in range(3)]
        refused = problem(api.post("/v1/jobs", json=BODY), 507)
        assert "3 jobs are kept already, as many as may be" in refused["detail"]
        for job_id in jobs:
            api.post(f"/v1/jobs/{job_id}:cancel").raise_for_status()
        wait_until_ended(api, jobs[0])
        assert api.post("/v1/jobs", json=BODY).status_code == 202
        assert len(_listed(api)) == 3
