"""A known data set, corrupted in many ways: the right mapping, or a question that offers it; never a wrong answer."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from shared.errors import ConfigError
from shared.rotation import matrix_to_quat_xyzw, matrix_to_rot6d, matrix_to_rotvec, rotvec_to_matrix
from tests.trainer.data.demonstrations.proposal.example import Change, Columns, Recording, chain_of, write
from tests.trainer.data.demonstrations.written import LIFT, unpack_lift
from trainer.data.demonstrations import open_source
from trainer.data.demonstrations.proposal.guess import Guess
from trainer.data.demonstrations.proposal.proposal import propose

FloatArray = NDArray[np.float64]

RIGHT: dict[str, Any] = {
    "action.space": "ee_pose",
    "action.mode": "absolute",
    "action.position": {"columns": "actions[0:3]"},
    "action.rotation": {"columns": "actions[3:6]", "encoding": "rotation_vector"},
    "action.frame": "base",
    "action.gripper": {"columns": "actions[6]", "open": -1.0, "closed": 1.0},
    "state.joint_position": {"columns": "obs/joint_pos"},
    "state.position": {"columns": "obs/eef_pos"},
    "state.rotation": {"columns": "obs/eef_quat", "encoding": "quat_xyzw"},
    "state.frame": "base",
    "state.gripper": {"columns": "obs/gripper_width", "open": 0.08, "closed": 0.0},
}
_TURN = rotvec_to_matrix(np.array([0.3, -0.5, 0.9]))
_TOOL_TURN = rotvec_to_matrix(np.array([0.2, 0.4, -0.7]))
_SIGNS = np.array([1, -1, 1, 1, -1, 1, 1])
_OFFSETS = np.array([0, 0.4, 0, -0.3, 0, 0, 0])


def _action(columns: Columns, **parts: FloatArray) -> Columns:
    """Commands with another position, rotation or gripper."""
    old = columns["actions"]
    return {"actions": np.c_[parts.get("position", old[:, :3]), parts.get("rotation", old[:, 3:6]),
                             parts.get("gripper", old[:, 6:])]}  # fmt: skip


def _euler(axes: str, *, degrees: bool = False) -> Change:
    return lambda columns, told, seen: _action(
        columns, rotation=Rotation.from_matrix(told.rotation).as_euler(axes, degrees=degrees)
    )


def _deltas(values: FloatArray) -> FloatArray:
    return np.concatenate([np.diff(values, axis=0), np.zeros_like(values[:1])])


def _seen_deltas(columns: Columns, told: Recording, seen: Recording, *, of_tool: bool = False) -> Columns:
    """Commands as motions that the arm makes at once, in units of 0.05 m and 0.5 rad."""
    shift, (early, late) = _deltas(seen.position), (seen.rotation[:-1], seen.rotation[1:])
    back = np.swapaxes(early, 1, 2)
    turn = np.r_[matrix_to_rotvec(back @ late if of_tool else late @ back), np.zeros((1, 3))]
    if of_tool:
        shift = np.einsum("nji,nj->ni", seen.rotation, shift)
    return _action(columns, position=shift / 0.05, rotation=turn / 0.5)


def _joint_commands(change: Callable[[Recording], FloatArray]) -> Change:
    return lambda columns, told, seen: {"actions": np.c_[change(told), told.gripper]}


def _other_base(columns: Columns, told: Recording, seen: Recording, turn: FloatArray = _TURN) -> Columns:
    shift = np.array([0.5, -0.2, 0.9])
    return {
        "obs/eef_pos": seen.position @ turn.T + shift,
        "obs/eef_quat": matrix_to_quat_xyzw(turn @ seen.rotation),
        **_action(columns, position=told.position @ turn.T + shift, rotation=matrix_to_rotvec(turn @ told.rotation)),
    }


def _other_tool(columns: Columns, told: Recording, seen: Recording, turn: FloatArray = _TOOL_TURN) -> Columns:
    shift = np.array([0.02, 0.01, -0.1])
    return {
        "obs/eef_pos": seen.position + seen.rotation @ shift,
        "obs/eef_quat": matrix_to_quat_xyzw(seen.rotation @ turn),
        **_action(
            columns,
            position=told.position + told.rotation @ shift,
            rotation=matrix_to_rotvec(told.rotation @ turn),
        ),
    }


_BASE = {"base": {"position": [0.5, -0.2, 0.9], "quat_xyzw": matrix_to_quat_xyzw(_TURN).tolist()}}
_TOOL = {"tool": {
    "position": (-_TOOL_TURN.T @ np.array([0.02, 0.01, -0.1])).tolist(),
    "quat_xyzw": matrix_to_quat_xyzw(_TOOL_TURN.T).tolist(),
}}  # fmt: skip
_JOINTS = {
    "action.space": "joint_position",
    "action.joint_position": {"columns": "actions[0:7]"},
    "action.gripper": {"columns": "actions[7]", "open": -1.0, "closed": 1.0},
}

CASES: dict[str, tuple[Change, Mapping[str, Any]]] = {
    "as it is": (lambda c, t, s: {}, {}),
    "quaternion wxyz": (
        lambda c, t, s: {"obs/eef_quat": np.roll(c["obs/eef_quat"], 1, axis=1)},
        {"state.rotation": {"columns": "obs/eef_quat", "encoding": "quat_wxyz"}},
    ),
    "observed millimetres": (
        lambda c, t, s: {"obs/eef_pos": 1000 * c["obs/eef_pos"]},
        {"state.position": {"columns": "obs/eef_pos", "scale": 0.001}},
    ),
    "commanded millimetres": (
        lambda c, t, s: _action(c, position=1000 * t.position),
        {"action.position": {"columns": "actions[0:3]", "scale": 0.001}},
    ),
    "joints in degrees": (
        lambda c, t, s: {"obs/joint_pos": np.rad2deg(s.joints)},
        {"state.joint_position": {"columns": "obs/joint_pos", "unit": "deg"}},
    ),
    "rotation vector in degrees": (
        lambda c, t, s: _action(c, rotation=np.rad2deg(matrix_to_rotvec(t.rotation))),
        {"action.rotation": {"columns": "actions[3:6]", "encoding": "rotation_vector", "unit": "deg"}},
    ),
    "euler xyz": (
        _euler("xyz"), {"action.rotation": {"columns": "actions[3:6]", "encoding": "euler", "axes": "xyz"}}
    ),
    "euler ZYX in degrees": (
        _euler("ZYX", degrees=True),
        {"action.rotation": {"columns": "actions[3:6]", "encoding": "euler", "axes": "ZYX", "unit": "deg"}},
    ),
    "observed rot6d": (
        lambda c, t, s: {"obs/eef_quat": matrix_to_rot6d(s.rotation)},
        {"state.rotation": {"columns": "obs/eef_quat", "encoding": "rot6d"}},
    ),
    "observed rot6d of columns": (
        lambda c, t, s: {"obs/eef_quat": matrix_to_rot6d(np.swapaxes(s.rotation, 1, 2))},
        {"state.rotation": {"columns": "obs/eef_quat", "encoding": "rot6d_columns"}},
    ),
    "base shifted": (
        lambda c, t, s: _other_base(c, t, s, np.eye(3)),
        {f"{table}.frame": {"base": {"position": [0.5, -0.2, 0.9]}} for table in ("state", "action")},
    ),
    "tool shifted": (
        lambda c, t, s: _other_tool(c, t, s, np.eye(3)),
        {f"{table}.frame": {"tool": {"position": [-0.02, -0.01, 0.1]}} for table in ("state", "action")},
    ),
    "joints turned": (
        lambda c, t, s: {"obs/joint_pos": s.joints * _SIGNS},
        {"state.joint_position": {"columns": "obs/joint_pos", "sign": _SIGNS.tolist()}},
    ),
    "zeros elsewhere": (
        lambda c, t, s: {"obs/joint_pos": s.joints - _OFFSETS},
        {"state.joint_position": {"columns": "obs/joint_pos", "offset": _OFFSETS.tolist()}},
    ),
    "turned, zeros elsewhere and degrees": (
        lambda c, t, s: {"obs/joint_pos": np.rad2deg((s.joints - _OFFSETS) * _SIGNS)},
        {"state.joint_position": {
            "columns": "obs/joint_pos", "unit": "deg", "sign": _SIGNS.tolist(), "offset": _OFFSETS.tolist()
        }},
    ),
    "gripper from 0, closed, to 1": (
        lambda c, t, s: _action(c, gripper=(t.gripper < 0).astype(float)),
        {"action.gripper": {"columns": "actions[6]", "open": 1.0, "closed": 0.0}},
    ),
    "gripper in per cent, open at 100": (
        lambda c, t, s: _action(c, gripper=50 - 50 * t.gripper),
        {"action.gripper": {"columns": "actions[6]", "open": 100.0, "closed": 0.0}},
    ),
    "joint commands": (_joint_commands(lambda t: t.joints), _JOINTS),
    "joint commands in degrees, turned": (
        _joint_commands(lambda t: np.rad2deg(t.joints * _SIGNS)),
        {**_JOINTS, "action.joint_position": {"columns": "actions[0:7]", "unit": "deg", "sign": _SIGNS.tolist()}},
    ),
    "joint commands, zeros elsewhere": (
        _joint_commands(lambda t: t.joints - _OFFSETS),
        {**_JOINTS, "action.joint_position": {"columns": "actions[0:7]", "offset": _OFFSETS.tolist()}},
    ),
}  # fmt: skip


def found_in(path: Path, robot: str | None = "panda") -> dict[str, Guess]:
    proposal = propose(open_source(path), path, robot, chain_of(robot) if robot else None)
    return {".".join(guess.key): guess for guess in proposal.guesses}


def said(reading: Any) -> Any:
    return reading.model_dump(exclude_defaults=True) if hasattr(reading, "model_dump") else reading


def is_same(a: Any, b: Any) -> bool:
    """Whether two readings say the same, numbers within 0.005 or 1 %; quaternions have no sign."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(
            is_same(a[key], b[key]) or (key == "quat_xyzw" and is_same(tuple(-v for v in a[key]), b[key])) for key in a
        )
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(is_same, a, b))
    if isinstance(a, int | float) and isinstance(b, int | float):
        return bool(np.isclose(a, b, rtol=0.01, atol=0.005 if abs(b) > 0.004 else 1e-4))
    return bool(a == b)


@pytest.mark.parametrize("case", CASES)
def test_a_corrupted_set_is_understood(tmp_path: Path, case: str) -> None:
    change, differences = CASES[case]
    right = {**RIGHT, **differences}
    found = found_in(write(tmp_path / "demos.hdf5", "panda", change))
    for key, guess in found.items():
        assert guess.is_sure, (key, guess)
        assert is_same(said(guess.readings[0]), right[key]), (key, guess)
    whole = right.keys() - ({"action.position", "action.rotation", "action.frame"} if "action.joint_position" in right
                            else {"action.frame"} if right["action.mode"] == "delta" else set())  # fmt: skip
    assert found.keys() == whole


def _both_quaternions(columns: Columns, told: Recording, seen: Recording) -> Columns:
    actions = np.c_[told.position, matrix_to_quat_xyzw(told.rotation), told.gripper]
    return {"actions": actions, "obs/joint_pos": np.zeros((len(actions), 0))}


def _offset(joint: int, by: float) -> Change:
    return lambda columns, told, seen: {"obs/joint_pos": seen.joints - by * np.eye(seen.joints.shape[1])[joint]}


def _noise(columns: Columns, told: Recording, seen: Recording) -> Columns:
    rng = np.random.default_rng(len(told.joints) + int(1e6 * abs(told.joints[0, 0])))
    return {"actions": np.c_[rng.normal(size=(len(told.joints), 7)), told.gripper]}


_QUATERNIONS = {
    "action.rotation": {"columns": "actions[3:7]", "encoding": "quat_xyzw"},
    "action.gripper": {"columns": "actions[7]", "open": -1.0, "closed": 1.0},
}
_NOTHING: Mapping[str, Any] = {}

UNCLEAR: dict[str, tuple[Change, Mapping[str, Any], dict[str, str], str | None]] = {
    "no kinematics, both quaternions": (
        _both_quaternions, _QUATERNIONS,
        {"action.rotation": "agree", "state.rotation": "agree"}
        | {"action.frame": "kinematics", "state.frame": "kinematics"},
        None,
    ),
    "no joints": (
        lambda c, t, s: {"obs/joint_pos": np.zeros((len(s.joints), 0))}, _NOTHING,
        {"action.frame": "kinematics", "state.frame": "kinematics"}, "panda",
    ),
    "zero of the first joint, or a base that is turned": (
        _offset(0, 0.3), {"state.joint_position": {"columns": "obs/joint_pos", "offset": [0.3, 0, 0, 0, 0, 0, 0]}},
        {"state.joint_position": "agree", "state.frame": "agree", "action.frame": "agree"}, "panda",
    ),
    "zero of the last joint, or a tool that is turned": (
        _offset(6, 0.3), {"state.joint_position": {"columns": "obs/joint_pos", "offset": [0, 0, 0, 0, 0, 0, 0.3]}},
        {"state.joint_position": "agree", "state.frame": "agree", "action.frame": "agree"}, "panda",
    ),
    "base turned, or the zero of the first joint": (
        _other_base, {"state.frame": _BASE, "action.frame": _BASE},
        dict.fromkeys(("state.joint_position", "state.frame", "action.frame"), "another zero"), "panda",
    ),
    "tool turned, or the zero of the last joint": (
        _other_tool, {"state.frame": _TOOL, "action.frame": _TOOL},
        dict.fromkeys(("state.joint_position", "state.frame", "action.frame"), "another zero"), "panda",
    ),
    "deltas": (
        _seen_deltas,
        {
            "action.mode": "delta", "action.delta_axes": "base", "action.delta_from": "state",
            "action.position": {"columns": "actions[0:3]", "scale": 0.05},
            "action.rotation": {"columns": "actions[3:6]", "encoding": "rotation_vector", "scale": 0.5},
        },
        {"action.position": "a part of the way", "action.rotation": "a part of the way"}, "panda",
    ),
    "deltas of the tool": (
        lambda c, t, s: _seen_deltas(c, t, s, of_tool=True),
        {
            "action.mode": "delta", "action.delta_axes": "tool", "action.delta_from": "state",
            "action.position": {"columns": "actions[0:3]", "scale": 0.05},
            "action.rotation": {"columns": "actions[3:6]", "encoding": "rotation_vector", "scale": 0.5},
        },
        {"action.position": "a part of the way", "action.rotation": "a part of the way"}, "panda",
    ),
    "joint deltas": (
        lambda c, t, s: {"actions": np.c_[_deltas(s.joints) / 0.1, t.gripper]},
        {
            **_JOINTS, "action.mode": "delta", "action.delta_from": "state",
            "action.joint_position": {"columns": "actions[0:7]", "scale": 0.1},
        },
        {"action.joint_position": "a part of the way"}, "panda",
    ),
    "normalized joints": (
        lambda c, t, s: {"obs/joint_pos": s.joints * np.array([31, 42, 36, 55, 29, 44, 38]) + 7}, _NOTHING,
        {f"state.{key}": "no reading agrees" for key in ("joint_position", "position", "rotation", "frame")}
        | {f"action.{key}": "nothing to agree with" for key in ("mode", "position", "rotation")}
        | dict.fromkeys(("action.space", "action.gripper"), "agrees with nothing"),
        "panda",
    ),
    "commands of something else": (
        _noise, _JOINTS,
        {"action.mode": "unexplained", **dict.fromkeys(("action.space", "action.gripper"), "agrees with nothing")},
        "panda",
    ),
    "a gripper that is not observed": (
        lambda c, t, s: {"obs/gripper_width": np.zeros((len(s.joints), 0))}, _NOTHING,
        {"action.gripper": "every episode begins with -1"}, "panda",
    ),
    "a gripper observed against its width": (
        lambda c, t, s: {"obs/gripper_width": 0.08 - c["obs/gripper_width"]},
        {"state.gripper": {"columns": "obs/gripper_width", "open": 0.0, "closed": 0.0713}},
        {"action.gripper": "width", "state.gripper": "width"}, "panda",
    ),
    "a gripper of no usual range": (
        lambda c, t, s: _action(c, gripper=np.clip(40 - 15 * t.gripper + np.linspace(0, 4, len(s.joints)), 20, 60)),
        {"action.gripper": {"columns": "actions[6]", "open": 100.0, "closed": 0.0}},
        {"action.gripper": "no usual range"}, "panda",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", UNCLEAR)
def test_what_can_not_be_told_is_asked(tmp_path: Path, case: str) -> None:
    change, differences, asked, robot = UNCLEAR[case]
    right = {**RIGHT, **differences}
    found = found_in(write(tmp_path / "demos.hdf5", "panda", change), robot)
    for key, guess in found.items():
        offered = [said(reading) for reading in guess.readings]
        if guess.is_sure:
            assert is_same(offered[0], right[key]), (key, guess)
        else:
            assert key in asked, (key, guess)
            assert asked[key] in guess.why, (key, guess)
            assert not offered or any(is_same(one, right[key]) for one in offered), (key, guess)
    assert {key for key, guess in found.items() if not guess.is_sure} == set(asked)


def test_commands_that_are_neither_joints_nor_poses_of_the_arm(tmp_path: Path) -> None:
    path = write(tmp_path / "demos.hdf5", "panda", lambda c, t, s: {"actions": _noise(c, t, s)["actions"][:, 1:]})
    with pytest.raises(
        ConfigError, match=r"can't tell what is commanded; as .*'actions\[0:3\]'.* and as .*'actions\[0:7\]'"
    ):
        found_in(path)


def test_a_recording_of_robosuite_is_understood_with_its_scene(tmp_path: Path) -> None:
    found = found_in(unpack_lift(tmp_path))
    assert all(guess.is_sure for guess in found.values())
    for table in ("action", "state"):
        for key in ("position", "rotation", "frame", "gripper"):
            reading, written = said(found[f"{table}.{key}"].readings[0]), LIFT[table][key]
            # The fingers' widest is what was seen of them.
            assert is_same(reading, written if key != "gripper" or table == "action" else written | {"open": 0.0394})
    assert said(found["state.joint_position"].readings[0]) == {"columns": "obs/robot0_joint_pos"}
