import json
from pathlib import Path

import pytest

from services.catalogue import arm_of, find_arm
from services.catalogue.mesh_sources import MeshFiles
from services.catalogue.robot_folder import read_robot, write_robot
from shared.errors import RobotError
from shared.storage import open_storage
from tests.services.catalogue.own import own
from tests.services.catalogue.test_meshes import MESH, OBJ


def test_what_is_written_beside_a_dataset_is_the_arm(tmp_path: Path) -> None:
    arm = own(MESH, meshes=MeshFiles({"meshes/fore.obj": OBJ.encode()}), home=(0.1, 0, 0, 0, 0, 0))
    storage = open_storage(tmp_path)
    write_robot(storage, arm)
    write_robot(storage, arm)
    assert read_robot(storage) == arm
    assert arm_of(arm.name, storage) == arm
    assert sorted(path.suffix for path in (tmp_path / "robot").iterdir()) == [".json", ".stl", ".urdf"]
    with pytest.raises(RobotError, match="the robot beside this dataset is 'gantry-"):
        arm_of("other-0123456789ab", storage)


def test_the_catalogues_arms_are_left_to_their_packages(tmp_path: Path) -> None:
    write_robot(open_storage(tmp_path), find_arm("panda"))
    assert not list(tmp_path.iterdir())
    assert arm_of("panda", open_storage(tmp_path)) is find_arm("panda")


def test_a_damaged_or_changed_robot_is_named(tmp_path: Path) -> None:
    arm = own(MESH, meshes=MeshFiles({"meshes/fore.obj": OBJ.encode()}))
    write_robot(open_storage(tmp_path), arm)
    folder = tmp_path / "robot"
    hull = next(folder.glob("*.stl"))
    said = json.loads((folder / "robot.json").read_text())
    changes: list[tuple[Path, bytes | None, str]] = [
        (folder / "robot.json", None, "robot/robot.json is missing"),
        (folder / "robot.json", b"{", "Invalid JSON"),
        (folder / "robot.json", json.dumps({**said, "extra": 1}).encode(), "extra"),
        (folder / "robot.json", json.dumps({**said, "name": "../x"}).encode(), "name"),
        (folder / "robot.json", json.dumps({**said, "home": [float("nan")] * 6}).encode(), "home"),
        (folder / "robot.json", json.dumps({**said, "jerk": [1e9] * 6}).encode(), "holds another robot than"),
        (folder / "robot.json", json.dumps({**said, "home": [0.0]}).encode(), "home has 1 values for 6 joints"),
        (folder / "robot.urdf", None, "robot/robot.urdf is missing"),
        (folder / "robot.urdf", b"<robot/>", "has no links"),
        (folder / "robot.urdf", (folder / "robot.urdf").read_bytes().replace(b'"0.4"', b'"0.5"'), "another robot"),
        (folder / "robot.urdf", (folder / "robot.urdf").read_bytes() + b"\n", "another robot"),
        (
            folder / "robot.urdf",
            (folder / "robot.urdf").read_bytes().replace(b"package://robot/", b"../"),
            "none of its own",
        ),
        (hull, None, "is missing"),
        (hull, hull.read_bytes()[:-50], "another robot"),
    ]
    for path, content, message in changes:
        before = path.read_bytes()
        path.unlink() if content is None else path.write_bytes(content)
        with pytest.raises(RobotError, match=message):
            read_robot(open_storage(tmp_path))
        path.write_bytes(before)
    assert read_robot(open_storage(tmp_path)) == arm
