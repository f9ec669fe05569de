"""Demonstrations at another rate: positions linearly, rotations by slerp, the gripper's previous value."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from shared.rotation import matrix_to_rot6d, matrix_to_rotvec, rot6d_to_matrix, rotvec_to_matrix
from trainer.data.action import GRIPPER, POSITION, ROTATION, join_joint_action
from trainer.data.demonstrations.episode import Demonstrations, Episode

FloatArray = NDArray[np.float32]


def resample(demonstrations: Demonstrations, rate_hz: float) -> Demonstrations:
    """The same motions sampled at k / rate_hz, to the last old sample; failed attempts are dropped."""
    ratio = demonstrations.rate_hz / rate_hz
    joints = demonstrations.action_space == "joint_position"
    ways = (resample_joint_actions, _resample_poses) if joints else (resample_actions, _linear)
    episodes = tuple(_resample_episode(episode, ratio, *ways) for episode in demonstrations.episodes)
    return replace(demonstrations, rate_hz=rate_hz, episodes=episodes, failed=())


def resample_actions(actions: FloatArray, times: NDArray[np.float64]) -> FloatArray:
    """(T, 10) `ee_pose` actions at `times`, in old steps within 0 to T - 1."""
    out = np.empty((len(times), actions.shape[1]), np.float32)
    out[:, POSITION] = _linear(actions[:, POSITION], times)
    out[:, ROTATION] = _slerp(actions[:, ROTATION], times)
    out[:, GRIPPER] = actions[_previous(times), GRIPPER]
    return out


def resample_joint_actions(actions: FloatArray, times: NDArray[np.float64]) -> FloatArray:
    """(T, dof + 1) `joint_position` actions at `times`, in old steps within 0 to T - 1."""
    return join_joint_action(_linear(actions[:, :-1], times), actions[_previous(times), GRIPPER])


_Resampled = Callable[[FloatArray, NDArray[np.float64]], FloatArray]


def _resample_episode(episode: Episode, ratio: float, resampled: _Resampled, counterpart: _Resampled) -> Episode:
    steps = len(episode.actions)
    times = np.minimum(np.arange(int((steps - 1) / ratio + 1e-9) + 1) * ratio, steps - 1)
    return replace(
        episode,
        actions=resampled(episode.actions, times),
        observations=_resample_observations(episode.observations, times),
        tool=None if episode.tool is None else _resample_poses(episode.tool, times),
        joints=None if episode.joints is None else _linear(episode.joints, times),
        counterpart=None if episode.counterpart is None else counterpart(episode.counterpart, times),
        objects={name: _resample_poses(poses, times) for name, poses in episode.objects.items()},
        images={camera: replace(seen, rows=seen.rows[_previous(times)]) for camera, seen in episode.images.items()},
    )


def _resample_observations(observations: Mapping[str, FloatArray], times: NDArray[np.float64]) -> dict[str, FloatArray]:
    return {
        key: (_slerp if key.endswith("rotation_6d") else _where_it_moves)(values, times)
        for key, values in observations.items()
    }


def _resample_poses(poses: FloatArray, times: NDArray[np.float64]) -> FloatArray:
    """Positions and rotations, (T, 9)."""
    return np.concatenate([_linear(poses[:, :3], times), _slerp(poses[:, 3:], times)], axis=1)


def _where_it_moves(values: FloatArray, times: NDArray[np.float64]) -> FloatArray:
    """Linear, but where a component jumps by over half of its range: there the values before hold.

    Such a jump is no motion, but a quaternion's sign, an angle's turn from pi to -pi, or a flag.
    """
    reach = np.ptp(values, axis=0)
    jumps = np.append((np.abs(np.diff(values, axis=0)) > 0.5 * reach).any(axis=1), False)
    held = jumps[_previous(times)]
    return np.asarray(np.where(held[:, None], values[_previous(times)], _linear(values, times)), np.float32)


def _previous(times: NDArray[np.float64]) -> NDArray[np.int64]:
    """The old step before each time: a gripper has no halfway, nor has a picture."""
    return np.asarray(np.floor(times + 1e-9), np.int64)


def _linear(values: FloatArray, times: NDArray[np.float64]) -> FloatArray:
    before, after, share = _neighbours(len(values), times)
    return np.asarray(values[before] * (1 - share) + values[after] * share, np.float32)


def _slerp(rot6d: FloatArray, times: NDArray[np.float64]) -> FloatArray:
    before, after, share = _neighbours(len(rot6d), times)
    matrices = rot6d_to_matrix(rot6d.astype(np.float64))
    turn = matrix_to_rotvec(np.swapaxes(matrices[before], -1, -2) @ matrices[after])
    return matrix_to_rot6d(matrices[before] @ rotvec_to_matrix(turn * share)).astype(np.float32)


def _neighbours(
    length: int, times: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Old steps before and after each time, and how far between them it is, (n, 1)."""
    before = np.minimum(np.floor(times).astype(np.int64), length - 1)
    return before, np.minimum(before + 1, length - 1), (times - before)[:, None]
