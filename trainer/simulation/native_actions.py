"""A policy's actions in the numbers that an environment takes: the way back of a mapping's `[action]`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation as ScipyRotation

from shared.errors import ConfigError
from shared.rotation import matrix_to_quat_xyzw, matrix_to_rot6d, matrix_to_rotvec, rot6d_to_matrix
from trainer.data.action import GRIPPER, POSITION, ROTATION
from trainer.data.demonstrations.mapping.mapping import Gripper, Joints, Mapping, Rotation, split_columns
from trainer.data.demonstrations.mapping.motion import RawEpisode, commanded_motion, fixed_frames, observed_motion
from trainer.poses import Pose

FloatArray = NDArray[np.float64]

COLUMN = "action"
"""What a mapping calls the numbers that the environment takes."""


class NativeActions:
    """Turns actions into an environment's numbers and back. It remembers the last one: deltas may start there."""

    def __init__(self, mapping: Mapping, width: int, where: str) -> None:
        """`width` is of the environment's action. Raises ConfigError where the mapping doesn't set each number once."""
        self._mapping, self._width = mapping, width
        self._last: Any = None
        action = mapping.action
        parts = (action.position, action.rotation, action.joint_position, action.gripper)
        columns = [part.columns for part in parts if part is not None and not isinstance(part, str)]
        places = [place for one in columns for place in _places(one, width, where)]
        missing, twice = set(range(width)) - set(places), sorted({one for one in places if places.count(one) > 1})
        if missing or twice:
            what = f"sets '{COLUMN}[{twice[0]}]' twice" if twice else f"sets no '{COLUMN}[{min(missing)}]'"
            raise ConfigError(f"{where}: the mapping {what}; the environment takes {width} numbers, each set once")
        joints = action.joint_position
        self.dof = len(_places(joints.columns, width, where)) if joints is not None else 0

    def reset(self) -> None:
        """A new episode begins."""
        self._last = None

    def numbers(self, wanted: NDArray[np.float64], observed: RawEpisode) -> NDArray[np.float32]:
        """(width,) that the environment takes, for a policy's action and what is observed now, an episode of a step."""
        action, found = self._mapping.action, np.zeros(self._width)
        if action.joint_position is not None:
            goal = wanted[:GRIPPER]
            start = self._start(observed) if action.mode == "delta" else None
            found[_part(action.joint_position.columns)] = joint_numbers(goal, action.joint_position, start)
            self._last = goal
        else:
            assert action.position is not None
            assert action.rotation is not None
            pose = wanted[POSITION], rot6d_to_matrix(wanted[ROTATION])
            frame = self._mapping.state.frame if action.mode == "delta" else action.frame
            goal_pose = fixed_frames(frame or "base").site_from_tcp(pose)
            moved = self._delta(goal_pose, self._start(observed)) if action.mode == "delta" else goal_pose
            found[_part(action.position.columns)] = moved[0] / action.position.scale
            found[_part(action.rotation.columns)] = rotation_numbers(moved[1], action.rotation)
            self._last = goal_pose
        if isinstance(action.gripper, Gripper):
            gripper = action.gripper
            closing = (float(np.clip(wanted[GRIPPER], -1, 1)) + 1) / 2
            found[_part(gripper.columns)] = gripper.open + closing * (gripper.closed - gripper.open)
        return np.asarray(found, np.float32)

    def action(self, native: NDArray[np.floating], observed: RawEpisode) -> NDArray[np.float32]:
        """A policy's action that the environment's (width,) numbers mean, for what is observed now."""
        columns = {**observed.columns, COLUMN: np.asarray(native, np.float64).reshape(1, -1)}
        raw = RawEpisode(observed.name, columns, {})
        seen = observed_motion(raw, self._mapping.state)
        actions = commanded_motion(raw, self._mapping, seen).actions(self._mapping.action.space)
        return np.asarray(actions[0])

    def _start(self, observed: RawEpisode) -> Any:
        """The joints, or the pose in the environment's frames, that a delta starts from."""
        if self._mapping.action.delta_from == "command" and self._last is not None:
            return self._last
        if self._mapping.action.space == "joint_position":
            joints = observed_motion(observed, self._mapping.state).joint_position
            assert joints is not None
            return joints[0]
        state = self._mapping.state.model_copy(update={"frame": "base"})
        pose = observed_motion(observed, state).pose
        assert pose is not None
        return pose[0][0], pose[1][0]

    def _delta(self, goal: Pose, start: Pose) -> Pose:
        """Shift and turn from one pose to another, in the axes of the base or of the tool."""
        shift, back = goal[0] - start[0], start[1].T
        if self._mapping.action.delta_axes == "tool":
            return back @ shift, back @ goal[1]
        return shift, goal[1] @ back


def joint_numbers(goal: FloatArray, joints: Joints, start: FloatArray | None = None) -> FloatArray:
    """(dof,) joint positions [rad or m] as the mapping has them, or their change from `start`."""
    values = goal if start is None else goal - start
    if joints.offset is not None and start is None:
        values = values - np.array(joints.offset)
    if joints.sign is not None:
        values = values * np.array(joints.sign)
    if joints.unit == "deg":
        return np.rad2deg(values)
    if joints.unit == "rad":
        return values / joints.scale
    low, high = np.array(joints.low), np.array(joints.high)
    bottom, top = joints.normalized_range
    share = (values if start is not None else values - low) / (high - low)
    return np.asarray(share * (top - bottom) + (0 if start is not None else bottom))


def rotation_numbers(matrix: FloatArray, rotation: Rotation) -> FloatArray:
    """A rotation matrix (3, 3) in the mapping's encoding."""
    encoding = rotation.encoding
    if encoding == "quat_xyzw":
        return matrix_to_quat_xyzw(matrix)
    if encoding == "quat_wxyz":
        return np.roll(matrix_to_quat_xyzw(matrix), 1)
    if encoding in ("euler", "rotation_vector"):
        radians = (
            matrix_to_rotvec(matrix)
            if encoding == "rotation_vector"
            else ScipyRotation.from_matrix(matrix).as_euler(rotation.axes or "")
        )
        return np.rad2deg(radians) if rotation.unit == "deg" else np.asarray(radians / rotation.scale)
    if encoding == "matrix":
        return matrix.reshape(-1)
    return matrix_to_rot6d(matrix if encoding == "rot6d" else matrix.T)


def _part(columns: str) -> slice:
    return split_columns(columns)[1]


def _places(columns: str, width: int, where: str) -> list[int]:
    name, part = split_columns(columns)
    if name != COLUMN or (part.stop or 0) > width:
        raise ConfigError(
            f"{where}: '{columns}' is not of the environment's action; write '{COLUMN}[0]' to '{COLUMN}[{width - 1}]'"
        )
    return list(range(*part.indices(width)))
