"""A user's robot from its file to checked data: on the command line, resumed, and audited from the dataset alone."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from services.__main__ import main
from services.engine.stored_request import request_of
from services.jobs import begin
from services.synthesis.pipeline import plan_shards, synthesize
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.dataset import Dataset
from shared.errors import RobotError
from tests.services.catalogue.own import GANTRY, own
from tests.services.example import contents, write_request

BODY = {"count": 24, "seed": 2, "shard_rows": 12, "speed_scale": [0.5, 1.0], "workspace": {"kind": "reachable"}}


def _urdf(folder: Path, text: str = GANTRY) -> str:
    (folder / "robot.urdf").write_text(text)
    return str(folder / "robot.urdf")


def _generate(folder: Path, *arguments: str, engine: str = "inline", body: dict[str, object] | None = None) -> int:
    request = write_request(folder, BODY if body is None else body)
    return main(["generate", "--request", str(request), "--out", str(folder / "data"), "--engine", engine, *arguments])


def test_a_urdf_and_its_tip_are_enough(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    urdf = _urdf(tmp_path)
    assert _generate(tmp_path, "--urdf", urdf, "--tip", "tool", engine="process") == 0
    assert "continuous joints move between -pi and pi: turn" in capsys.readouterr().err
    dataset = Dataset(tmp_path / "data")
    assert dataset.header.robot.name == own().name
    assert dataset.header.request["robot"] == {"name": own().name, "sha256": own().content_hash}
    # Its own file and this machine's catalogue are not needed any more.
    Path(urdf).unlink()
    moved = tmp_path / "elsewhere" / "data"
    moved.parent.mkdir()
    shutil.move(tmp_path / "data", moved)
    assert main(["audit", str(moved)]) == 0
    made = [synthesize(plan).table.num_rows for plan in plan_shards(request_of(Dataset(moved)))]
    assert made == [12, 12]


def test_an_audit_knows_a_wrong_pose_of_a_users_robot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _generate(tmp_path, "--urdf", _urdf(tmp_path), "--tip", "tool") == 0
    other = own(GANTRY.replace('<origin xyz="0.2 0 0" rpy="0.1 0 0"/>', '<origin xyz="0.2 0 0.01" rpy="0.1 0 0"/>'))
    said = json.loads((tmp_path / "data/robot/robot.json").read_text())
    (tmp_path / "data/robot/robot.json").write_text(json.dumps({**said, "name": other.name}))
    (tmp_path / "data/robot/robot.urdf").write_bytes(other.files.urdf())
    header = json.loads((tmp_path / "data/dataset.json").read_text())
    header["robot"]["name"] = other.name
    (tmp_path / "data/dataset.json").write_text(json.dumps(header))
    capsys.readouterr()
    assert main(["audit", "--json", str(tmp_path / "data")]) == 1
    violations = {c["name"]: c["violations"] for c in json.loads(capsys.readouterr().out)["checks"]}
    assert violations["FK position"] > 0
    assert violations["robot's files are those of the request"] == 1


def test_a_job_goes_on_from_the_robot_beside_its_dataset(tmp_path: Path) -> None:
    arm = own()
    request = TrajectoryRequest.parse({**BODY, "robot": arm.name}, lambda _: arm)
    whole, part = begin(request, tmp_path / "whole"), begin(request, tmp_path / "part")
    for dataset, plans in ((whole, plan_shards(request)), (part, plan_shards(request)[:1])):
        for plan in plans:
            rows = synthesize(plan)
            dataset.publish(plan.index, rows.table, rows.attempts, rows.rejections)
    resumed = request_of(Dataset(tmp_path / "part"))
    assert resumed.dataset_id == request.dataset_id
    assert resumed.arm == arm
    rows = synthesize(plan_shards(resumed)[1])
    part.publish(1, rows.table, rows.attempts, rows.rejections)
    assert contents(Dataset(tmp_path / "part")) == contents(Dataset(tmp_path / "whole"))
    shutil.rmtree(tmp_path / "part/robot")
    with pytest.raises(RobotError, match=r"robot/robot\.json is missing"):
        request_of(Dataset(tmp_path / "part"))


@pytest.mark.parametrize(
    ("arguments", "body", "message"),
    [
        (["--tip", "tool"], BODY, "--tip says something of a robot of your own; give its --urdf too"),
        (["--urdf", "URDF"], BODY, "--urdf needs --tip"),
        (["--urdf", "nowhere.urdf", "--tip", "tool"], BODY, "nowhere.urdf can't be read: No such file"),
        (["--urdf", "URDF", "--tip", "hook"], BODY, "has no link 'hook'"),
        (["--urdf", "URDF", "--tip", "tool", "--jerk", "fast"], BODY, "--jerk='fast' is not a number"),
        (["--urdf", "URDF", "--tip", "tool"], {**BODY, "robot": "panda"}, "leave it out, or say 'gantry'"),
        (["--urdf", "/dev/zero", "--tip", "tool"], BODY, "at most 4,194,304 are read"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(
    arguments: list[str], body: dict[str, object], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [_urdf(tmp_path) if argument == "URDF" else argument for argument in arguments]
    assert _generate(tmp_path, *given, body=body) == 2
    assert message in capsys.readouterr().err.replace("\n", " ")
    assert not (tmp_path / "data").exists()


def test_said_limits_are_the_datasets(tmp_path: Path) -> None:
    said = ("--acceleration", "3", "--jerk", "30,30,40,40,50,50", "--home", "0.1,0,-0.5,0.5,0,0", "--base", "floor")
    body = {**BODY, "count": 4, "robot": "gantry"}
    assert _generate(tmp_path, "--urdf", _urdf(tmp_path), "--tip", "tool", *said, body=body) == 0
    limits = Dataset(tmp_path / "data").header.robot.limits
    assert limits.acceleration.tolist() == [3.0] * 6
    np.testing.assert_array_equal(limits.jerk, [30, 30, 40, 40, 50, 50])
