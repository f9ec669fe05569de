"""A motion as moments between which every joint goes along a cubic: along the stored profiles, or through the samples.

Where rows have their profiles, moments are the borders of all joints' pieces, and cubics between them are the motion
itself. Elsewhere they are the samples. Two motions through the same positions and velocities a time h apart, both with
jerks of at most J, are off from the cubic by no more than h^3 J / 96 (Peano's kernel of Hermite interpolation).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.audit.profile_check import advance, integrate, pieces
from services.audit.row_check import Rows

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LONGEST = 0.1
"""Longest time from one moment to the next along a profile [s]; bounds on travel are the tighter the shorter it is."""
ALLOWED = 1e-3
"""How far from the motion a cubic through samples may be for its answer to be called exact [m]."""
_SHORTEST = 1e-9
_POINTS = 29
"""Moments in a segment of a line: four in each of its pieces."""


@dataclass(frozen=True, eq=False)
class Moments:
    """N moments of n rows, in order.

    Attributes:
        row: to which each belongs, shape (N,).
        q: positions, shape (N, dof) [rad or m].
        qd: velocities, shape (N, dof).
        seconds: from each to the next, shape (N - 1,); from row to row it means nothing.
    """

    row: IntArray
    q: FloatArray
    qd: FloatArray
    seconds: FloatArray


def sampled(rows: Rows) -> Moments:
    """The moments of the samples."""
    q, qd = (rows.lists[name].astype(np.float64) for name in ("joint_position", "joint_velocity"))
    return Moments(rows.sample_row, q, qd, 1 / rows.rate_hz[rows.sample_row[1:]])


def stored(rows: Rows) -> Moments:
    """The moments of the profiles, which the rows must have."""
    dof = rows.lists["joint_position"].shape[1]
    time, jerk, segment_row = pieces(rows, dof)
    borders = np.sort(np.cumsum(time, axis=2).reshape(len(time), -1), axis=1)
    borders = np.concatenate([np.zeros((len(time), 1)), borders], axis=1)
    gaps = np.diff(borders, axis=1)
    segment, place = np.nonzero(gaps > _SHORTEST)
    # Durations may be wrong, and then the row's own bounds what is looked at.
    longest = rows.duration[segment_row[segment]] + LONGEST
    parts = np.ceil(np.minimum(gaps[segment, place], longest) / LONGEST).astype(np.int64)
    step = np.repeat(gaps[segment, place] / parts, parts)
    within = np.arange(len(step)) - np.repeat(np.cumsum(parts) - parts, parts)
    of, t = np.repeat(segment, parts), np.repeat(borders[segment, place], parts) + within * step
    # A last moment for each row, at the end of its last segment.
    ends = np.flatnonzero(np.diff(segment_row, append=len(rows.ids)))
    of, t = np.concatenate([of, ends]), np.concatenate([t, borders[ends, -1]])
    order = np.lexsort((t, of))
    of, t = of[order], t[order]
    q, qd = _at(rows, (time, jerk, segment_row), of, t)
    clock = t + (np.cumsum(borders[:, -1]) - borders[:, -1])[of]
    return Moments(segment_row[of], q, qd, np.maximum(np.diff(clock), 0.0))


def posture_between(moments: Moments, moment: IntArray, u: FloatArray) -> FloatArray:
    """Postures (m, dof) a share u after moments: cubic Hermite interpolation."""
    t, u = moments.seconds[moment][:, None], u[:, None]
    before, after = moments.q[moment], moments.q[moment + 1]
    leaving, arriving = t * moments.qd[moment], t * moments.qd[moment + 1]
    return (
        (1 + 2 * u) * (1 - u) ** 2 * before
        + u * (1 - u) ** 2 * leaving
        + u**2 * (3 - 2 * u) * after
        - u**2 * (1 - u) * arriving
    )


def straight_motions(rows: Rows, families: list[str]) -> tuple[FloatArray, IntArray, IntArray]:
    """Configurations along every motion that is to be a straight line, (M, dof), the first of each motion and M, and
    each motion's row. Which ones those are follows from the family: all of a cartesian_line, and the second, third,
    fifth and sixth of the six of a pick_and_place."""
    dof = rows.lists["joint_position"].shape[1]
    time, jerk, segment_row = pieces(rows, dof)
    begins = integrate(rows, time, jerk, segment_row)[1][:, :, 0]
    moves = np.abs(jerk).any((1, 2))
    fresh = moves & (np.abs(begins[..., 1]) < 1e-6).all(1)
    motion = np.cumsum(fresh) - 1
    before = np.searchsorted(segment_row[fresh], np.arange(len(rows.ids)))
    count = np.bincount(segment_row[fresh], minlength=len(rows.ids))
    family = np.array(families)[segment_row]
    number = motion - before[segment_row]
    placing = (family == "pick_and_place") & (count[segment_row] == 6) & np.isin(number, (1, 2, 4, 5))
    segment = np.flatnonzero(moves & ((family == "cartesian_line") | placing))
    t = np.linspace(0, 1, _POINTS) * time[segment].sum(2).max(1)[:, None]
    q, _ = _at(rows, (time, jerk, segment_row), np.repeat(segment, _POINTS), t.reshape(-1))
    first = np.flatnonzero(np.diff(motion[segment], prepend=-1)) * _POINTS
    return q, np.append(first, len(q)), segment_row[segment[first // _POINTS]]


def exact_from_hz(reach: FloatArray, jerk: FloatArray) -> float:
    """Least rate at which a cubic through samples is within ALLOWED of any motion that keeps the limits.

    Args:
        reach: how far each joint moves any point of the arm, at most, for each unit of its motion, shape (dof,).
        jerk: greatest of each joint, shape (dof,).
    """
    return float(np.cbrt((reach * jerk).sum() / 96 / ALLOWED))


def _at(
    rows: Rows, profiles: tuple[FloatArray, FloatArray, IntArray], segment: IntArray, t: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Positions and velocities (M, dof) at times t after segments begin, both (M,)."""
    time, jerk, segment_row = profiles
    states = integrate(rows, time, jerk, segment_row)[1]
    begins = np.cumsum(time, axis=2) - time
    q, qd = np.empty((2, len(t), time.shape[1]))
    for joint in range(time.shape[1]):
        piece = np.maximum((begins[segment, joint] <= t[:, None]).sum(1) - 1, 0)
        since = t - begins[segment, joint, piece]
        value = advance(states[segment, joint, piece], jerk[segment, joint, piece], since)
        q[:, joint], qd[:, joint] = value[:, 0], value[:, 1]
    return q, qd
