"""Self-collision of trajectories: capsules in compiled code rule most postures out, Coal decides the rest.

Between two checks no point of the arm moves more than CHECK_SPACING, so from the nearer check two links approach by
at most half of it; and links count as colliding when their hulls are within that half. A row that passes is
therefore clear at every moment, not only where it was checked.
"""

import functools
from dataclasses import replace
from typing import Any

import coal
import numpy as np
from numpy.typing import NDArray

from services.synthesis.compiled import compiled
from services.synthesis.kinematics import sincos
from services.synthesis.links import Links, robot_links
from services.synthesis.robot_model import RobotModel
from services.synthesis.validation import BoolArray, Samples

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

CHECK_SPACING = 0.02
"""Greatest distance [m] that any point of the arm moves between two checks."""
CLEARANCE = CHECK_SPACING / 2
"""Hulls nearer than this [m] count as colliding."""


def self_colliding(robot: RobotModel, samples: Samples, rows: BoolArray, rate_hz: float) -> BoolArray:
    """Which of the marked rows bring two links of the arm together, shape (n,)."""
    links = checked_links(robot)
    q, row = _postures_to_check(samples, rows, links, rate_hz)
    frames, near = _screen(robot, links, q)
    return _confirm(links, frames, row, near, len(rows))


@functools.lru_cache(maxsize=8)
def checked_links(robot: RobotModel) -> Links:
    """The robot's links, without the pairs that already count as colliding at home: those can't be told apart."""
    links = robot_links(robot)
    frames, near = _screen(robot, links, robot.home[None])
    touching = [_hulls_meet(links, frames[0], pair) for pair in range(len(links.pairs))]
    return replace(links, pairs=links.pairs[~(near[0] & np.array(touching, np.bool_))])


def _screen(robot: RobotModel, links: Links, q: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Joint frames of each posture (m, dof + 1, 12), and the pairs whose capsules are near (m, P)."""
    frames = np.empty((len(q), robot.dof + 1, 12))
    _link_frames(robot.chain_rotation, robot.chain_translation, q, frames)
    near = np.zeros((len(q), len(links.pairs)), np.bool_)
    _near_pairs(frames, links.joint, links.capsules, links.pairs, CLEARANCE, near)
    return frames, near


def _postures_to_check(
    samples: Samples, rows: BoolArray, links: Links, rate_hz: float
) -> tuple[FloatArray, IntArray]:
    """Configurations no farther apart than CHECK_SPACING along each marked row (m, dof), and their rows (m,)."""
    arguments = (samples.first, samples.q, samples.qd, rows, links.reach, 1 / rate_hz)
    count = _spaced_postures(*arguments, np.empty((0, 0)), np.empty(0, np.int64))
    q, row = np.empty((count, samples.q.shape[1])), np.empty(count, np.int64)
    _spaced_postures(*arguments, q, row)
    return q, row


@compiled
def _spaced_postures(
    first: IntArray,
    q: NDArray[np.float32],
    qd: NDArray[np.float32],
    rows: BoolArray,
    reach: FloatArray,
    dt: float,
    out: FloatArray,
    out_row: IntArray,
) -> int:
    """Counts the postures to check, and fills `out` with them unless it is empty.

    Rest is skipped. Between samples the posture is the cubic through both samples' positions and velocities.
    """
    count, dof, filling = 0, q.shape[1], out.shape[0] > 0
    for row in np.flatnonzero(rows):
        since = np.inf
        for k in range(first[row], first[row + 1]):
            travel = 0.0
            if k > first[row]:
                for j in range(dof):
                    speed = 0.5 * (abs(qd[k - 1, j]) + abs(qd[k, j])) * dt
                    travel += reach[j] * max(abs(q[k, j] - q[k - 1, j]), speed)
            pieces = int(np.ceil(travel / CHECK_SPACING)) if since + travel > CHECK_SPACING else 1
            last = k + 1 == first[row + 1]
            if k > first[row] and since + travel <= CHECK_SPACING and not last:
                since += travel
                continue
            for piece in range(1, max(pieces, 1) + 1):
                if filling:
                    u = piece / max(pieces, 1)
                    for j in range(dof):
                        out[count, j] = q[k, j]
                        if u < 1.0:
                            p0, m0, m1 = q[k - 1, j], dt * qd[k - 1, j], dt * qd[k, j]
                            rise = q[k, j] - p0
                            cubic = m0 + u * (3 * rise - 2 * m0 - m1 + u * (m0 + m1 - 2 * rise))
                            out[count, j] = p0 + u * cubic
                    out_row[count] = row
                count += 1
            since = 0.0
    return count


@compiled
def _link_frames(
    chain_rotation: FloatArray, chain_translation: FloatArray, q: FloatArray, frames: FloatArray
) -> None:
    """Frames of the base and of each joint: rotation row by row, then translation, shape (m, dof + 1, 12)."""
    for m in range(q.shape[0]):
        for k in range(12):
            frames[m, 0, k] = 1.0 if k % 4 == 0 and k < 9 else 0.0
        for j in range(q.shape[1]):
            before, after, f, t = frames[m, j], frames[m, j + 1], chain_rotation[j], chain_translation[j]
            sine, cosine = sincos(q[m, j])
            for r in range(3):
                a, b, c = before[3 * r], before[3 * r + 1], before[3 * r + 2]
                x = a * f[0, 0] + b * f[1, 0] + c * f[2, 0]
                y = a * f[0, 1] + b * f[1, 1] + c * f[2, 1]
                after[3 * r] = x * cosine + y * sine
                after[3 * r + 1] = y * cosine - x * sine
                after[3 * r + 2] = a * f[0, 2] + b * f[1, 2] + c * f[2, 2]
                after[9 + r] = before[9 + r] + a * t[0] + b * t[1] + c * t[2]


@compiled
def _near_pairs(
    frames: FloatArray,
    joint: IntArray,
    capsules: FloatArray,
    pairs: IntArray,
    clearance: float,
    near: BoolArray,
) -> None:
    """Marks the pairs whose capsules come within the clearance, for each posture, shape (m, P)."""
    ends = np.empty((joint.size, 6))
    for m in range(frames.shape[0]):
        for link in range(joint.size):
            frame = frames[m, joint[link] + 1]
            for end in range(2):
                c = capsules[link, 3 * end : 3 * end + 3]
                for r in range(3):
                    turned = frame[3 * r] * c[0] + frame[3 * r + 1] * c[1] + frame[3 * r + 2] * c[2]
                    ends[link, 3 * end + r] = frame[9 + r] + turned
        for pair in range(pairs.shape[0]):
            a, b = pairs[pair, 0], pairs[pair, 1]
            limit = capsules[a, 6] + capsules[b, 6] + clearance
            near[m, pair] = _segment_distance_squared(ends[a], ends[b]) < limit * limit


@compiled
def _segment_distance_squared(first: FloatArray, second: FloatArray) -> float:
    """Squared distance of two segments, each two end points (Ericson, Real-Time Collision Detection, 5.1.9)."""
    a = e = b = c = f = 0.0
    for r in range(3):
        d1, d2, offset = first[3 + r] - first[r], second[3 + r] - second[r], first[r] - second[r]
        a, e, b = a + d1 * d1, e + d2 * d2, b + d1 * d2
        c, f = c + d1 * offset, f + d2 * offset
    a, e = max(a, 1e-18), max(e, 1e-18)
    denominator = a * e - b * b
    s = min(max((b * f - c * e) / denominator, 0.0), 1.0) if denominator > 1e-12 * a * e else 0.0
    t = (b * s + f) / e
    if t < 0.0:
        t, s = 0.0, min(max(-c / a, 0.0), 1.0)
    elif t > 1.0:
        t, s = 1.0, min(max((b - c) / a, 0.0), 1.0)
    total = 0.0
    for r in range(3):
        gap = first[r] + s * (first[3 + r] - first[r]) - second[r] - t * (second[3 + r] - second[r])
        total += gap * gap
    return total


def _confirm(links: Links, frames: FloatArray, row: IntArray, near: BoolArray, rows: int) -> BoolArray:
    """Asks Coal about the near pairs; a row is done with its first collision."""
    colliding = np.zeros(rows, np.bool_)
    for m in np.flatnonzero(near.any(1)):
        if not colliding[row[m]]:
            colliding[row[m]] = any(_hulls_meet(links, frames[m], int(pair)) for pair in np.flatnonzero(near[m]))
    return colliding


def _hulls_meet(links: Links, frames: FloatArray, pair: int) -> bool:
    """Whether a pair's hulls come within CLEARANCE in the posture with these joint frames, shape (dof + 1, 12)."""
    a, b = links.pairs[pair]
    request, result = coal.CollisionRequest(), coal.CollisionResult()
    request.security_margin = CLEARANCE
    first, second = _transform(frames[links.joint[a] + 1]), _transform(frames[links.joint[b] + 1])
    coal.collide(links.hulls[a], first, links.hulls[b], second, request, result)
    return bool(result.isCollision())


def _transform(frame: FloatArray) -> Any:
    return coal.Transform3s(frame[:9].reshape(3, 3), frame[9:])
