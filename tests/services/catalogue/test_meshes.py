import argparse
import struct
from pathlib import Path

import coal
import numpy as np
import pytest

from services.catalogue import mesh_hulls
from services.catalogue.mesh_hulls import mesh_hulls as read_hulls
from services.catalogue.mesh_sources import MeshFiles, MeshFolder, package_root
from services.catalogue.own_files import OwnFiles, stl_bytes, stl_points
from services.commands import own_robot
from services.synthesis.arm.links import robot_links
from services.synthesis.arm.robot_model import robot_model
from services.synthesis.pipeline import ShardPlan, synthesize
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.errors import RobotError
from tests.services.catalogue.own import GANTRY, own

MESH = GANTRY.replace('<sphere radius="0.05"/>', '<mesh filename="package://gantry/meshes/fore.obj" scale="1 2 -0.5"/>')
_CORNERS = np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0], [0, 0, 0.1], [0.02, 0.02, 0.02]])
"""A tetrahedron, and a point inside it."""
OBJ = "\n".join(f"v {x} {y} {z}" for x, y, z in _CORNERS) + "\nf 1 2 3\nf 1 2 4\nf 1 3 4\nf 2 3 4\nf 1 2 5\n"


def test_meshes_are_read_scaled_and_reduced_to_their_hulls() -> None:
    arm = own(MESH, meshes=MeshFiles({"meshes/fore.obj": OBJ.encode()}))
    assert isinstance(arm.files, OwnFiles)
    assert arm.notes == own().notes
    ((name, hull),) = arm.files.hulls
    np.testing.assert_allclose(np.sort(stl_points(hull, name), axis=0), np.sort(_CORNERS[:4], axis=0), atol=1e-8)
    links = robot_links(robot_model(arm))
    shape = links.hulls[links.names.index("fore")]
    offset = robot_model(arm).chain_offset(int(links.joint[links.names.index("fore")]))
    points = (np.array([shape.point(i) for i in range(shape.num_points)]) - offset.translation) @ offset.rotation
    expected = _CORNERS[:4] * [1, 2, -0.5] + [0.1, 0, 0]
    np.testing.assert_allclose(
        points[np.lexsort(points.T.round(6))], expected[np.lexsort(expected.T.round(6))], atol=1e-7
    )


def test_missing_meshes_are_left_out_and_said_to_be() -> None:
    arm = own(MESH)
    assert any("were not supplied" in note and "fore" in note for note in arm.notes)
    assert "mesh" not in arm.urdf
    assert len(robot_links(robot_model(arm)).names) == len(robot_links(robot_model(own())).names) - 1
    bare = "".join(
        part.partition("</collision>")[2] if "</collision>" in part else part for part in GANTRY.split("<collision>")
    )
    nothing = own(bare)
    assert any("no collision geometry at all" in note for note in nothing.notes)
    request = TrajectoryRequest.parse({"robot": nothing.name, "count": 3}, lambda _: nothing)
    assert synthesize(ShardPlan(request, 0, 0, 3)).table.num_rows == 3


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("gantry/meshes/a.stl", "package://gantry/meshes/a.stl"),
        ("meshes/a.stl", "package://gantry/meshes/a.stl"),
        ("urdf/a.stl", "a.stl"),
        ("meshes/a.stl", "../meshes/a.stl"),
    ],
)
def test_meshes_are_found_where_packages_have_them(place: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "urdf").mkdir(exist_ok=True)
    path.write_bytes(b"content")
    assert MeshFolder(tmp_path, tmp_path / "urdf").find(name) == b"content"
    assert MeshFiles({place: b"content"}, "urdf/robot.urdf").find(name) == b"content"
    assert MeshFiles({f"top/{place}": b"content"}, "top/urdf/robot.urdf").find(name) == b"content"
    assert MeshFiles({"other.stl": b"content"}, "urdf/robot.urdf").find(name) is None


def test_meshes_that_cannot_be_read_are_named() -> None:
    endless = struct.pack("<80xI", 2**32 - 1) + b"\0" * 500
    flat_nan = stl_bytes(np.full((4, 3, 3), np.nan))
    for name, content in (
        ("a.stl", endless),
        ("a.stl", flat_nan),
        ("a.dae", b"<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><COLLADA>&e;</COLLADA>"),
        ("a.ply", b"ply\nformat ascii 1.0\nelement vertex 99999999999\n"),
    ):
        with pytest.raises(RobotError, match=f"mesh '{name}' can't be read"):
            read_hulls({name: content})
    with pytest.raises(RobotError, match=r"'a\.glb': only \.stl, \.obj, \.dae, \.ply files are read"):
        read_hulls({"a.glb": b"glTF"})
    with pytest.raises(RobotError, match="more than 64 MiB together"):
        read_hulls({"a.stl": bytes(mesh_hulls.MAX_BYTES + 1)})


def test_a_reader_that_crashes_or_hangs_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "reader.py"
    monkeypatch.setattr(mesh_hulls, "_PROGRAM", program)
    monkeypatch.setattr(mesh_hulls, "_WAIT_S", 3.0)
    program.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    with pytest.raises(RobotError, match=r"mesh 'a\.stl' can't be read: the reader crashed on it"):
        read_hulls({"a.stl": b"x"})
    program.write_text("while True: pass\n")
    with pytest.raises(RobotError, match="could not be read within 3 s"):
        read_hulls({"a.stl": b"x"})


def test_an_obj_names_no_other_file() -> None:
    fifo = b"mtllib /dev/zero\n  MTLLIB ../secret.mtl\n" + OBJ.encode()
    hulls = read_hulls({"a.obj": fifo, "b.obj": OBJ.encode()})
    assert hulls["a.obj"] == hulls["b.obj"]


def test_flat_meshes_have_hulls_too() -> None:
    square = np.array([[[0, 0, 0], [1, 0, 0], [1, 1, 0]], [[0, 0, 0], [1, 1, 0], [0, 1, 0]]], float)
    (hull,) = read_hulls({"plate.stl": stl_bytes(square)}).values()
    points = stl_points(hull, "plate.stl")
    np.testing.assert_allclose([points.min(0), points.max(0)], [[0, 0, 0], [1, 1, 0]], atol=2e-3)
    solid = coal.StdVec_Vec3s()
    for point in points:
        solid.append(point)
    assert coal.Convex.convexHull(solid, True, "Qt").num_points == 8


def test_only_whole_stl_files_are_hulls() -> None:
    triangles = np.random.default_rng(0).random((5, 3, 3))
    content = stl_bytes(triangles)
    np.testing.assert_allclose(stl_points(content, "a"), np.unique(triangles.astype(np.float32).reshape(-1, 3), axis=0))
    for wrong in (content[:-1], content + b"\0", content[:50], stl_bytes(triangles[:0]), stl_bytes(triangles * np.inf)):
        with pytest.raises(RobotError, match="mesh 'a'"):
            stl_points(wrong, "a")


@pytest.mark.parametrize("mesh", ["package://arm_description/meshes/fore.obj", "../meshes/fore.obj"])
@pytest.mark.parametrize(
    ("folder", "marked"), [("urdf", False), ("urdf", True), ("robots", False), ("urdf/left", True)]
)
def test_a_package_is_found_by_its_layout(tmp_path: Path, mesh: str, folder: str, marked: bool) -> None:
    root = tmp_path / "arm_description"
    (root / folder).mkdir(parents=True)
    (root / "meshes").mkdir()
    (root / "meshes" / "fore.obj").write_text(OBJ)
    if marked:
        (root / "package.xml").write_text("<package/>")
    if folder == "urdf/left":
        mesh = mesh.replace("../", "../../")
    urdf = root / folder / "arm.urdf"
    urdf.write_text(MESH.replace("package://gantry/meshes/fore.obj", mesh))
    parser = argparse.ArgumentParser()
    own_robot.add_arguments(parser)
    arm = own_robot.own_robot(parser.parse_args(["--urdf", str(urdf), "--tip", "tool"]))
    assert arm is not None
    assert len(arm.meshes()) == 1
    assert not any("supplied" in note for note in arm.notes)


def test_what_lies_outside_of_the_package_needs_its_folder(tmp_path: Path) -> None:
    for name in ("arm_description/urdf", "other_description/meshes"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "other_description/meshes/fore.obj").write_text(OBJ)
    urdf = tmp_path / "arm_description/urdf/arm.urdf"
    parser = argparse.ArgumentParser()
    own_robot.add_arguments(parser)
    said = ["--urdf", str(urdf), "--tip", "tool"]
    urdf.write_text(MESH.replace("package://gantry/meshes/fore.obj", "package://other_description/meshes/fore.obj"))
    arm = own_robot.own_robot(parser.parse_args(said))
    assert arm is not None
    looked = f"they were looked for in {tmp_path / 'arm_description'}; name the folder that holds them with --meshes"
    assert f"collision meshes of these links were not supplied, and are not checked: fore; {looked}" in arm.notes
    arm = own_robot.own_robot(parser.parse_args([*said, "--meshes", str(tmp_path)]))
    assert arm is not None
    assert len(arm.meshes()) == 1
    urdf.write_text(MESH.replace("package://gantry/meshes/fore.obj", "../../other_description/meshes/fore.obj"))
    with pytest.raises(RobotError, match=f"leads outside the robot's own files; {looked}"):
        own_robot.own_robot(parser.parse_args(said))
    assert own_robot.own_robot(parser.parse_args([*said, "--meshes", str(tmp_path)])) is not None


def test_a_urdf_without_a_package_has_its_own_folder(tmp_path: Path) -> None:
    assert package_root(tmp_path / "arm.urdf", b"<robot/>") == tmp_path.resolve()
