"""How far pairs of bodies are apart at least in a posture, as closely as has to be known."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.synthesis.arm.kinematics import Chain, Followers
from services.synthesis.collision.bounds import HALF_SPACE, capsule_to_solid, hull_to_solid, least_along, separation
from services.synthesis.collision.capsules import link_frames, place_capsules, segment_distance
from services.synthesis.compiled import compiled, inlined

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MEETS = -np.inf
"""What `gap` answers of a pair that collides."""
_HULLS_TELL = 0.1
"""By how much more [m] than capsules hulls are taken to be apart, at most, when it is asked whether to look at them."""


class Bodies(NamedTuple):
    """What moves, and what has to stay apart of it, as in separations.Separations and Bodies, for compiled code.

    Attributes:
        joint: the frame of each body, shape (B,).
        capsules: around each, shape (B, 7).
        corners: of their hulls, shape (V, 3).
        first_corner: of each, shape (B + 1,).
        solids: keep-outs, shape (K, 7).
        first: of each pair a body, shape (C,).
        second: another body, or -1 - k for solid k, shape (C,).
        clearance: distance [m] at which they count as colliding, shape (C,).
    """

    joint: IntArray
    capsules: FloatArray
    corners: FloatArray
    first_corner: IntArray
    solids: FloatArray
    first: IntArray
    second: IntArray
    clearance: FloatArray


class Pairs(NamedTuple):
    """An arm and the C pairs of which it has to keep apart.

    Attributes:
        chain: of the arm.
        followers: of the arm.
        bodies: and their pairs.
        travel: how far each joint moves one of a pair towards the other, at most, shape (C, dof).
    """

    chain: Chain
    followers: Followers
    bodies: Bodies
    travel: FloatArray


@compiled
def make_frames(pairs: Pairs) -> FloatArray:
    """Room for the frames of a posture, shape (1 + dof + F, 12)."""
    return np.empty((1 + pairs.travel.shape[1] + pairs.followers.parent.size, 12))


@compiled
def place_bodies(pairs: Pairs, q: FloatArray, frames: FloatArray, ends: FloatArray) -> None:
    """Fills in the frames in a configuration (dof,), and the ends (B, 6) of the bodies' capsules."""
    link_frames(pairs.chain, pairs.followers, q, frames)
    place_capsules(frames, pairs.bodies.joint, pairs.bodies.capsules, ends)


@inlined
def gap(
    bodies: Bodies, pair: int, frames: FloatArray, ends: FloatArray, enough: float, x: float, y: float, z: float
) -> float:
    """Lower bound on a pair's distance [m], by capsules and, where these may not tell, by hulls; MEETS where it is
    certainly within its clearance.

    Args:
        bodies: and their pairs.
        pair: which.
        frames: of the posture, as `place_bodies` fills them in.
        ends: likewise.
        enough: what the bound has to reach [m]: where hulls don't help to that, they are looked at only to tell whether
            the pair is within its clearance.
        x: of a direction in which the pair was seen apart, in the frame of the first's joint, or zero; like `y`, `z`.
        y: likewise.
        z: likewise.
    """
    joint, capsules, corners, first_corner, solids, first, second, clearance = bodies
    a, b = first[pair], second[pair]
    least = clearance[pair]
    frame = joint[a] + 1
    if b < 0:
        k = -1 - b
        found = capsule_to_solid(ends, a, capsules[a, 6], solids, k)
        if found > least and (found >= enough or found < enough - _HULLS_TELL):
            return found
        found = max(found, hull_to_solid(frames, frame, corners, first_corner[a], first_corner[a + 1], solids, k))
        exact = solids[k, 0] == HALF_SPACE or first_corner[a + 1] - first_corner[a] == 1
        return MEETS if exact and found <= least else float(found)
    found, dx, dy, dz = segment_distance(ends, a, b)
    found -= capsules[a, 6] + capsules[b, 6]
    if found > least and (found >= enough or found < enough - _HULLS_TELL):
        return float(found)
    other = joint[b] + 1
    if x != 0.0 or y != 0.0 or z != 0.0:
        u = frames[frame, 0] * x + frames[frame, 1] * y + frames[frame, 2] * z
        v = frames[frame, 3] * x + frames[frame, 4] * y + frames[frame, 5] * z
        w = frames[frame, 6] * x + frames[frame, 7] * y + frames[frame, 8] * z
        near = least_along(frames, other, corners, first_corner[b], first_corner[b + 1], u, v, w)
        near += least_along(frames, frame, corners, first_corner[a], first_corner[a + 1], -u, -v, -w)
        found = max(found, near)
        if found > least and found >= enough:
            return float(found)
    near = least_along(frames, other, corners, first_corner[b], first_corner[b + 1], dx, dy, dz)
    near += least_along(frames, frame, corners, first_corner[a], first_corner[a + 1], -dx, -dy, -dz)
    found = max(found, near)
    if found > least:
        return float(found)
    one = frame, first_corner[a], first_corner[a + 1]
    two = other, first_corner[b], first_corner[b + 1]
    near = separation(frames, corners, one, two, (dx, dy, dz), least)
    return MEETS if near == MEETS else float(max(found, near))


@inlined
def travelled(travel: FloatArray, pair: int, q: FloatArray, i: int, side: int, middle: FloatArray) -> float:
    """How far a pair moves together, at most, between configurations q[i, side] and middle[i] [m]."""
    total = 0.0
    for j in range(middle.shape[1]):
        total += travel[pair, j] * abs(middle[i, j] - q[i, side, j])
    return total
