"""Constant transforms between two series of poses."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from shared.rotation import geodesic_angle, matrix_to_quat_xyzw
from trainer.data.demonstrations.mapping.mapping import FixedPose, Frame
from trainer.poses import Pose, compose, invert

FloatArray = NDArray[np.float64]
Free = Literal["base", "tool", "both"]

_IDENTITY: Pose = (np.zeros(3), np.eye(3))
# Of the second smallest eigenvalue for each pose: below it, the tool turns about one axis only.
_LEAST_TURN = 1e-3
_WORST_CONDITION = 1e4
# Of half a turn's sine.
_NO_TURN = 0.005


def distance(a: Pose, b: Pose) -> float:
    """Median distance [m] of positions and angle [rad] of rotations, added."""
    apart = float(np.median(np.linalg.norm(a[0] - b[0], axis=1)))
    return apart + float(np.median(geodesic_angle(a[1], b[1])))


def fit_frames(seen: Pose, ours: Pose, free: Free) -> tuple[Pose, Pose] | None:
    """Poses `base` and `tool` for which seen = base * ours * tool as nearly as can be.

    Args:
        seen: (n, 3) and (n, 3, 3).
        ours: the same n poses in other frames.
        free: which of the two is not the identity.

    Returns:
        None where the poses don't say: a tool that turns about one axis only.
    """
    if free == "base":
        turn = _nearest_rotation(np.einsum("nij,nkj->ik", seen[1], ours[1]))
        return (np.median(seen[0] - ours[0] @ turn.T, axis=0), turn), _IDENTITY
    if free == "tool":
        turn = _nearest_rotation(np.einsum("nji,njk->ik", ours[1], seen[1]))
        shift = np.einsum("nji,nj->ni", ours[1], seen[0] - ours[0])
        return _IDENTITY, (np.median(shift, axis=0), turn)
    return _fit_both(seen, ours)


def without_frames(seen: Pose, base: Pose, tool: Pose) -> Pose:
    """Ours, from what is seen as base * ours * tool."""
    return compose(compose(invert(base), seen), invert(tool))


def as_mapping(base: Pose, tool: Pose) -> Frame:
    """As a mapping says it: the base in the poses' frame, the tool centre point in the frame whose poses they are."""
    parts = []
    for position, rotation in (base, invert(tool)):
        x, y, z = (np.round(position, 4) + 0.0).tolist()
        qx, qy, qz, qw = (np.round(matrix_to_quat_xyzw(rotation), 5) + 0.0).tolist()
        parts.append(FixedPose(position=(x, y, z), quat_xyzw=(qx, qy, qz, qw)))
    return Frame(base=parts[0], tool=parts[1])


def is_shift(frame: Frame) -> bool:
    """Whether a frame is only shifted, and not turned."""
    turns = [np.linalg.norm(part.quat_xyzw[:3]) for part in (frame.base, frame.tool)]
    return bool(max(turns) < _NO_TURN)


def _fit_both(seen: Pose, ours: Pose) -> tuple[Pose, Pose] | None:
    # seen_i * inverse(tool) = base * ours_i is linear in the entries of both rotations.
    count, eye = len(seen[1]), np.eye(3)
    left = np.einsum("ab,nij->niajb", eye, seen[1]).reshape(count, 9, 9)
    right = np.einsum("il,nka->nialk", eye, ours[1]).reshape(count, 9, 9)
    rows = np.concatenate([left, -right], axis=2).reshape(-1, 18)
    values, vectors = np.linalg.eigh(rows.T @ rows)
    if values[1] < _LEAST_TURN * count:
        return None
    back, turn = vectors[:9, 0].reshape(3, 3), vectors[9:, 0].reshape(3, 3)
    sign = np.sign(np.linalg.det(turn))
    turn, tool_turn = _nearest_rotation(sign * turn), _nearest_rotation(sign * back).T
    rows = np.concatenate([np.broadcast_to(eye, (count, 3, 3)), turn @ ours[1]], axis=2).reshape(-1, 6)
    if np.linalg.cond(rows) > _WORST_CONDITION:
        return None
    shifts = np.linalg.lstsq(rows, (seen[0] - ours[0] @ turn.T).reshape(-1), rcond=None)[0]
    return (shifts[:3], turn), (shifts[3:], tool_turn)


def _nearest_rotation(matrix: FloatArray) -> FloatArray:
    u, _, v = np.linalg.svd(matrix)
    return np.asarray(u @ np.diag([1.0, 1.0, np.linalg.det(u @ v)]) @ v)
