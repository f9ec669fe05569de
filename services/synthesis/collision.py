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

from services.synthesis.capsules import link_frames, near_pairs, posture_between
from services.synthesis.compiled import compiled
from services.synthesis.kinematics import Chain
from services.synthesis.links import Links, robot_links
from services.synthesis.robot_model import RobotModel
from services.synthesis.validation import Samples

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

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
    near = posture.near[0].copy()
    for pair in np.flatnonzero(near):
        near[pair] = _hull_distance(links, posture.frames[0], int(pair)) <= CLEARANCE
    return replace(links, pairs=links.pairs[~near])


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
            robot.chain,
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
    chain: Chain,
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
    for row in range(rows.size):
        if not rows[row]:
            continue
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
                posture_between(q, qd, before, k, done / interval if interval > 0.0 else 1.0, dt, posture)
                link_frames(chain, posture, frames)
                gap = near_pairs(frames, joint, capsules, pairs, CLEARANCE, ends, near)
                if gap < CLEARANCE:
                    if count < out_row.size:
                        out_row[count], out_travel[count] = row, total + done
                        for j in range(dof + 1):
                            for c in range(12):
                                out_frames[count, j, c] = frames[j, c]
                        for pair in range(near.size):
                            out_near[count, pair] = near[pair]
                    count += 1
                since, allowed = -done, max(CHECK_SPACING, gap + CLEARANCE)
                if done >= interval:
                    break
            since += interval
            total += interval
    return count


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
