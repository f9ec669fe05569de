"""The pace of copies: which time of its source each knot is at.

Skill segments keep the demonstration's own timing, one step of it to each knot. A free segment takes as much longer as
its path has become: time in the source runs by a jerk-limited profile (Ruckig) that joins the segments around it at
their own pace.
"""

import numpy as np
import ruckig
from numpy.typing import NDArray

from services.synthesis.compiled import compiled
from services.synthesis.copies.carrying import free_interval, path_ratio
from services.synthesis.copies.sources import METRES_PER_RADIAN, Sources
from services.synthesis.copies.transforms import Transforms
from services.synthesis.numerics.offsets import offsets
from shared.demonstrated_motions import FREE

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

FASTEST, SLOWEST = 1.6, 0.3
"""Greatest and least pace of a free segment: steps of the source in each of the copy."""
_ACCELERATION, _JERK = 5.0, 50.0
"""Greatest change of the pace in a second [1/s], and of that [1/s^2]."""
_LEAST_RATIO = 0.5
"""Share of its source's time that a free segment takes at least."""
AT_REST = 0.05
"""Greatest speed [m/s] at which a demonstration is taken to begin, or to end, at rest."""
_LEAST_STEP = 1e-3
"""What a demonstration's fastest step is at least taken for [m]."""
_REACH = 3
"""Intervals on either side of one that must be slower which become slower with it."""
_BELL = np.array([1.0, 6.0, 15.0, 20.0, 15.0, 6.0, 1.0]) / 64
_SPEED_UP = (1.28, 1.28, 1.15, 0.75)
"""Steps before the first from which the tool comes to its pace there, and likewise after the last."""


def knot_times(sources: Sources, source: IntArray, placed: Transforms, rate_hz: float) -> list[FloatArray]:
    """The times of the knots of each of n copies, in steps of its source.

    Where the demonstration does not begin or end at rest, knots outside it are added from which the tool comes to its
    pace, and in which it stops.
    """
    pacer = _Pacer(rate_hz)
    return [pacer.times(sources, int(motion), index, placed) for index, motion in enumerate(source)]


def joined(times: list[FloatArray]) -> tuple[IntArray, FloatArray]:
    """First knot of each copy, and their number K, shape (n + 1,), and the times of all, shape (K,)."""
    return offsets(np.array([len(one) for one in times], np.int64)), np.concatenate([np.zeros(0), *times])


def slowed(times: FloatArray, need: FloatArray) -> FloatArray:
    """Knots (M' + 1,) of a copy that passes each interval between knots (M + 1,) so many times slower, `need` (M,).

    What is needed in one interval is given to those around it too, and comes and goes smoothly.
    """
    wide = np.ones(len(need) + 2 * _REACH)
    wide[_REACH:-_REACH] = np.maximum(need, 1.0)
    around = np.lib.stride_tricks.sliding_window_view(wide, 2 * _REACH + 1).max(1)
    padded = np.concatenate([np.full(_REACH, around[0]), around, np.full(_REACH, around[-1])])
    kernel = np.lib.stride_tricks.sliding_window_view(padded, 2 * _REACH + 1)
    factor = (kernel * _BELL).sum(1)
    ends = np.concatenate([[0.0], np.cumsum(factor)])
    count = int(np.ceil(ends[-1] - 1e-6))
    return np.asarray(np.interp(ends[-1] / count * np.arange(count + 1), ends, times))


def fastest_steps(sources: Sources) -> FloatArray:
    """Greatest length of path in a step of each demonstration, turns counted too, shape (M,) [m]."""
    steps = np.diff(sources.path, prepend=0.0)
    steps[sources.first[:-1]] = 0.0
    return np.maximum(np.maximum.reduceat(steps, sources.first[:-1]), _LEAST_STEP)


def path_steps(first_knot: IntArray, position: FloatArray, rotation: FloatArray) -> FloatArray:
    """Length of path between neighbouring knots, turns counted too, shape (K - n,) [m]."""
    shift = np.sqrt((np.diff(position, axis=0) ** 2).sum(1))
    # |R1 - R0| is sqrt(2) times the angle, where it is small.
    turn = np.sqrt((np.diff(rotation, axis=0) ** 2).sum(1) / 2)
    within = np.ones(len(position) - 1, np.bool_)
    within[first_knot[1:-1] - 1] = False
    return np.asarray((shift + METRES_PER_RADIAN * turn)[within])


class _Pacer:
    def __init__(self, rate_hz: float) -> None:
        self._at_rest = AT_REST / rate_hz
        self._ruckig, self._trajectory = ruckig.Ruckig(1), ruckig.Trajectory(1)
        self._input = ruckig.InputParameter(1)
        self._input.current_velocity = self._input.target_velocity = [1.0]
        self._input.max_velocity, self._input.min_velocity = [FASTEST], [SLOWEST]
        self._input.max_acceleration, self._input.max_jerk = [_ACCELERATION / rate_hz], [_JERK / rate_hz**2]

    def times(self, sources: Sources, motion: int, index: int, placed: Transforms) -> FloatArray:
        """Knots of one copy."""
        begins, ends = sources.first[motion], sources.first[motion + 1]
        first = sources.first_segment[motion]
        parts = []
        start, end = 0, int(ends - begins - 1)
        if sources.path[begins + 1] > self._at_rest:
            parts.append(-np.array(_SPEED_UP))
        at = start
        for s in range(int(sources.first_segment[motion + 1] - first)):
            if sources.relative_to[first + s] == FREE:
                a, b = free_interval(sources, motion, s)
                parts.append(np.arange(at, a, dtype=np.float64))
                parts.append(self._free(a, b, path_ratio(sources, motion, s, placed.begin[index], placed.end[index])))
                at = b
        parts.append(np.arange(at, end + 1, dtype=np.float64))
        if sources.path[ends - 1] - sources.path[ends - 2] > self._at_rest:
            parts.append(end + np.array(_SPEED_UP[::-1]))
        return np.concatenate(parts)

    def _free(self, a: int, b: int, ratio: float) -> FloatArray:
        """Times from step `a` up to step `b`, itself left out."""
        wanted = max(_LEAST_RATIO, ratio) * (b - a)
        if abs(wanted - (b - a)) < 0.5:
            return np.arange(a, b, dtype=np.float64)
        self._input.target_position = [float(b - a)]
        try:
            self._input.minimum_duration = None
            self._ruckig.calculate(self._input, self._trajectory)
            # Whole steps, so that what follows is at the demonstration's own steps.
            steps = max(int(np.ceil(self._trajectory.duration - 1e-9)), round(wanted))
            self._input.minimum_duration = float(steps)
            self._ruckig.calculate(self._input, self._trajectory)
        except ruckig.RuckigError:
            return np.arange(a, b, dtype=np.float64)
        if self._trajectory.duration > steps + 1e-6:
            return np.arange(a, b, dtype=np.float64)
        profile, out = self._trajectory.profiles[0][0], np.empty(steps)
        _sample(np.array(profile.t), np.array(profile.j), out)
        return np.asarray(a + out)


@compiled
def _sample(time: FloatArray, jerk: FloatArray, out: FloatArray) -> None:
    """Positions at times 0, 1, 2, ... of a coordinate that starts from 0 with velocity 1."""
    p, v, a, piece, begins = 0.0, 1.0, 0.0, 0, 0.0
    for k in range(out.size):
        while piece < 7 and k >= begins + time[piece]:
            t, j = time[piece], jerk[piece]
            p, v, a = p + t * (v + t * (a / 2 + t * j / 6)), v + t * (a + t * j / 2), a + t * j
            begins += time[piece]
            piece += 1
        t, j = k - begins, jerk[piece] if piece < 7 else 0.0
        out[k] = p + t * (v + t * (a / 2 + t * j / 6))
