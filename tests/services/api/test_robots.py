import io
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.catalogue import ARMS
from services.catalogue.archive import read_archive
from services.catalogue.mesh_hulls import MAX_BYTES
from services.catalogue.robot_registry import RegistryFullError, RobotRegistry, UnknownRobotError
from services.synthesis.pipeline import robot_spec
from shared.errors import RobotError
from tests.services.api.conftest import problem, wait_until_ended
from tests.services.catalogue.own import GANTRY, own
from tests.services.catalogue.test_meshes import MESH, OBJ
from tests.services.example import REQUEST, running_service

_XML, _ZIP = {"Content-Type": "application/xml"}, {"Content-Type": "application/zip"}


def _archive(files: dict[str, bytes | str], kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _upload(api: httpx.Client, content: str | bytes, headers: dict[str, str] = _XML, **said: str) -> httpx.Response:
    return api.post("/v1/robots", params={"tip": "tool", **said}, content=content, headers=headers)


def test_the_catalogue_is_listed_with_limits_sources_and_urdfs(api: httpx.Client) -> None:
    robots = {robot["name"]: robot for robot in api.get("/v1/robots").json()["robots"]}
    assert list(ARMS) == sorted(ARMS, key=list(ARMS).index)
    assert set(ARMS) <= set(robots)
    for name, arm in ARMS.items():
        assert robots[name] == api.get(f"/v1/robots/{name}").json()
        assert robots[name]["limits_source"] == arm.limits_source
        assert len(robots[name]["home"]) == len(robots[name]["joint_names"]) == len(arm.joints)
        assert not robots[name]["uploaded"]
        urdf = api.get(robots[name]["links"]["urdf"])
        assert urdf.headers["content-type"] == "application/xml"
        assert urdf.content == arm.files.urdf()
    assert robots["panda"].items() >= robot_spec(REQUEST).to_json().items()
    problem(api.get("/v1/robots/pandora"), 404)
    problem(api.get("/v1/robots/pandora/urdf"), 404)
    problem(api.get("/v1/robots/..%2f..%2fetc"), 404)
    problem(api.delete("/v1/robots/panda"), 409)


def test_an_uploaded_robot_is_used_and_survives_the_service(tmp_path: Path) -> None:
    body: dict[str, Any] = {"count": 40, "seed": 3, "shard_rows": 20, "workspace": {"kind": "reachable"}}
    with (
        running_service(tmp_path / "data", "--engine", "process", "--workers", "1") as service,
        httpx.Client(base_url=service.url, timeout=90, trust_env=False) as api,
    ):
        first = _upload(api, _archive({"gantry/robot.urdf": MESH, "gantry/meshes/fore.obj": OBJ}), _ZIP)
        assert first.status_code == 201, first.text
        robot = first.json()
        assert first.headers["location"] == robot["links"]["self"]
        again = _upload(api, _archive({"robot.urdf": MESH + "\n", "meshes/fore.obj": OBJ}), _ZIP)
        assert (again.status_code, again.json()) == (200, robot)
        assert api.get(robot["links"]["self"]).json() == robot
        assert robot in api.get("/v1/robots").json()["robots"]
        assert b"package://robot/" in api.get(robot["links"]["urdf"]).content
        preview = api.post("/v1/preview", json={"robot": robot["name"], "count": 1}).raise_for_status().json()
        assert preview["robot"]["joint_names"] == robot["joint_names"]
        job = api.post("/v1/jobs", json={**body, "robot": robot["name"]}).raise_for_status().json()
        service.kill()
    with (
        running_service(tmp_path / "data", "--engine", "process", "--workers", "1") as service,
        httpx.Client(base_url=service.url, timeout=90, trust_env=False) as api,
    ):
        assert wait_until_ended(api, job["id"])["state"] == "succeeded"
        assert api.delete(robot["links"]["self"]).status_code == 204
        problem(api.get(robot["links"]["self"]), 404)
        problem(api.delete(robot["links"]["self"]), 404)
        refused = problem(api.post("/v1/jobs", json={**body, "robot": robot["name"]}), 422)
        assert refused["errors"][0]["pointer"] == "/robot"
        assert api.get(f"/v1/jobs/{job['id']}/manifest").json()["header"]["robot"]["name"] == robot["name"]


def test_what_is_wrong_with_an_upload_is_a_problem(api: httpx.Client) -> None:
    before = api.get("/v1/robots").json()
    bomb = "<!DOCTYPE r [<!ENTITY a 'b'>]><robot name='&a;'/>"
    for content, headers, said, status, message in (
        (GANTRY, {"Content-Type": "text/plain"}, {}, 415, "application/zip"),
        (bomb, _XML, {}, 422, "the URDF, line 1: has a document type"),
        (GANTRY, _XML, {"tip": "hook"}, 422, "the URDF: has no link 'hook'"),
        (GANTRY, _XML, {"jerk": "1,2"}, 422, "jerk has 2 values"),
        (GANTRY, _XML, {"home": "nan"}, 422, "home='nan' is not a number"),
        (GANTRY.replace("<sphere", '<mesh filename="../../x.stl"/><x'), _XML, {}, 422, "a geometry of one"),
        (b"PK\x03\x04broken", _ZIP, {}, 422, "the archive can't be read"),
        (_archive({"a.urdf": GANTRY, "b.urdf": GANTRY}), _ZIP, {}, 422, "'a.urdf', 'b.urdf'"),
        (bytes((32 << 20) + 1), _ZIP, {}, 413, "a robot has at most 33554432 bytes"),
    ):
        answer = problem(_upload(api, content, headers, **said), status)
        assert message in answer["detail"]
    problem(api.post("/v1/robots", content=GANTRY, headers=_XML), 422)
    assert api.get("/v1/robots").json() == before


def test_soft_limits_are_kept_unless_the_whole_range_is_asked_for(api: httpx.Client) -> None:
    lift = '<limit lower="-1.5" upper="1.2" velocity="2" effort="10"/>'
    soft = GANTRY.replace(lift, f'{lift}<safety_controller soft_lower_limit="-0.5" soft_upper_limit="9"/>')
    kept, whole = _upload(api, soft).json(), _upload(api, soft, soft_limits="false").json()
    assert (kept["limits"]["lower"][2], kept["limits"]["upper"][2]) == (-0.5, 1.2)
    assert "soft limits (safety_controller) are kept, where they are narrower: lift -0.5 to 1.2" in kept["notes"]
    assert (whole["limits"]["lower"][2], whole["limits"]["upper"][2]) == (-1.5, 1.2)
    for robot in (kept, whole):
        assert api.delete(f"/v1/robots/{robot['name']}").status_code == 204
    problem(_upload(api, soft, soft_limits="perhaps"), 422)


def test_archives_are_read_within_bounds_and_from_nowhere_else() -> None:
    name, urdf, meshes = read_archive(
        _archive({"a/r.urdf": GANTRY, "a/m/x.STL": b"1", "a/texture.png": b"2", "a/m/": b""})
    )
    assert (name, urdf.decode(), meshes) == ("a/r.urdf", GANTRY, {"a/m/x.STL": b"1"})
    # What a Mac adds, and what Windows does.
    others = {
        "__MACOSX/a/._r.urdf": "\0",
        "a/._r.urdf": "\0",
        "a/m/._x.stl": "\0",
        "a/.DS_Store": "",
        "a/Thumbs.db": "",
    }
    assert read_archive(_archive({"a/r.urdf": GANTRY, "a/m/x.stl": b"1", **others})) == (
        "a/r.urdf",
        GANTRY.encode(),
        {"a/m/x.stl": b"1"},
    )
    link = zipfile.ZipInfo("link.stl")
    link.external_attr = 0o120777 << 16
    holding = io.BytesIO()
    with zipfile.ZipFile(holding, "w") as archive:
        archive.writestr("r.urdf", GANTRY)
        archive.writestr(link, "/etc/passwd")
    locked = bytearray(_archive({"r.urdf": GANTRY}, zipfile.ZIP_STORED))
    for at in (6, locked.index(b"PK\x01\x02") + 8):
        locked[at] |= 1
    for content, message in (
        (holding.getvalue(), "holds a link, 'link.stl'"),
        (_archive({"r.urdf": GANTRY, "../x.stl": b""}), "names a file outside of it"),
        (_archive({"r.urdf": GANTRY, "/etc/x.stl": b""}), "names a file outside of it"),
        (_archive({"a\\r.urdf": GANTRY, "a\\m\\x.stl": b""}), r"with backslashes, such as 'a\\+r.urdf'; pack it with"),
        (_archive({"r.urdf": GANTRY, "a.stl": bytes(MAX_BYTES + 1)}), "too large: more than 64 MiB"),
        (_archive({"r.urdf": GANTRY, "a.stl": bytes(MAX_BYTES // 2), "b.stl": bytes(MAX_BYTES)}), "'b.stl' makes"),
        (_archive({"r.urdf": b" " * (5 << 20)}), "too large"),
        (_archive({f"{i}.txt": b"" for i in range(5001)}), "5001 files"),
        (_archive({"readme": b""}), "this one has none"),
        (bytes(locked), "can't be read"),
        (b"", "not a zip file"),
    ):
        with pytest.raises(RobotError, match=message):
            read_archive(content)


def test_a_shelf_takes_a_bounded_number_of_robots(tmp_path: Path) -> None:
    registry, arm = RobotRegistry(tmp_path / "robots", 1), own()
    assert registry.names() == sorted(ARMS)
    assert registry.add(arm)
    assert not registry.add(arm)
    assert RobotRegistry(tmp_path / "robots", 1).find(arm.name) == arm
    with pytest.raises(RegistryFullError, match="1 robots were uploaded already"):
        registry.add(own(acceleration=(1.0,)))
    registry.remove(arm.name)
    for name in (arm.name, "../robots", "a/b", "gantry-0123456789ab"):
        with pytest.raises(UnknownRobotError):
            registry.find(name)
    assert not list((tmp_path / "robots").iterdir())
