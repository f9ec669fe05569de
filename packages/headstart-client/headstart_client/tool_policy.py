"""A policy of tool poses as one of joint positions, by inverse kinematics near where the arm is."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from headstart_client.executor import Executor
from headstart_client.kinematics import POSE_WIDTH, Kinematics, between, pose_of
from headstart_client.limits import ArmLimits, Array
from headstart_client.policy_client import PolicyError

_SHARE = 0.9
"""Of the velocity limits that a way may need, so that the executor has something left to catch up with."""
_FIRST_S = 0.5
"""How far off a chunk's first pose may be: as far as joints get in this time [s]."""
_HALVINGS = 6
"""Of a step, before the tool stands still in it."""


class Way(NamedTuple):
    """Joint positions along a path of tool poses.

    Attributes:
        joints: (steps, dof) [rad] or [m].
        progress: (steps,) the pose that the tool is at, counted from 0; less than the step's own where it is slowed.
    """

    joints: Array
    progress: Array


class ToolPath:
    """A way along tool poses that no joint hurries on: where joints can't keep up, the tool goes slower along it."""

    def __init__(
        self,
        kinematics: Kinematics,
        limits: ArmLimits,
        step_s: float,
        *,
        apart_m: float = 1e-3,
        turned_rad: float = 1e-2,
    ) -> None:
        """Takes an arm.

        Args:
            kinematics: of the arm.
            limits: of its joints.
            step_s: from one pose to the next [s].
            apart_m: how far from the path the tool may be.
            turned_rad: likewise, of its rotation. An arm of five joints needs more, as it can't take every rotation.
        """
        self._kinematics, self._limits = kinematics, limits
        self._apart, self._turned = apart_m, turned_rad
        self._most, self._first = _SHARE * step_s * limits.velocity, _FIRST_S * limits.velocity

    def along(self, poses: Array, posture: Array) -> Way:
        """The way along poses (steps, 9), from joint positions (dof,) nearby.

        Where the arm would have to go faster than its joints do, as near a singularity, it takes more steps; where it
        gets no farther, at the end of its reach or at a joint's limit, it stays.

        Raises PolicyError: a rotation is none, or the first pose is too far from where the arm is.
        """
        try:
            path = [self._kinematics.tool(posture), *map(pose_of, poses)]
        except ValueError as error:
            raise PolicyError(str(error)) from error
        joints, place = self._step(path, np.asarray(posture, np.float64), 0.0, self._first)
        if place < 1:
            raise PolicyError(
                f"the chunk's first tool position {np.round(poses[0, :3], 4).tolist()} can't be reached in "
                f"{_FIRST_S:g} s from {np.round(path[0].translation, 4).tolist()} where the tool is"
            )
        way, progress = [joints], [0.0]
        for _ in poses[1:]:
            joints, place = self._step(path, joints, place, self._most)
            way.append(joints)
            progress.append(place - 1)
        return Way(np.array(way), np.array(progress))

    def _step(self, path: list[Any], joints: Array, place: float, most: Array) -> tuple[Array, float]:
        """Joints and place on the path after one step, or as much of it as they get on."""
        share = min(1.0, len(path) - 1 - place)
        for _ in range(_HALVINGS):
            if share <= 0:
                break
            index = min(int(place + share), len(path) - 2)
            target = between(path[index], path[index + 1], place + share - index)
            found = self._kinematics.near(target, joints, self._limits)
            needs = float((np.abs(found.joints - joints) / most).max())
            on_path = found.apart_m <= self._apart and found.turned_rad <= self._turned
            if on_path and needs <= 1:
                return found.joints, place + share
            share *= min(0.5, 0.9 / needs) if on_path else 0.5
        return joints, place


class ToolPolicy:
    """A policy of tool poses for an executor and a runner, which take and give joint positions."""

    def __init__(
        self, policy: Callable[[Any, Array | None], Any], path: ToolPath, kinematics: Kinematics, executor: Executor
    ) -> None:
        """Takes what it joins.

        Args:
            policy: from an observation and a prefix of poses to a chunk of poses, each pose (10,): position [m] 3, the
                first two rows of the rotation matrix 6, gripper. A PolicyClient, or a function.
            path: of the same arm and step.
            kinematics: of the same arm.
            executor: whose commands the chunks go on from.
        """
        self._policy, self._path, self._kinematics, self._executor = policy, path, kinematics, executor

    def __call__(self, observation: Any, prefix: Array | None = None) -> Array:
        """The chunk of joint positions (steps, dof + 1), gripper last, for an observation and a prefix of the same.

        Raises PolicyError as the policy does, or where its poses can't be carried out.
        """
        posture = self._executor.position
        chunk = np.asarray(self._policy(observation, None if prefix is None else self.tool_actions(prefix)))
        if chunk.ndim != 2 or chunk.shape[1] != POSE_WIDTH + 1 or not np.isfinite(chunk).all():
            raise PolicyError(
                f"its answer of shape {chunk.shape} is no chunk of tool poses and gripper, 10 numbers each"
            )
        way = self._path.along(chunk[:, :POSE_WIDTH], posture)
        behind = len(chunk) - 1 - way.progress[-1]
        if behind > 1e-6:
            self._executor.note("slowed", f"joints can't keep up with the tool: {behind:.1f} steps behind at its end")
        # The gripper waits for the tool.
        gripper = chunk[np.floor(way.progress + 1e-6).astype(int), POSE_WIDTH]
        return np.column_stack([way.joints, gripper])

    def tool_actions(self, joints: Array) -> Array:
        """Poses with gripper (n, 10) of joint positions with gripper (n, dof + 1)."""
        return np.column_stack([self._kinematics.poses(joints[:, :-1]), joints[:, -1]])
