import time
from typing import Any

import httpx
import numpy as np
import pyarrow as pa

from shared import records
from shared.dataset import Dataset
from tests.services.api.conftest import wait_until_ended
from tests.services.example import LONG_BODY


def _all(reference: Dataset, name: str, width: int) -> Any:
    table = pa.concat_tables([reference.read_shard(commit) for commit in reference.commits()])
    return records.list_column(table.combine_chunks(), name)[0].reshape(-1, width).astype(np.float64)


def test_coverage_counts_every_sample_of_a_small_dataset(
    api: httpx.Client, finished: dict[str, Any], reference: Dataset
) -> None:
    body = api.get(f"/v1/jobs/{finished['id']}/coverage").raise_for_status().json()
    assert (body["shards"], body["sampled_rows"]) == (12, 230)
    q = _all(reference, "joint_position", 7)
    statistics = body["statistics"]["joint_position"]
    assert statistics["count"] == len(q)
    for name, expected in (("mean", q.mean(0)), ("std", q.std(0)), ("min", q.min(0)), ("max", q.max(0))):
        np.testing.assert_allclose(statistics[name], expected, rtol=1e-9, atol=1e-12)
    robot = reference.header.robot
    for i, joint in enumerate(body["histograms"]["joint_position"]):
        assert joint["joint"] == robot.joint_names[i]
        assert (joint["edges"][0], joint["edges"][-1]) == (robot.limits.lower[i], robot.limits.upper[i])
        assert joint["counts"] == np.histogram(q[:, i], joint["edges"])[0].tolist()
    position = _all(reference, "ee_position", 3)
    for plane, (a, b) in zip(body["histograms"]["ee_position"], ((0, 1), (0, 2), (1, 2)), strict=True):
        assert plane["axes"] == "xyz"[a] + "xyz"[b]
        expected, *_ = np.histogram2d(position[:, a], position[:, b], plane["edges"])
        assert np.array(plane["counts"]).tolist() == expected.tolist()
    # The tool's z axis is R's last column: the rows' last entries, and that of their cross product.
    rows = _all(reference, "ee_rotation_6d", 6)
    axis = np.stack([rows[:, 2], rows[:, 5], rows[:, 0] * rows[:, 4] - rows[:, 1] * rows[:, 3]], axis=1)
    sphere = body["histograms"]["tool_axis"]
    expected, *_ = np.histogram2d(axis[:, 2], np.arctan2(axis[:, 1], axis[:, 0]), sphere["edges"])
    # A sample on a border may fall to either side of it.
    assert np.abs(np.array(sphere["counts"]) - expected).sum() <= 4
    assert np.sum(sphere["counts"]) == len(q)
    assert sum(body["histograms"]["duration"]["counts"]) == sum(body["histograms"]["family"].values()) == 230


def test_coverage_of_a_job_with_no_shard_and_then_some(api: httpx.Client) -> None:
    job = api.post("/v1/jobs", json={**LONG_BODY, "shard_rows": 400, "seed": 77}).json()
    path = f"/v1/jobs/{job['id']}/coverage"
    first = api.get(path).raise_for_status().json()
    while (later := api.get(path).raise_for_status().json())["shards"] < 2:
        time.sleep(0.05)
    assert first["shards"] < later["shards"]
    assert later["sampled_rows"] == 256 * later["shards"]
    api.post(f"/v1/jobs/{job['id']}:cancel").raise_for_status()
    wait_until_ended(api, job["id"])
