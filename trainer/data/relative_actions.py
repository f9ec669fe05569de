"""Actions relative to a state: poses in the frame of the tool as it is now, joints as offsets from where they are.

A pose (p, R) in the frame of the tool's pose (p0, R0) is (R0^T (p - p0), R0^T R). The gripper stays as it is.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainer.config import ActionName, HeadConfig
from trainer.data.action import GRIPPER, POSITION, ROTATION, ActionRange

RANGE_NAMES: dict[ActionName, str] = {"ee_pose": "relative_position", "joint_position": "relative_joint_position"}
"""Of an action range's entries for relative actions."""
_ROOM = 1.5
"""Of the greatest distance that is seen, what the range of relative actions holds."""
_LEAST = 0.01
"""Of a range in metres or radians, where something hardly moves."""


def relative(actions: Tensor, state: Tensor, action: ActionName) -> Tensor:
    """Actions (n, steps, action_dim) in metres or radians relative to states (n, state_dim).

    A state is a pose of the tool, position 3 and rotation_6d 6, or joint positions (dof).
    """
    if action == "joint_position":
        return torch.cat([actions[..., :GRIPPER] - state[:, None], actions[..., GRIPPER:]], dim=-1)
    # Of row vectors: v R0 is R0^T v.
    turn = _matrices(state[:, ROTATION])
    position = (actions[..., POSITION] - state[:, None, POSITION]) @ turn
    rotation = turn.mT[:, None] @ _matrices(actions[..., ROTATION])
    return torch.cat([position, rotation[..., :2, :].flatten(-2), actions[..., GRIPPER:]], dim=-1)


def absolute(actions: Tensor, state: Tensor, action: ActionName) -> Tensor:
    """What `relative` was given, but for rotations, which are made orthonormal."""
    if action == "joint_position":
        return torch.cat([actions[..., :GRIPPER] + state[:, None], actions[..., GRIPPER:]], dim=-1)
    turn = _matrices(state[:, ROTATION])
    position = actions[..., POSITION] @ turn.mT + state[:, None, POSITION]
    rotation = turn[:, None] @ _matrices(actions[..., ROTATION])
    return torch.cat([position, rotation[..., :2, :].flatten(-2), actions[..., GRIPPER:]], dim=-1)


def state_of_window(head: HeadConfig) -> int:
    """Which step of a window of a generated trajectory is its state: the one before the current action.

    An arm that follows exactly is where it was told to be one step ago: with two observation steps or one, it is the
    window's first.
    """
    return max(head.n_obs_steps - 2, 0)


def range_around(distances: NDArray[Any], action: ActionName) -> dict[str, dict[str, list[float]]]:
    """The range of relative actions, from distances (n, 3) [m] or (n, dof) [rad] between actions and their states.

    It is the same in both directions, and of positions in all, with half as much again as was seen.
    """
    half = np.abs(distances).max(0)
    if action == "ee_pose":
        # The frame may be turned in any way.
        half = np.full(3, np.linalg.norm(distances, axis=-1).max())
    half = np.maximum(_ROOM * half.astype(np.float64), _LEAST)
    return {RANGE_NAMES[action]: {"min": (-half).tolist(), "max": half.tolist()}}


def distances_in(rows: Sequence[NDArray[Any]], head: HeadConfig) -> NDArray[np.float64]:
    """Between the steps of every window of rows and its state, (n, numbers), rows being (steps, numbers) each."""
    before = state_of_window(head)
    offsets = np.arange(head.horizon) - before
    parts = []
    for values in rows:
        last = len(values) - 1
        at = np.arange(len(values))
        parts.append(values[np.clip(at[:, None] + offsets, 0, last)] - values[at][:, None])
    return np.concatenate([part.reshape(-1, part.shape[-1]) for part in parts]).astype(np.float64)


def window_extremes(actions: NDArray[np.float32], head: HeadConfig) -> NDArray[np.float32]:
    """The least and the greatest of actions (T, action_dim) relative to the state of each window, (2, action_dim)."""
    at = np.arange(len(actions))
    within = np.clip(at[:, None] + np.arange(head.horizon) - state_of_window(head), 0, len(actions) - 1)
    given = torch.from_numpy(actions).double()
    offsets = relative(given[within], given[:, :-1], head.action).flatten(0, 1)
    return torch.stack([offsets.amin(0), offsets.amax(0)]).float().numpy()


def with_range(ranges: ActionRange, head: HeadConfig, distances: Callable[[], NDArray[np.float64]]) -> ActionRange:
    """An action range with that of relative actions, which is made of distances where it has none."""
    if not head.relative_actions or RANGE_NAMES[head.action] in ranges:
        return ranges
    return {**ranges, **range_around(distances(), head.action)}


def _matrices(rotation: Tensor) -> Tensor:
    """(..., 6) to orthonormal (..., 3, 3) by Gram-Schmidt on the two rows."""
    first = torch.nn.functional.normalize(rotation[..., :3], dim=-1)
    second = rotation[..., 3:]
    second = torch.nn.functional.normalize(second - (first * second).sum(-1, keepdim=True) * first, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=-2)
