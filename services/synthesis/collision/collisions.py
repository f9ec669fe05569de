"""Collisions of trajectories: bounds in compiled code rule most postures out, Coal decides the rest.

A row is walked by bounds on how far links travel. What is some distance apart can't meet before it has travelled as
far, so it is looked at again only then: each moment of a row lies within the clearance, in travel, of what a check
has shown to be clear. What counts as colliding is what comes within the clearance, so a row that passes is clear at
every moment and not only where it was checked. Rows are walked along their profiles, whatever rate they are sampled at.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.synthesis.arm.kinematics import Chain, Followers
from services.synthesis.arm.robot_model import RobotModel
from services.synthesis.collision.bounds import HALF_SPACE, capsule_to_solid, hull_gap, hull_to_solid
from services.synthesis.collision.capsules import link_frames, place_capsule, segment_distance
from services.synthesis.collision.separations import Separations
from services.synthesis.compiled import compiled
from services.synthesis.motion.stretches import Stretches, greatest_speed, posture_at, resting, stretches
from services.synthesis.motion.timing import Profiles

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

CLEAR = -1
"""No pair of a row collides."""
_ASK = -np.inf
"""What `_gap` answers where only Coal can tell."""
_SMALL = 1e-12
_SOON = 0.05
"""Pairs due within this travel [m] are looked at beside one that is due: frames of a posture cost more than a pair."""
_NEAR = 0.1
"""Bodies whose capsules are farther apart than this [m] are not looked at more closely."""
_TOGETHER = 512
"""Rows walked together: their stretches take some 20 kB a row."""


@dataclass(frozen=True, eq=False)
class _Walk:
    """How far each of n rows has been walked.

    Attributes:
        stretch: that is walked now, shape (n,).
        share: of it that is behind, shape (n,).
        left: travel [m] until each pair has to be looked at, shape (n, C).
        line: in which the pair was seen apart, in the frame of the first's joint; zero before, shape (n, C, 3).
        asked: pair that Coal has to decide before the row goes on, or CLEAR, shape (n,).
        frames: of its two joints, shape (n, 2, 12).
        collision: the pair that collides, or CLEAR, shape (n,).
    """

    stretch: IntArray
    share: FloatArray
    left: FloatArray
    line: FloatArray
    asked: IntArray
    frames: FloatArray
    collision: IntArray

    @classmethod
    def begin(cls, first: IntArray, pairs: int) -> "_Walk":
        """At the start of every row, where every pair has to be looked at."""
        n = len(first) - 1
        return cls(
            first[:-1].copy(),
            np.zeros(n),
            np.zeros((n, pairs)),
            np.zeros((n, pairs, 3)),
            np.full(n, CLEAR),
            np.zeros((n, 2, 12)),
            np.full(n, CLEAR),
        )


def collisions(
    robot: RobotModel, apart: Separations, profiles: Profiles, first: IntArray, chosen: IntArray
) -> IntArray:
    """The first pair of `apart` that collides in each of n motions, or CLEAR, shape (n,).

    Args:
        robot: the arm.
        apart: what has to stay apart.
        profiles: of the motions, one after the other.
        first: first segment of each motion, and the number of segments, shape (n + 1,).
        chosen: which motions to look at; the others are CLEAR.
    """
    found = np.full(len(first) - 1, CLEAR)
    for begin in range(0, len(chosen), _TOGETHER):
        some = chosen[begin : begin + _TOGETHER]
        found[some] = _walk_all(robot, apart, stretches(profiles, first, some))
    return found


def colliding_postures(robot: RobotModel, apart: Separations, q: FloatArray) -> IntArray:
    """The first pair of `apart` that collides in each configuration (n, dof), or CLEAR, shape (n,)."""
    return _walk_all(robot, apart, resting(q))


def _walk_all(robot: RobotModel, apart: Separations, along: Stretches) -> IntArray:
    walk, rows = _Walk.begin(along.first, len(apart.first)), np.arange(len(along.first) - 1)
    while len(rows):
        _go_on(robot, apart, along, rows, walk)
        rows = rows[walk.asked[rows] != CLEAR]
        for row in rows.tolist():
            _ask(apart, walk, row)
        rows = rows[walk.collision[rows] == CLEAR]
    return walk.collision


def _ask(apart: Separations, walk: _Walk, row: int) -> None:
    """Has Coal decide the pair that a row stopped at."""
    pair = int(walk.asked[row])
    distance, normal = apart.distance(pair, walk.frames[row, 0], walk.frames[row, 1])
    if distance <= apart.clearance[pair]:
        walk.collision[row] = pair
    walk.left[row, pair] = distance + apart.clearance[pair]
    # Not by BLAS, whose last digits depend on the processor.
    walk.line[row, pair] = (normal[:, None] * walk.frames[row, 0, :9].reshape(3, 3)).sum(0)
    walk.asked[row] = CLEAR


def _go_on(robot: RobotModel, apart: Separations, along: Stretches, rows: IntArray, walk: _Walk) -> None:
    """Walks rows until they end, collide, or need Coal."""
    bodies = apart.bodies
    _walk_rows(
        robot.chain,
        robot.followers,
        bodies.joint,
        bodies.capsules,
        bodies.corners,
        bodies.first_corner,
        apart.solids,
        apart.first,
        apart.second,
        np.ascontiguousarray(apart.travel.T),
        apart.clearance,
        along,
        rows,
        walk.stretch,
        walk.share,
        walk.left,
        walk.line,
        walk.asked,
        walk.frames,
        walk.collision,
    )


@compiled
def _walk_rows(
    chain: Chain,
    followers: Followers,
    joint: IntArray,
    capsules: FloatArray,
    corners: FloatArray,
    first_corner: IntArray,
    solids: FloatArray,
    pair_first: IntArray,
    pair_second: IntArray,
    travel: FloatArray,
    clearance: FloatArray,
    along: Stretches,
    rows: IntArray,
    stretch: IntArray,
    share: FloatArray,
    left: FloatArray,
    line: FloatArray,
    asked: IntArray,
    out_frames: FloatArray,
    collision: IntArray,
) -> None:
    """The loop of `_go_on`: look at the pairs that are due in this posture, then go on to the next that is."""
    dof = along.state.shape[1]
    posture, frames = np.empty(dof), np.empty((1 + dof + followers.parent.size, 12))
    ends, between, rate = np.empty((2, 6)), np.empty(3), np.empty(pair_first.size)
    for row in rows:
        going = True
        while going:
            k = stretch[row]
            posture_at(along.state[k], share[row] * along.seconds[k], posture)
            link_frames(chain, followers, posture, frames)
            last = k + 1 == along.first[row + 1] and (share[row] >= 1.0 or along.seconds[k] == 0.0)
            for pair in range(pair_first.size):
                if left[row, pair] > _SOON:
                    continue
                a, b = pair_first[pair], pair_second[pair]
                gap = _gap(
                    joint, capsules, corners, first_corner, solids, a, b, clearance[pair], frames, line[row, pair],
                    ends, between,
                )  # fmt: skip
                if gap > clearance[pair] or left[row, pair] > (clearance[pair] if last else _SMALL):
                    left[row, pair] = max(left[row, pair], gap + clearance[pair])
                    continue
                going = False
                if gap > _ASK:
                    collision[row] = pair
                    break
                asked[row] = pair
                for c in range(12):
                    out_frames[row, 0, c] = frames[joint[a] + 1, c]
                    out_frames[row, 1, c] = frames[joint[b] + 1, c] if b >= 0 else 0.0
                break
            if going and not last:
                _advance(row, along, travel, stretch, share, left, rate)
            going = going and not last


@compiled
def _advance(
    row: int,
    along: Stretches,
    travel: FloatArray,
    stretch: IntArray,
    share: FloatArray,
    left: FloatArray,
    rate: FloatArray,
) -> None:
    """Goes on in a row to where a pair is due, or to its end."""
    while True:
        if share[row] >= 1.0:
            if stretch[row] + 1 == along.first[row + 1]:
                return
            stretch[row] += 1
            share[row] = 0.0
        state, seconds = along.state[stretch[row]], along.seconds[stretch[row]]
        rate[:] = 0.0
        for j in range(state.shape[0]):
            moved = greatest_speed(seconds, state[j, 1], state[j, 2], state[j, 3]) * seconds
            for pair in range(rate.size):
                rate[pair] += travel[j, pair] * moved
        rest = 1.0 - share[row]
        step = rest
        for pair in range(rate.size):
            if left[row, pair] < rate[pair] * step:
                step = left[row, pair] / rate[pair]
        for pair in range(rate.size):
            left[row, pair] -= rate[pair] * step
        share[row] = 1.0 if step == rest else share[row] + step
        if step < rest:
            return


@compiled
def _gap(
    joint: IntArray,
    capsules: FloatArray,
    corners: FloatArray,
    first_corner: IntArray,
    solids: FloatArray,
    a: int,
    b: int,
    clearance: float,
    frames: FloatArray,
    line: FloatArray,
    ends: FloatArray,
    between: FloatArray,
) -> float:
    """Lower bound on a pair's distance [m], exact where it is not above the clearance; or _ASK."""
    frame = frames[joint[a] + 1]
    hull = corners[first_corner[a] : first_corner[a + 1]]
    place_capsule(frame, capsules[a], ends[0])
    if b < 0:
        solid = solids[-1 - b]
        gap = capsule_to_solid(ends[0], capsules[a, 6], solid)
        if gap <= _NEAR:
            gap = max(gap, hull_to_solid(frame, hull, solid))
        exact = solid[0] == HALF_SPACE or hull.shape[0] == 1
        return gap if gap > clearance or exact else _ASK
    other_frame = frames[joint[b] + 1]
    other_hull = corners[first_corner[b] : first_corner[b + 1]]
    place_capsule(other_frame, capsules[b], ends[1])
    gap = segment_distance(ends[0], ends[1], between) - capsules[a, 6] - capsules[b, 6]
    if gap <= _NEAR:
        gap = max(gap, hull_gap(frame, hull, other_frame, other_hull, between))
    if gap <= clearance and (line[0] != 0.0 or line[1] != 0.0 or line[2] != 0.0):
        for r in range(3):
            between[r] = frame[3 * r] * line[0] + frame[3 * r + 1] * line[1] + frame[3 * r + 2] * line[2]
        gap = max(gap, hull_gap(frame, hull, other_frame, other_hull, between))
    return gap if gap > clearance else _ASK
