"""How far pairs of bodies are apart at least in a posture, as closely as has to be known."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.synthesis.arm.kinematics import Chain, Followers
from services.synthesis.collision.bounds import HALF_SPACE, capsule_to_solid
from services.synthesis.collision.capsules import link_frames, place_capsules, segment_distance
from services.synthesis.collision.distances import MEETS, least_corner, separation
from services.synthesis.compiled import compiled

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

CLEAR = -1
"""No pair collides."""
HULLS_TELL = 0.1
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


class Posture(NamedTuple):
    """Room for what is looked at of a posture.

    Attributes:
        frames: of the base and of what moves, as link_frames fills them in, shape (1 + dof + F, 12).
        ends: of the bodies' capsules, shape (B, 6).
        line: the direction in which each pair was last seen apart, or zero, shape (C, 3): from a link to a solid in the
            base frame, from one link to another in the frame of the first's joint.
        simplex: room for `separation`.
    """

    frames: FloatArray
    ends: FloatArray
    line: FloatArray
    simplex: FloatArray


@compiled
def make_posture(pairs: Pairs) -> Posture:
    """Room for a posture, of which no pair was seen apart yet."""
    frames = np.empty((1 + pairs.travel.shape[1] + pairs.followers.parent.size, 12))
    return Posture(
        frames, np.empty((pairs.bodies.joint.size, 6)), np.zeros((pairs.bodies.first.size, 3)), np.empty((5, 3))
    )


@compiled
def place_bodies(pairs: Pairs, q: FloatArray, posture: Posture) -> None:
    """Fills in the frames in a configuration (dof,), and the ends of the bodies' capsules."""
    link_frames(pairs.chain, pairs.followers, q, posture.frames)
    place_capsules(posture.frames, pairs.bodies.joint, pairs.bodies.capsules, posture.ends)


@compiled
def capsules_apart(ends: FloatArray, capsules: FloatArray, solids: FloatArray, a: int, b: int) -> float:
    """Lower bound on the distance of body a from body b, or from solid -1 - b [m], by the capsules around them."""
    if b < 0:
        return float(capsule_to_solid(ends, a, capsules[a, 6], solids, -1 - b)[0])
    return float(segment_distance(ends, a, b)[0] - capsules[a, 6] - capsules[b, 6])


@compiled
def look(bodies: Bodies, posture: Posture, gaps: FloatArray) -> int:
    """The first pair that is within its clearance, or CLEAR; fills in lower bounds on the distances of all before it.

    Args:
        bodies: and their pairs.
        posture: as `place_bodies` fills it in.
        gaps: shape (C,) [m].
    """
    _, capsules, _, _, solids, first, second, clearance = bodies
    ends = posture.ends
    for pair in range(gaps.size):
        gaps[pair] = capsules_apart(ends, capsules, solids, first[pair], second[pair])
    for pair in range(gaps.size):
        if gaps[pair] <= clearance[pair]:
            gaps[pair] = hulls_apart(bodies, pair, posture, 0.0)
            if gaps[pair] == MEETS:
                return pair
    return CLEAR


@compiled
def hulls_apart(bodies: Bodies, pair: int, posture: Posture, enough: float) -> float:
    """Lower bound on a pair's distance [m] by their hulls, above its clearance; MEETS where the distance is not.

    Args:
        bodies: and their pairs.
        pair: which.
        posture: as `place_bodies` fills it in; which way the pair is apart is kept in it.
        enough: a bound above this [m] need not be better.
    """
    joint, capsules, corners, first_corner, solids, first, second, clearance = bodies
    frames, ends, line, simplex = posture
    a, b = first[pair], second[pair]
    near = clearance[pair]
    f = joint[a] + 1
    hull = f, first_corner[a], first_corner[a + 1]
    if b < 0:
        _, x, y, z = capsule_to_solid(ends, a, capsules[a, 6], solids, -1 - b)
    else:
        _, x, y, z = segment_distance(ends, a, b)
    if b < 0 and solids[-1 - b, 0] == HALF_SPACE:
        px, py, pz = least_corner(frames, corners, hull, -x, -y, -z)
        height = -px * x - py * y - pz * z - solids[-1 - b, 4]
        return float(height) if height > near else MEETS
    u, v, w = line[pair, 0], line[pair, 1], line[pair, 2]
    if u != 0.0 or v != 0.0 or w != 0.0:
        x, y, z = (u, v, w) if b < 0 else _turned(frames, f, u, v, w)
    other = (0, 0, 0) if b < 0 else (joint[b] + 1, first_corner[b], first_corner[b + 1])
    apart, x, y, z = separation(
        frames, corners, hull, other, solids, -1 - b if b < 0 else -1, (x, y, z), near, enough, simplex
    )
    if b >= 0:
        x, y, z = (
            frames[f, 0] * x + frames[f, 3] * y + frames[f, 6] * z,
            frames[f, 1] * x + frames[f, 4] * y + frames[f, 7] * z,
            frames[f, 2] * x + frames[f, 5] * y + frames[f, 8] * z,
        )
    line[pair, 0], line[pair, 1], line[pair, 2] = x, y, z
    return float(apart)


@compiled
def _turned(frames: FloatArray, f: int, x: float, y: float, z: float) -> tuple[float, float, float]:
    """A direction given in a frame, in the base frame."""
    return (
        frames[f, 0] * x + frames[f, 1] * y + frames[f, 2] * z,
        frames[f, 3] * x + frames[f, 4] * y + frames[f, 5] * z,
        frames[f, 6] * x + frames[f, 7] * y + frames[f, 8] * z,
    )


@compiled
def travelled(travel: FloatArray, pair: int, start: FloatArray, end: FloatArray) -> float:
    """How far a pair moves together, at most, between two configurations (dof,) [m]."""
    total = 0.0
    for j in range(start.size):
        total += travel[pair, j] * abs(end[j] - start[j])
    return total
