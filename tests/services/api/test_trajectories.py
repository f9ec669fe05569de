"""Single rows as JSON, and the meshes of robots."""

from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.catalogue import ARMS
from tests.services.api.conftest import problem
from tests.services.example import BODY


@pytest.mark.parametrize("trajectory_id", [0, 19, 20, 117, 229])
def test_a_row_is_what_its_shard_has(api: httpx.Client, finished: dict[str, Any], trajectory_id: int) -> None:
    answer = api.get(f"/v1/jobs/{finished['id']}/trajectories/{trajectory_id}").json()
    index, place = divmod(trajectory_id, BODY["shard_rows"])
    content = api.get(f"/v1/jobs/{finished['id']}/shards/{index}").content
    row = pq.read_table(pa.BufferReader(content)).slice(place, 1).to_pylist()[0]
    for name in ("trajectory_id", "family", "attempts", "length", "duration", "rate_hz"):
        assert answer[name] == row[name]
    for name, width in (("joint_position", 7), ("joint_velocity", 7), ("ee_position", 3), ("ee_rotation_6d", 6)):
        wanted = np.asarray(row[name]).reshape(row["length"], width)
        np.testing.assert_allclose(np.asarray(answer[name]), wanted, rtol=0, atol=1e-7)
    assert answer["gripper"] == row["gripper"]


def test_rows_that_are_not_there(api: httpx.Client, finished: dict[str, Any]) -> None:
    path = f"/v1/jobs/{finished['id']}/trajectories"
    assert "0 to 229" in problem(api.get(f"{path}/230"), 404)["detail"]
    problem(api.get(f"{path}/-1"), 422)
    problem(api.get(f"{path}/1e3"), 422)
    problem(api.get(f"{path}/%2e%2e"), 422)
    problem(api.get(f"/v1/jobs/{'0' * 64}/trajectories/0"), 404)


@pytest.mark.parametrize("name", ["panda", "tiago_pro"])
def test_meshes_are_those_that_the_urdf_names(api: httpx.Client, name: str) -> None:
    arm = ARMS[name]
    assert set(arm.meshes()) <= arm.named_meshes
    file = next(mesh for mesh in sorted(arm.named_meshes) if mesh.lower().endswith((".stl", ".dae")))
    path = api.get(f"/v1/robots/{name}").json()["links"]["mesh"]
    answer = api.get(path, params={"file": file})
    assert answer.content == arm.files.mesh(file)
    assert answer.headers["content-type"] == "application/octet-stream"
    again = api.get(path, params={"file": file}, headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize(
    "file",
    [
        "",
        "/etc/passwd",
        "../../../../etc/passwd",
        "package://../../../etc/passwd",
        "package://example-robot-data",
        "\0",
    ],
)
def test_no_other_file_is_a_mesh(api: httpx.Client, file: str) -> None:
    problem(api.get("/v1/robots/panda/mesh", params={"file": file}), 404)
    problem(api.get("/v1/robots/panda/mesh"), 422)
    problem(api.get("/v1/robots/pandora/mesh", params={"file": file}), 404)
