"""What an arm was told to do, and what it was seen to do, out of a data set's columns."""

from collections.abc import Mapping as Dict
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from shared.rotation import matrix_to_rot6d, quat_xyzw_to_matrix
from trainer.config import ActionName
from trainer.data.action import join_action, join_joint_action
from trainer.data.demonstrations.formats.robosuite_frames import COMMANDED, OBSERVED_HAND, OBSERVED_SITE
from trainer.data.demonstrations.mapping.encodings import gripper_commands, joint_positions, matrices, positions
from trainer.data.demonstrations.mapping.mapping import (
    Action,
    FixedPose,
    Frame,
    Mapping,
    Position,
    Rotation,
    State,
    split_columns,
)
from trainer.poses import Frames, Pose, compose, invert

FloatArray = NDArray[np.float64]

_NO_SCENE = (
    "frame is 'robosuite', but the file does not hold the scene of a Panda there ('model_file'); write the frame as "
    "base and tool"
)


@dataclass(frozen=True, eq=False)
class RawEpisode:
    """An episode of T steps as its data set has it.

    Attributes:
        name: its name there.
        columns: each column's numbers, (T, width).
        frames: of the simulator that made it, where the file says them (robosuite_frames.py has their names).
        times: of each step, (T,) [s], where the file says them; they may be anything that a recorder wrote.
    """

    name: str
    columns: Dict[str, FloatArray]
    frames: Dict[str, Frames]
    times: FloatArray | None = None

    def select(self, columns: str) -> FloatArray:
        """(T, n) of `name`, `name[i]` or `name[i:j]`. Raises ValueError where it has no such components."""
        name, part = split_columns(columns)
        values = self.columns[name]
        if part.stop is not None and part.stop > values.shape[1]:
            raise ValueError(f"'{columns}' asks for component {part.stop - 1}; '{name}' has {values.shape[1]}, from 0")
        return values[:, part]


@dataclass(frozen=True, eq=False)
class Motion:
    """T steps of an arm in our frames. What the mapping does not name is None.

    Attributes:
        pose: of the tool centre point in the base frame: (T, 3) [m] and (T, 3, 3).
        joint_position: (T, dof) [rad or m].
        gripper: (T,) from -1 open to +1 closed.
    """

    pose: Pose | None = None
    joint_position: FloatArray | None = None
    gripper: FloatArray | None = None

    def later(self, steps: int) -> "Motion":
        """At every step what this is so many steps later; the last one stays."""

        def shift(values: FloatArray | None) -> FloatArray | None:
            return None if values is None else values[np.minimum(np.arange(len(values)) + steps, len(values) - 1)]

        pose = None if self.pose is None else (shift(self.pose[0]), shift(self.pose[1]))
        return Motion(pose, shift(self.joint_position), shift(self.gripper))  # type: ignore[arg-type]

    def actions(self, space: ActionName) -> NDArray[np.float32]:
        """(T, 10) `ee_pose` or (T, dof + 1) `joint_position`."""
        assert self.gripper is not None
        if space == "ee_pose":
            assert self.pose is not None
            return join_action(self.pose[0], matrix_to_rot6d(self.pose[1]), self.gripper)
        assert self.joint_position is not None
        return join_joint_action(self.joint_position, self.gripper)


def observed_motion(raw: RawEpisode, state: State) -> Motion:
    """What the arm was seen to do. Raises ValueError where a column does not hold what the mapping says."""
    pose = None
    if state.position is not None and state.rotation is not None:
        pose = _ours(_pose(raw, state.position, state.rotation), state.frame, raw, _observed_frame(state.rotation))
    joints = state.joint_position
    gripper = state.gripper
    return Motion(
        pose,
        None if joints is None else joint_positions(raw.select(joints.columns), joints),
        None if gripper is None else gripper_commands(raw.select(gripper.columns), gripper, observed=True),
    )


def object_poses(raw: RawEpisode, mapping: Mapping) -> dict[str, Pose]:
    """Poses of the task's objects in the base frame. Raises ValueError as `observed_motion`."""
    found = {}
    for name, thing in mapping.objects.items():
        pose = _pose(raw, thing.position, thing.rotation)
        if isinstance(thing.frame, Frame):
            pose = compose(invert(_fixed(thing.frame.base)), compose(pose, _fixed(thing.frame.tool)))
        elif thing.frame == "robosuite":
            if OBSERVED_HAND not in raw.frames:
                raise ValueError(_NO_SCENE)
            pose = raw.frames[OBSERVED_HAND].base_from_world(pose)
        found[name] = pose
    return found


def commanded_motion(raw: RawEpisode, mapping: Mapping, observed: Motion) -> Motion:
    """What a policy is to predict at each step. Raises ValueError as `observed_motion`."""
    action = mapping.action
    steps = len(next(iter(raw.columns.values())))
    gripper = (
        np.full(steps, -1.0)
        if action.gripper == "none"
        else gripper_commands(raw.select(action.gripper.columns), action.gripper)
    )
    if action.label == "reached":
        assert action.latency is not None
        return replace(observed.later(action.latency), gripper=gripper)
    if action.joint_position is not None:
        delta = action.mode == "delta"
        joints = joint_positions(raw.select(action.joint_position.columns), action.joint_position, delta=delta)
        if delta:
            assert observed.joint_position is not None
            joints = _from_joint_deltas(joints, observed.joint_position, action)
        return Motion(joint_position=joints, gripper=gripper)
    assert action.position is not None
    assert action.rotation is not None
    pose = _pose(raw, action.position, action.rotation)
    if action.mode == "absolute":
        return Motion(_ours(pose, action.frame or "base", raw, COMMANDED), gripper=gripper)
    # In the frames of the file: there its axes are meant.
    seen = observed_motion(raw, mapping.state.model_copy(update={"frame": "base"}))
    assert seen.pose is not None
    assert mapping.state.rotation is not None
    commanded = _from_deltas(pose, seen.pose, action)
    return Motion(_ours(commanded, mapping.state.frame, raw, _observed_frame(mapping.state.rotation)), gripper=gripper)


def _pose(raw: RawEpisode, position: Position, rotation: Rotation) -> Pose:
    return positions(raw.select(position.columns), position), matrices(raw.select(rotation.columns), rotation)


def _from_joint_deltas(deltas: FloatArray, observed: FloatArray, action: Action) -> FloatArray:
    if action.delta_from == "state":
        return observed + deltas
    return np.asarray(observed[:1] + np.cumsum(deltas, axis=0))


def _from_deltas(deltas: Pose, observed: Pose, action: Action) -> Pose:
    """Commanded poses from (T, 3) shifts and (T, 3, 3) turns."""
    if action.delta_from == "state":
        return _moved(observed, deltas, action)
    current = observed[0][0], observed[1][0]
    poses = []
    for shift, turn in zip(*deltas, strict=True):
        current = _moved(current, (shift, turn), action)
        poses.append(current)
    return np.stack([pose[0] for pose in poses]), np.stack([pose[1] for pose in poses])


def _moved(pose: Pose, delta: Pose, action: Action) -> Pose:
    """A pose moved by shift and turn about the pose's own position, given in the axes of the base or of the tool."""
    (position, rotation), (shift, turn) = pose, delta
    if action.delta_axes == "tool":
        return position + np.einsum("...ij,...j->...i", rotation, shift), rotation @ turn
    return position + shift, turn @ rotation


def _observed_frame(rotation: Rotation) -> str:
    """Which of robosuite's frames an observed rotation is of: newer files have both, by these names."""
    return OBSERVED_SITE if "site" in rotation.columns else OBSERVED_HAND


def _ours(pose: Pose, frame: Frame | str, raw: RawEpisode, kind: str) -> Pose:
    """A file's poses in our frames."""
    if frame != "robosuite":
        return fixed_frames(frame).tcp_from_site(pose)
    if kind not in raw.frames:
        raise ValueError(_NO_SCENE)
    return raw.frames[kind].tcp_from_site(pose)


def fixed_frames(frame: Frame | str) -> Frames:
    """The frames of poses that are in a fixed one, or as ours: "base"."""
    fixed = frame if isinstance(frame, Frame) else Frame()
    return Frames(_fixed(fixed.base), _fixed(fixed.tool))


def _fixed(pose: FixedPose) -> Pose:
    return np.array(pose.position), quat_xyzw_to_matrix(np.array(pose.quat_xyzw))
