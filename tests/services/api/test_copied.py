"""Copies as single rows of JSON: whose copy a row is, its segments, and where its objects are."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.api.copied import Demonstrated
from services.api.trajectories import MAX_SAMPLES, max_samples
from shared import motions_parquet
from shared.demonstrated_motions import FIXED
from tests.services.api.conftest import problem, wait_until_ended
from tests.services.example import BODY, running_service
from tests.stacking import motions

MOTIONS = motions(2)
SHA256 = MOTIONS.content_sha256
COPIES: dict[str, Any] = {
    "robot": "panda",
    "count": 24,
    "seed": 3,
    "shard_rows": 10,
    "workspace": {"kind": "objects", "motions": SHA256},
}
SEGMENTS = [
    {"kind": "free", "object": None},
    {"kind": "object", "object": "block"},
    {"kind": "free", "object": None},
    {"kind": "object", "object": "base"},
]
KEYS = {"source", "source_time", "segment", "demonstration", "objects"}


@pytest.fixture(scope="module")
def copies(api: httpx.Client) -> dict[str, Any]:
    """COPIES' job, done."""
    upload = api.post(
        "/v1/motions", content=motions_parquet.to_parquet(MOTIONS), headers={"Content-Type": "application/octet-stream"}
    ).raise_for_status()
    assert upload.json()["spans"]["block"]["min"] == pytest.approx(
        np.min([motion.objects[0].position[0] for motion in MOTIONS.motions], axis=0), abs=1e-6
    )
    return wait_until_ended(api, api.post("/v1/jobs", json=COPIES).raise_for_status().json()["id"])


@pytest.mark.parametrize("trajectory_id", [0, 9, 10, 23])
def test_a_copy_is_what_its_shard_has(api: httpx.Client, copies: dict[str, Any], trajectory_id: int) -> None:
    answer = api.get(f"/v1/jobs/{copies['id']}/trajectories/{trajectory_id}").raise_for_status().json()
    index, place = divmod(trajectory_id, 10)
    content = api.get(f"/v1/jobs/{copies['id']}/shards/{index}").content
    row = pq.read_table(pa.BufferReader(content)).slice(place, 1).to_pylist()[0]
    assert answer["trajectory_id"] == trajectory_id
    assert answer["source"] == row["source"]
    assert answer["demonstration"] == {"name": f"data/demo_{row['source']}", "segments": SEGMENTS}
    assert answer["segment"] == row["segment"]
    assert all(isinstance(one, int) for one in answer["segment"])
    np.testing.assert_allclose(answer["source_time"], row["source_time"], rtol=0, atol=1e-7)
    assert list(answer["objects"]) == ["block", "base"]
    for name, poses in answer["objects"].items():
        for part, width in (("position", 3), ("rotation_6d", 6)):
            wanted = np.reshape(row[f"object/{name}/{part}"], (row["length"], width))
            np.testing.assert_allclose(poses[part], wanted, rtol=0, atol=1e-7)


def test_a_preview_is_the_jobs_first_rows(api: httpx.Client, copies: dict[str, Any]) -> None:
    preview = api.post("/v1/preview", json={**COPIES, "count": 3}).raise_for_status().json()
    rows = [api.get(f"/v1/jobs/{copies['id']}/trajectories/{index}").json() for index in range(3)]
    assert preview["trajectories"] == rows


def test_other_rows_have_none_of_it(api: httpx.Client, finished: dict[str, Any]) -> None:
    assert not KEYS & api.get(f"/v1/jobs/{finished['id']}/trajectories/0").json().keys()
    (row,) = api.post("/v1/preview", json={**BODY, "count": 1}).raise_for_status().json()["trajectories"]
    assert not KEYS & row.keys()


def test_the_document_says_so(api: httpx.Client) -> None:
    document = api.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    assert set(schemas["CopyBody"]["properties"]) - set(schemas["TrajectoryBody"]["properties"]) == KEYS
    assert set(schemas["CopyBody"]["required"]) >= KEYS
    answer = document["paths"]["/v1/jobs/{job_id}/trajectories/{trajectory_id}"]["get"]["responses"]["200"]
    kinds = [{"$ref": f"#/components/schemas/{name}"} for name in ("CopyBody", "TrajectoryBody")]
    assert answer["content"]["application/json"]["schema"]["anyOf"] == kinds
    assert schemas["PreviewBody"]["properties"]["trajectories"]["items"]["anyOf"] == kinds


def test_lost_motions_are_named(tmp_path: Path) -> None:
    with (
        running_service(tmp_path / "data", "--engine", "process", "--workers", "1") as service,
        httpx.Client(base_url=service.url, timeout=60, trust_env=False) as api,
    ):
        kind = {"Content-Type": "application/octet-stream"}
        api.post("/v1/motions", content=motions_parquet.to_parquet(MOTIONS), headers=kind).raise_for_status()
        job = wait_until_ended(api, api.post("/v1/jobs", json={**COPIES, "count": 2}).raise_for_status().json()["id"])
        (kept,) = (tmp_path / "data").rglob(f"{job['id']}/motions-*.parquet")
        kept.unlink()
        said = problem(api.get(f"/v1/jobs/{job['id']}/trajectories/0"), 500)["detail"]
        assert "are missing; restore them, or make the dataset again" in said
        assert SHA256[:12] in said


def test_an_answer_grows_no_longer_for_its_objects() -> None:
    assert max_samples(0) == MAX_SAMPLES == 200_000
    assert max_samples(2) == 114_285
    assert max_samples(16) == 28_571


def test_a_place_that_never_moves_is_fixed() -> None:
    motion = MOTIONS.motions[0]
    begin = replace(motion.segments[0], relative_to=FIXED)
    fixed = replace(MOTIONS, motions=(replace(motion, segments=(begin, *motion.segments[2:])),))
    (said,) = Demonstrated.of(fixed).demonstrations
    assert [one["kind"] for one in json.loads(said)["segments"]] == ["fixed", "free", "object"]
