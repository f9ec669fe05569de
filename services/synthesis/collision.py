"""Self-collision of trajectories: capsules in compiled code rule most postures out, Coal decides the rest.

A row is walked by a bound on how far any point of the arm travels. Links that are some distance apart can't meet
before the arm has travelled as far, so the next check is that far ahead, and never less than CHECK_SPACING. Links
count as colliding when their hulls are within half of that: each point of a row is within that half, in travel, of
one of two checks, so a row that passes is clear at every moment and not only where it was checked.
"""

import functools
from dataclasses import dataclass, replace
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
"""Travel [m] between two checks of links that are near each other."""
CLEARANCE = CHECK_SPACING / 2
"""Hulls nearer than this [m] count as colliding."""

_DISTANCE_REQUEST = coal.DistanceRequest()


@dataclass(frozen=True, eq=False)
class NearPostures:
    """m postures in which some capsules are near, in the order of their rows.

    Attributes:
        row: of each, shape (m,).
        travel: bound on the distance [m] travelled since the row began, shape (m,).
        frames: joint frames, base first, shape (m, dof + 1, 12): rotation row by row, then translation.
        near: the pairs whose capsules are within CLEARANCE, shape (m, P).
    """

    row: IntArray
    travel: FloatArray
    frames: FloatArray
    near: BoolArray

    @classmethod
    def empty(cls, size: int, dof: int, pairs: int) -> "NearPostures":
        """Room for `size` postures."""
        return cls(
            np.empty(size, np.int64),
            np.empty(size),
            np.empty((size, dof + 1, 12)),
            np.empty((size, pairs), np.bool_),
        )


def self_colliding(robot: RobotModel, samples: Samples, rows: BoolArray, rate_hz: float) -> BoolArray:
    """Which of the marked rows bring two links of the arm together, shape (n,)."""
    links = checked_links(robot)
    room = 4 * len(rows)
    while True:
        postures = NearPostures.empty(room, robot.dof, len(links.pairs))
        found = _walk(robot, links, samples.first, samples.q, samples.qd, rows, 1 / rate_hz, postures)
        if found <= room:
            return _confirm(links, postures, found, len(rows))
        room = found


@functools.lru_cache(maxsize=8)
def checked_links(robot: RobotModel) -> Links:
    """The robot's links, without the pairs that already count as colliding at home: those can't be told apart."""
    links = robot_links(robot)
    home = robot.home[None].astype(np.float32)
    posture = NearPostures.empty(1, robot.dof, len(links.pairs))
    if not _walk(robot, links, np.array([0, 1]), home, 0 * home, np.ones(1, np.bool_), 1.0, posture):
        return links
    colliding = [near and _hull_distance(links, posture.frames[0], p) <= CLEARANCE for p, near in enumerate(posture.near[0])]
    return replace(links, pairs=links.pairs[~np.array(colliding, np.bool_)])


def _walk(
    robot: RobotModel,
    links: Links,
    first: IntArray,
    q: NDArray[np.float32],
    qd: NDArray[np.float32],
    rows: BoolArray,
    dt: float,
    out: NearPostures,
) -> int:
    """Fills `out` with the near postures of the marked rows, as far as there is room; returns how many there are."""
    return int(
        _walk_rows(
            robot.chain_rotation,
            robot.chain_translation,
            links.joint,
            links.capsules,
            links.pairs,
            links.reach,
            first,
            q,
            qd,
            rows,
            dt,
            out.row,
            out.travel,
            out.frames,
            out.near,
        )
    )


@compiled
def _walk_rows(
    chain_rotation: FloatArray,
    chain_translation: FloatArray,
    joint: IntArray,
    capsules: FloatArray,
    pairs: IntArray,
    reach: FloatArray,
    first: IntArray,
    q: NDArray[np.float32],
    qd: NDArray[np.float32],
    rows: BoolArray,
    dt: float,
    out_row: IntArray,
    out_travel: FloatArray,
    out_frames: FloatArray,
    out_near: BoolArray,
) -> int:
    """The loop of `_walk`."""
    dof = q.shape[1]
    posture, frames = np.empty(dof), np.empty((dof + 1, 12))
    ends, near = np.empty((joint.size, 6)), np.empty(pairs.shape[0], np.bool_)
    count = 0
    for row in np.flatnonzero(rows):
        total, since, allowed = 0.0, 0.0, 0.0
        for k in range(first[row], first[row + 1]):
            before = max(k - 1, first[row])
            interval, done = 0.0, 0.0
            for j in range(dof):
                fastest = max(abs(qd[before, j]), abs(qd[k, j])) * dt if k > before else 0.0
                interval += reach[j] * max(abs(q[k, j] - q[before, j]), fastest)
            # `since` is the travel from the last check to this interval's beginning, so it is negative after a check.
            while since + interval > allowed or k == first[row] or k + 1 == first[row + 1]:
                done = min(interval, allowed - since)
                _between(q, qd, before, k, done / interval if interval > 0.0 else 1.0, dt, posture)
                _link_frames(chain_rotation, chain_translation, posture, frames)
                gap = _near_pairs(frames, joint, capsules, pairs, ends, near)
                if gap < CLEARANCE:
                    if count < out_row.size:
                        out_row[count], out_travel[count] = row, total + done
                        out_frames[count] = frames
                        out_near[count] = near
                    count += 1
                since, allowed = -done, max(CHECK_SPACING, gap + CLEARANCE)
                if done >= interval:
                    break
            since += interval
            total += interval
    return count


@compiled
def _between(
    q: NDArray[np.float32],
    qd: NDArray[np.float32],
    before: int,
    after: int,
    u: float,
    dt: float,
    posture: FloatArray,
) -> None:
    """The posture a share u from one sample to the next: the cubic through both positions and velocities."""
    for j in range(posture.size):
        if u >= 1.0:
            posture[j] = q[after, j]
        else:
            m0, m1, rise = dt * qd[before, j], dt * qd[after, j], q[after, j] - q[before, j]
            posture[j] = q[before, j] + u * (m0 + u * (3 * rise - 2 * m0 - m1 + u * (m0 + m1 - 2 * rise)))


@compiled
def _link_frames(chain_rotation: FloatArray, chain_translation: FloatArray, q: FloatArray, frames: FloatArray) -> None:
    """Frames of the base and of each joint: rotation row by row, then translation, shape (dof + 1, 12)."""
    for k in range(12):
        frames[0, k] = 1.0 if k % 4 == 0 and k < 9 else 0.0
    for j in range(q.size):
        f, t = chain_rotation[j], chain_translation[j]
        sine, cosine = sincos(q[j])
        for r in range(3):
            a, b, c = frames[j, 3 * r], frames[j, 3 * r + 1], frames[j, 3 * r + 2]
            x = a * f[0, 0] + b * f[1, 0] + c * f[2, 0]
            y = a * f[0, 1] + b * f[1, 1] + c * f[2, 1]
            frames[j + 1, 3 * r] = x * cosine + y * sine
            frames[j + 1, 3 * r + 1] = y * cosine - x * sine
            frames[j + 1, 3 * r + 2] = a * f[0, 2] + b * f[1, 2] + c * f[2, 2]
            frames[j + 1, 9 + r] = frames[j, 9 + r] + a * t[0] + b * t[1] + c * t[2]


@compiled
def _near_pairs(
    frames: FloatArray, joint: IntArray, capsules: FloatArray, pairs: IntArray, ends: FloatArray, near: BoolArray
) -> float:
    """Marks the pairs whose capsules are within CLEARANCE; returns the least gap between any pair [m]."""
    for link in range(joint.size):
        frame = frames[joint[link] + 1]
        for end in range(2):
            x, y, z = capsules[link, 3 * end], capsules[link, 3 * end + 1], capsules[link, 3 * end + 2]
            for r in range(3):
                ends[link, 3 * end + r] = frame[9 + r] + frame[3 * r] * x + frame[3 * r + 1] * y + frame[3 * r + 2] * z
    least = np.inf
    for pair in range(pairs.shape[0]):
        a, b = pairs[pair, 0], pairs[pair, 1]
        gap = np.sqrt(_segment_distance_squared(ends[a], ends[b])) - capsules[a, 6] - capsules[b, 6]
        near[pair] = gap < CLEARANCE
        least = min(least, gap)
    return least


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


def _confirm(links: Links, postures: NearPostures, count: int, rows: int) -> BoolArray:
    """Asks Coal about the near pairs; a row is done with its first collision.

    A pair found some distance apart can't meet before that much travel, so it is not asked about until then.
    """
    colliding = np.zeros(rows, np.bool_)
    clear_until = np.zeros(len(links.pairs))
    current = -1
    row, travel = postures.row[:count].tolist(), postures.travel[:count].tolist()
    for m, pair in zip(*(indices.tolist() for indices in np.nonzero(postures.near[:count])), strict=True):
        if row[m] != current:
            current = row[m]
            clear_until[:] = -1.0
        if colliding[current] or travel[m] < clear_until[pair]:
            continue
        distance = _hull_distance(links, postures.frames[m], pair)
        if distance <= CLEARANCE:
            colliding[current] = True
        clear_until[pair] = travel[m] + distance - CLEARANCE
    return colliding


def _hull_distance(links: Links, frames: FloatArray, pair: int) -> float:
    """Distance [m] of a pair's hulls, not above 0 if they meet, under joint frames of shape (dof + 1, 12)."""
    a, b = links.pairs[pair]
    first, second = _transform(frames[links.joint[a] + 1]), _transform(frames[links.joint[b] + 1])
    result = coal.DistanceResult()
    return float(coal.distance(links.hulls[a], first, links.hulls[b], second, _DISTANCE_REQUEST, result))


def _transform(frame: FloatArray) -> Any:
    return coal.Transform3s(frame[:9].reshape(3, 3), frame[9:])
