import json
from pathlib import Path
from typing import Any

import pytest

from shared.errors import ConfigError
from trainer.data.demonstrations.mapping.mapping import split_columns
from trainer.data.demonstrations.mapping.mapping_file import parse_mapping, read_mapping

GRIPPER = {"columns": "action[6]", "open": 1, "closed": -1}
POSE = {
    "position": {"columns": "action[0:3]"},
    "rotation": {"columns": "action[3:6]", "encoding": "rotation_vector"},
}
STATE = {"position": {"columns": "p"}, "rotation": {"columns": "q", "encoding": "quat_xyzw"}}
JOINTS = {"columns": "action[0:6]"}

TOML = """
task = "pick"
rate_hz = 30

[observation]
low_dim = ["observation.state", "object[0:3]"]
cameras = ["front"]
image_size = [96, 128]

[action]
space = "ee_pose"
gripper = {columns = "action[6]", open = 1, closed = -1}
position = {columns = "action[0:3]", scale = 0.001}
rotation = {columns = "action[3:6]", encoding = "euler", axes = "ZYX", unit = "deg"}
frame = {base = {position = [0.5, 0, 0.9]}}
"""


def action(**values: Any) -> dict[str, Any]:
    return {"action": {"space": "ee_pose", "gripper": "none", **POSE, **values}}


def test_toml_and_json_say_the_same(tmp_path: Path) -> None:
    toml, other = tmp_path / "m.toml", tmp_path / "m.json"
    toml.write_text(TOML)
    mapping = read_mapping(toml)
    other.write_text(json.dumps(mapping.model_dump(exclude_unset=True)))
    assert read_mapping(other) == mapping
    assert mapping.observation.image_size == (96, 128)
    assert mapping.action.rotation is not None
    assert (mapping.action.rotation.axes, mapping.action.rotation.unit) == ("ZYX", "deg")
    assert mapping.rate_hz == 30.0


def test_columns_are_split() -> None:
    assert split_columns("observation.state") == ("observation.state", slice(None))
    assert split_columns("obs/object[6]") == ("obs/object", slice(6, 7))
    assert split_columns("action[2:10]") == ("action", slice(2, 10))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ({}, "m: action: is missing"),
        ([], "m: needs to be a table of keys"),
        ({"action": 5}, "action: needs to be a table of keys"),
        (action(lable="command"), "action.lable: is no key that is known here"),
        ({**action(), "rate_hz": "20"}, "rate_hz: should be a valid number"),
        ({**action(), "rate_hz": float("nan")}, "rate_hz: "),
        ({**action(), "rate_hz": 0}, "rate_hz: should be greater than 0"),
        (action(space="pose"), "action.space: should be 'ee_pose' or 'joint_position'"),
        (action(gripper="no"), "action.gripper: should be 'none' or a table of keys"),
        (action(gripper={"columns": "g", "open": 1}), "action.gripper.closed: is missing"),
        (action(gripper={"columns": "g", "open": 1, "closed": 1.0}), "action.gripper: open and closed are both 1"),
        (action(position={"columns": "a[3:3]"}), r"action.position.columns: 'a\[3:3\]' names no column"),
        (action(position={"columns": "a[0:3"}), "names no column; write"),
        (action(position=None), "action: position is missing; space 'ee_pose', label 'command' and mode 'absolute'"),
        (action(rotation={"columns": "r", "encoding": "quat"}), "action.rotation.encoding: should be 'quat_xyzw',"),
        (action(rotation={"columns": "r", "encoding": "euler"}), "action.rotation: encoding 'euler' needs axes"),
        (action(rotation={"columns": "r", "encoding": "euler", "axes": "xYz"}), "axes is 'xYz'; it needs three of xyz"),
        (action(rotation={"columns": "r", "encoding": "euler", "axes": "xxz"}), "turns about one axis twice in a row"),
        (action(rotation={"columns": "r", "encoding": "rot6d", "unit": "deg"}), "encoding 'rot6d' has no unit"),
        (action(joint_position=JOINTS), "joint_position means nothing with space 'ee_pose'"),
        (action(latency=1), "latency means nothing with"),
        (action(label="reached"), "position means nothing with space 'ee_pose', label 'reached'"),
        (action(label="reached", position=None, rotation=None), "action: latency is missing"),
        (action(delta_axes="base"), "delta_axes means nothing with"),
        (action(mode="delta"), "delta_from is missing"),
        (action(mode="delta", delta_from="state", delta_axes="base"), "state.position is missing"),
        (action(mode="delta", delta_from="state", delta_axes="base", frame="base"), "frame means nothing with"),
        (action(frame="world"), "action.frame: should be 'base' or 'robosuite' or a table of keys"),
        (action(frame={"base": {"quat_xyzw": [0, 0, 0, 2]}}), "action.frame.base: quat_xyzw .* is no unit quaternion"),
        (action(frame={"bas": {}}), "action.frame.bas: is no key that is known here"),
        ({**action(), "state": {"position": {"columns": "p"}}}, "state: a pose needs both position and rotation"),
        ({**action(), "accept": ["all"]}, "accept.0: should be 'frame',"),
        ({**action(), "observation": {"image_size": [4, 96]}}, "observation.image_size.0: should be greater than"),
        (
            {
                "action": {
                    "space": "joint_position",
                    "gripper": "none",
                    "joint_position": JOINTS | {"unit": "normalized"},
                }
            },
            "action.joint_position: unit 'normalized' needs low and high",
        ),
        (
            {
                "action": {"space": "joint_position", "gripper": "none", "label": "reached", "latency": 1},
                "state": STATE,
            },
            "state.joint_position is missing",
        ),
    ],
)
def test_a_wrong_mapping_is_refused_by_its_key(content: Any, complaint: str) -> None:
    with pytest.raises(ConfigError, match=rf"^m: .*{complaint}" if not complaint.startswith("m:") else complaint):
        parse_mapping(content, "m")


def test_what_is_no_mapping_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    with pytest.raises(ConfigError, match=r"m\.toml: can't be read \(No such file"):
        read_mapping(path)
    path.write_text("task = pick")
    with pytest.raises(ConfigError, match=r"m\.toml: is not TOML"):
        read_mapping(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"m\.toml: is not TOML"):
        read_mapping(path)
    path.write_text("#" * 1_000_001)
    with pytest.raises(ConfigError, match="is larger than"):
        read_mapping(path)
    deep = tmp_path / "m.json"
    deep.write_text("[" * 100_000)
    with pytest.raises(ConfigError, match=r"m\.json: is not JSON"):
        read_mapping(deep)
