"""Profiles evaluated: positions, velocities and accelerations at sample times, and their extrema over all time.

Ruckig's own recurrence, in its own order of operations, so that values equal its `at_time` bit for bit:
a + t*j, v + t*(a + t*j/2), p + t*(v + t*(a/2 + t*j/6)).
"""

import numpy as np
from numpy.typing import NDArray

from services.synthesis.compiled import compiled, inlined

FloatArray = NDArray[np.float64]

WITHIN, POSITION, VELOCITY, ACCELERATION, JERK, GAP = range(6)
"""What `first_violation` answers."""
MAX_GAP = 1e-7
"""Greatest step of position [rad] and velocity [rad/s] at the borders of segments, and a thousandth of that of
acceleration. Ruckig ends within 1e-8; float32 rounds by as much as this."""


@inlined
def integrate(t: float, p: float, v: float, a: float, j: float) -> tuple[float, float, float]:
    """Position, velocity and acceleration a time t into a piece."""
    return p + t * (v + t * (a / 2 + t * j / 6)), v + t * (a + t * j / 2), a + t * j


@compiled
def row_durations(first_segment: NDArray[np.int64], duration: FloatArray, dwell: FloatArray) -> FloatArray:
    """Duration of rows made of segments with a dwell after each [s], shape (n,); arguments as in `sample_rows`."""
    total = np.zeros(first_segment.size - 1)
    for row in range(total.size):
        for segment in range(first_segment[row], first_segment[row + 1]):
            total[row] = total[row] + duration[segment] + dwell[segment]
    return total


@compiled
def sample_rows(
    first_segment: NDArray[np.int64],
    first_sample: NDArray[np.int64],
    rate_hz: float,
    start: FloatArray,
    velocity: FloatArray,
    acceleration: FloatArray,
    time: FloatArray,
    jerk: FloatArray,
    duration: FloatArray,
    dwell: FloatArray,
    command: FloatArray,
    q: NDArray[np.floating],
    qd: NDArray[np.floating],
    qdd: NDArray[np.floating],
    gripper: NDArray[np.floating],
) -> None:
    """Samples rows made of segments with a dwell after each: sample k of a row is at k / rate_hz.

    Args:
        first_segment: first segment of each row, and the number of segments, shape (n + 1,).
        first_sample: first sample of each row, and the number of samples, shape (n + 1,).
        rate_hz: samples per second.
        start: as in timing.Profiles, like `velocity`, `acceleration`, `time`, `jerk` and `duration`.
        velocity: likewise.
        acceleration: likewise.
        time: likewise.
        jerk: likewise.
        duration: likewise.
        dwell: rest after each segment [s], shape (S,).
        command: gripper command during each segment, and from its end on, shape (S, 2).
        q: filled with positions, shape (N, dof); samples after a row's last segment hold its goal.
        qd: filled with velocities, shape (N, dof).
        qdd: filled with accelerations, shape (N, dof), unless it has no rows.
        gripper: filled with gripper commands, shape (N,).
    """
    dof = start.shape[1]
    for row in range(first_segment.size - 1):
        begins = 0.0
        here, last = first_sample[row], first_sample[row + 1]
        for segment in range(first_segment[row], first_segment[row + 1]):
            ends = begins + duration[segment]
            next_begins = ends + dwell[segment]
            moving = here
            while moving < last and (moving - first_sample[row]) / rate_hz < ends:
                moving += 1
            resting = moving
            if segment + 1 == first_segment[row + 1]:
                resting = last
            while resting < last and (resting - first_sample[row]) / rate_hz < next_begins:
                resting += 1
            for joint in range(dof):
                p, v, a = start[segment, joint], velocity[segment, joint], acceleration[segment, joint]
                piece, piece_ends = 0, time[segment, joint, 0]
                piece_begins = 0.0
                for sample in range(here, moving):
                    t = (sample - first_sample[row]) / rate_hz - begins
                    while piece < 7 and t >= piece_ends:
                        p, v, a = integrate(time[segment, joint, piece], p, v, a, jerk[segment, joint, piece])
                        piece += 1
                        piece_begins = piece_ends
                        if piece < 7:
                            piece_ends += time[segment, joint, piece]
                    j = jerk[segment, joint, piece] if piece < 7 else 0.0
                    q[sample, joint], qd[sample, joint], x = integrate(t - piece_begins, p, v, a, j)
                    if qdd.shape[0] > 0:
                        qdd[sample, joint] = x
                while piece < 7:
                    p, v, a = integrate(time[segment, joint, piece], p, v, a, jerk[segment, joint, piece])
                    piece += 1
                for sample in range(moving, resting):
                    q[sample, joint], qd[sample, joint] = p, 0.0
                    if qdd.shape[0] > 0:
                        qdd[sample, joint] = 0.0
            for sample in range(here, resting):
                gripper[sample] = command[segment, 0 if sample < moving else 1]
            here, begins = resting, next_begins


@compiled
def sample_one(time: FloatArray, jerk: FloatArray, step: FloatArray, first: NDArray[np.int64], out: FloatArray) -> None:
    """Positions of m joints that start from 0 at rest, at times 0, step, 2 * step, ...

    Args:
        time: durations of the pieces of each, shape (m, 7) [s].
        jerk: likewise, shape (m, 7).
        step: of each [s], shape (m,).
        first: first value of each, and the number of values N, shape (m + 1,).
        out: filled with positions, shape (N,).
    """
    for i in range(step.size):
        p, v, a, piece, begins = 0.0, 0.0, 0.0, 0, 0.0
        for k in range(first[i], first[i + 1]):
            t = step[i] * (k - first[i])
            while piece < 7 and t >= begins + time[i, piece]:
                p, v, a = integrate(time[i, piece], p, v, a, jerk[i, piece])
                begins += time[i, piece]
                piece += 1
            out[k] = integrate(t - begins, p, v, a, jerk[i, piece] if piece < 7 else 0.0)[0]


@compiled
def _position_range(t: float, p: float, v: float, a: float, j: float) -> tuple[float, float]:
    """Least and greatest position within a piece of duration t: at its ends, or where v + a*t + j*t^2/2 is 0."""
    end = integrate(t, p, v, a, j)[0]
    low, high = min(p, end), max(p, end)
    discriminant = a * a - 2 * j * v
    if discriminant > 0.0:
        half = -(a + np.copysign(np.sqrt(discriminant), a))
        for root in (half / j if j != 0.0 else -1.0, 2 * v / half if half != 0.0 else -1.0):
            if 0.0 < root < t:
                turn = integrate(root, p, v, a, j)[0]
                low, high = min(low, turn), max(high, turn)
    return low, high


@compiled
def _broken_limit(t: float, p: float, v: float, a: float, j: float, bounds: FloatArray) -> int:
    """Which limit a piece of duration t breaks, from its state at its beginning; `bounds` of its joint, shape (5,)."""
    _, v1, a1 = integrate(t, p, v, a, j)
    if not abs(j) <= bounds[4] or not t >= 0.0:
        return JERK
    if not (abs(a) <= bounds[3] and abs(a1) <= bounds[3]):
        return ACCELERATION
    v_peak = integrate(-a / j, p, v, a, j)[1] if (a < 0.0) != (a1 < 0.0) and j != 0.0 else v
    if not (abs(v) <= bounds[2] and abs(v1) <= bounds[2] and abs(v_peak) <= bounds[2]):
        return VELOCITY
    low, high = _position_range(t, p, v, a, j)
    return WITHIN if bounds[0] <= low and high <= bounds[1] else POSITION


@compiled
def first_violation(
    first_segment: NDArray[np.int64],
    start: FloatArray,
    velocity: FloatArray,
    acceleration: FloatArray,
    time: FloatArray,
    jerk: FloatArray,
    duration: FloatArray,
    dwell: FloatArray,
    bounds: FloatArray,
) -> NDArray[np.int64]:
    """What is wrong with each segment at any moment, not only at samples: one of WITHIN ... GAP, shape (S,).

    Position is extreme at the ends of a piece or where velocity passes 0, velocity at the ends or where acceleration
    passes 0, acceleration at the ends, and jerk is constant. Segments must begin where the one before them ended, the
    first of a row and one after a dwell at rest; a segment before a dwell and the last of a row must end at rest.

    Args:
        first_segment: as in `sample_rows`, like the others but `bounds`.
        start: likewise.
        velocity: likewise.
        acceleration: likewise.
        time: likewise.
        jerk: likewise.
        duration: likewise.
        dwell: likewise.
        bounds: least and greatest position, then greatest velocity, acceleration and jerk of each joint, with the slack
            for rounding, shape (dof, 5).
    """
    verdicts = np.zeros(start.shape[0], np.int64)
    dof = start.shape[1]
    before, ends, rest = np.zeros((dof, 3)), np.zeros(3), np.zeros(3)
    for row in range(first_segment.size - 1):
        for segment in range(first_segment[row], first_segment[row + 1]):
            stops = segment + 1 == first_segment[row + 1] or dwell[segment] > 0.0
            for joint in range(dof):
                p, v, a = start[segment, joint], velocity[segment, joint], acceleration[segment, joint]
                if segment == first_segment[row]:
                    before[joint, 0], before[joint, 1], before[joint, 2] = p, 0.0, 0.0
                if not _same_state(p, v, a, before[joint]):
                    verdicts[segment] = GAP
                remaining = duration[segment]
                for piece in range(7):
                    t, j = time[segment, joint, piece], jerk[segment, joint, piece]
                    broken = _broken_limit(t, p, v, a, j, bounds[joint])
                    if broken != WITHIN:
                        verdicts[segment] = broken
                    p, v, a = integrate(t, p, v, a, j)
                    remaining -= t
                ends[0], ends[1], ends[2] = integrate(remaining, p, v, a, 0.0)
                rest[0] = ends[0]
                if stops and verdicts[segment] == WITHIN and not _same_state(ends[0], ends[1], ends[2], rest):
                    verdicts[segment] = GAP
                for order in range(3):
                    before[joint, order] = rest[order] if stops else ends[order]
    return verdicts


@compiled
def _same_state(p: float, v: float, a: float, state: FloatArray) -> bool:
    """Whether position, velocity and acceleration are those of a state (3,), up to what Ruckig and rounding leave."""
    near = abs(p - state[0]) <= MAX_GAP and abs(v - state[1]) <= MAX_GAP
    return bool(near and abs(a - state[2]) <= 1e3 * MAX_GAP)
