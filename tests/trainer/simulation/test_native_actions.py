"""A policy's actions in an environment's numbers, and back: one way is the mapping of demonstrations."""

from typing import Any

import numpy as np
import pytest

from shared.errors import ConfigError
from shared.rotation import matrix_to_quat_xyzw, matrix_to_rot6d, rot6d_to_matrix, rotvec_to_matrix
from trainer.data.demonstrations.mapping.mapping_file import parse_mapping
from trainer.data.demonstrations.mapping.motion import RawEpisode
from trainer.simulation.native_actions import NativeActions

GRIPPER = {"columns": "action[6]", "open": 0.08, "closed": 0.0}
POSITION = {"columns": "action[0:3]", "scale": 0.001}
JOINTS = {"space": "joint_position", "gripper": {"columns": "action[0]", "open": 1.0, "closed": -1.0}}
FRAME = {
    "base": {"position": [-0.5, 0.1, 0.9], "quat_xyzw": [0, 0, 0.6, 0.8]},
    "tool": {"position": [0, 0, 0.1], "quat_xyzw": [0, 0.6, 0, 0.8]},
}
ROTATIONS = [
    {"columns": "action[3:7]", "encoding": "quat_xyzw"},
    {"columns": "action[3:7]", "encoding": "quat_wxyz"},
    {"columns": "action[3:6]", "encoding": "rotation_vector", "unit": "deg"},
    {"columns": "action[3:6]", "encoding": "euler", "axes": "xyz"},
    {"columns": "action[3:6]", "encoding": "euler", "axes": "ZYX", "unit": "deg"},
    {"columns": "action[3:9]", "encoding": "rot6d"},
    {"columns": "action[3:9]", "encoding": "rot6d_columns"},
    {"columns": "action[3:12]", "encoding": "matrix"},
]
STATE = {
    "position": {"columns": "tool[0:3]"},
    "rotation": {"columns": "tool[3:7]", "encoding": "quat_xyzw"},
    "joint_position": {"columns": "joints"},
}


def native(action: dict[str, Any], width: int, state: dict[str, Any] | None = None) -> NativeActions:
    return NativeActions(parse_mapping({"action": action, "state": state or {}}, "here"), width, "here")


def observed(seed: int) -> RawEpisode:
    rng = np.random.default_rng(seed)
    pose = np.concatenate([rng.uniform(-0.5, 0.5, 3), matrix_to_quat_xyzw(rotvec_to_matrix(rng.uniform(-1, 1, 3)))])
    return RawEpisode("now", {"tool": pose[None], "joints": rng.uniform(-1, 1, (1, 3))}, {})


def wanted(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rotation = matrix_to_rot6d(rotvec_to_matrix(rng.uniform(-1, 1, 3)))
    return np.concatenate([rng.uniform(-0.5, 0.5, 3), rotation, rng.uniform(-1, 1, 1)])


@pytest.mark.parametrize("frame", ["base", FRAME])
@pytest.mark.parametrize("rotation", ROTATIONS, ids=lambda one: f"{one['encoding']}-{one.get('axes', '')}")
def test_poses_come_back(rotation: dict[str, Any], frame: Any) -> None:
    last = int(rotation["columns"].split(":")[1][:-1])
    gripper = GRIPPER | {"columns": f"action[{last}]"}
    action = {"space": "ee_pose", "position": POSITION, "rotation": rotation, "gripper": gripper, "frame": frame}
    actions = native(action, last + 1)
    for seed in range(10):
        numbers = actions.numbers(wanted(seed), observed(seed))
        assert numbers.shape == (last + 1,)
        assert numbers[last] == pytest.approx(0.04 * (1 - wanted(seed)[9]), abs=1e-6)
        np.testing.assert_allclose(actions.action(numbers, observed(seed)), wanted(seed), atol=2e-6)


@pytest.mark.parametrize("axes", ["base", "tool"])
@pytest.mark.parametrize("start", ["state", "command"])
def test_deltas_of_poses_come_back(start: str, axes: str) -> None:
    rotation = {"columns": "action[3:6]", "encoding": "rotation_vector", "scale": 0.5}
    action = {
        "space": "ee_pose", "mode": "delta", "delta_from": start, "delta_axes": axes, "rotation": rotation,
        "position": {"columns": "action[0:3]", "scale": 0.05}, "gripper": GRIPPER,
    }  # fmt: skip
    actions = native(action, 7, STATE | {"frame": FRAME})
    # Of a command before there is none at the start, and the mapping of an episode of one step knows none either.
    for seed in range(10):
        actions.reset()
        numbers = actions.numbers(wanted(seed), observed(seed))
        np.testing.assert_allclose(actions.action(numbers, observed(seed)), wanted(seed), atol=2e-6)
    again = actions.numbers(wanted(9), observed(3))
    still = np.abs(again[:6]).max() < 1e-6
    assert still == (start == "command")


def test_a_delta_by_hand() -> None:
    """From 0.2 to 0.3 m along x is 0.1 m, two units of 0.05 m."""
    action = {
        "space": "ee_pose", "mode": "delta", "delta_from": "state", "delta_axes": "base", "gripper": "none",
        "position": {"columns": "action[0:3]", "scale": 0.05},
        "rotation": {"columns": "action[3:6]", "encoding": "rotation_vector", "scale": 0.5},
    }  # fmt: skip
    now = RawEpisode("now", {"tool": np.array([[0.2, 0, 0, 0, 0, 0, 1]]), "joints": np.zeros((1, 3))}, {})
    goal = np.concatenate([[0.3, 0, 0], matrix_to_rot6d(rotvec_to_matrix(np.array([0, 0, 0.25]))), [1]])
    numbers = native(action, 6, STATE).numbers(goal, now)
    np.testing.assert_allclose(numbers, [2, 0, 0, 0, 0, 0.5], atol=1e-6)


@pytest.mark.parametrize(
    ("joints", "expected"),
    [
        ({}, [0.5, -1.0, 0.25]),
        ({"unit": "deg", "sign": [1, -1, 1], "offset": [0.5, 0, 0]}, np.rad2deg([0.0, 1.0, 0.25])),
        ({"unit": "normalized", "low": [-1.0] * 3, "high": [1.0] * 3}, [50.0, -100.0, 25.0]),
    ],
)
def test_joints_come_back(joints: dict[str, Any], expected: list[float]) -> None:
    actions = native({**JOINTS, "joint_position": {"columns": "action[1:4]", **joints}}, 4)
    goal = np.array([0.5, -1.0, 0.25, 1.0])
    numbers = actions.numbers(goal, observed(0))
    np.testing.assert_allclose(numbers, [-1.0, *expected], atol=1e-5)
    np.testing.assert_allclose(actions.action(numbers, observed(0)), goal, atol=1e-6)


@pytest.mark.parametrize("joints", [{"scale": 0.1}, {"unit": "normalized", "low": [-1.0] * 3, "high": [3.0] * 3}])
def test_deltas_of_joints_come_back(joints: dict[str, Any]) -> None:
    part = {"columns": "action[1:4]", **joints}
    actions = native({**JOINTS, "mode": "delta", "delta_from": "state", "joint_position": part}, 4, STATE)
    goal = np.array([0.5, -1.0, 0.25, -1.0])
    numbers = actions.numbers(goal, observed(1))
    np.testing.assert_allclose(actions.action(numbers, observed(1)), goal, atol=1e-6)
    way = goal[:3] - observed(1).columns["joints"][0]
    np.testing.assert_allclose(numbers[1:], way * (10 if "scale" in joints else 50), atol=1e-4)


def test_a_rotation_that_is_none_is_brought_to_one() -> None:
    action = {"space": "ee_pose", "position": POSITION, "gripper": "none", "rotation": ROTATIONS[5]}
    goal = wanted(0)
    goal[3:6] *= 3
    numbers = native(action, 9).numbers(goal, observed(0))
    np.testing.assert_allclose(numbers[3:], matrix_to_rot6d(rot6d_to_matrix(goal[3:9])), atol=1e-6)


@pytest.mark.parametrize(
    ("joints", "width", "said"),
    [
        ("action[1:4]", 5, r"sets no 'action\[4\]'; the environment takes 5 numbers, each set once"),
        ("action[0:4]", 4, r"sets 'action\[0\]' twice"),
        ("action[1:6]", 5, r"'action\[1:6\]' is not of the environment's action; write 'action\[0\]' to 'action\[4\]'"),
        ("joints", 4, r"'joints' is not of the environment's action"),
    ],
)
def test_every_number_is_set_once(joints: str, width: int, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        native({**JOINTS, "joint_position": {"columns": joints}}, width)
