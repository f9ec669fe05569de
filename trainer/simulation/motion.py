"""Smooth commanded motion of the tool centre point, for scripted experts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.rotation import matrix_to_rotvec, rotvec_to_matrix
from trainer.poses import Pose
from trainer.simulation.robosuite_env import CONTROL_RATE_HZ

FloatArray = NDArray[np.float64]

PEAK_SPEED = 0.32  # of one stroke [m/s]
PEAK_TURN = 1.5  # of one stroke [rad/s]
_SHORTEST = 0.3  # [s]


@dataclass(frozen=True)
class Stroke:
    """A straight minimum-jerk motion to `target`.

    Attributes:
        target: pose to reach, in the base frame.
        overlap: share of its duration by which it begins before the stroke ahead of it has ended: their velocities
            add up there, so that the tool rounds the corner without stopping.
    """

    target: Pose
    overlap: float = 0.0


def minimum_jerk(phase: FloatArray | float) -> FloatArray:
    """Share of the way done at a phase of 0 to 1 (Flash and Hogan 1985), held outside."""
    s = np.clip(phase, 0.0, 1.0)
    return np.asarray(s**3 * (10 - 15 * s + 6 * s**2))


@dataclass(frozen=True, eq=False)
class _TimedStroke:
    """A stroke in time: when it begins and how long it takes [s], how far it goes [m] and turns [rad]."""

    begin: float
    duration: float
    move: FloatArray
    turn: FloatArray

    def share(self, time: float) -> FloatArray:
        return minimum_jerk((time - self.begin) / self.duration)


def follow(start: Pose, strokes: Sequence[Stroke], peak_speed: float = PEAK_SPEED) -> Iterator[Pose]:
    """Commanded poses at 20 Hz from `start` through the strokes; the last one is the last stroke's target."""
    timed = _timed(start, strokes, peak_speed)
    end = max(stroke.begin + stroke.duration for stroke in timed)
    for step in range(1, int(np.ceil(end * CONTROL_RATE_HZ)) + 1):
        position, rotation = start
        for stroke in timed:
            share = stroke.share(step / CONTROL_RATE_HZ)
            position = position + share * stroke.move
            rotation = rotvec_to_matrix(share * stroke.turn) @ rotation
        yield position, rotation


def _timed(start: Pose, strokes: Sequence[Stroke], peak_speed: float) -> list[_TimedStroke]:
    timed: list[_TimedStroke] = []
    origin, begin, end = start, 0.0, 0.0
    for stroke in strokes:
        move = stroke.target[0] - origin[0]
        turn = matrix_to_rotvec(stroke.target[1] @ origin[1].T)
        slowest = max(np.linalg.norm(move) / peak_speed, np.linalg.norm(turn) / PEAK_TURN)
        # A minimum-jerk stroke peaks at 1.875 times its mean speed.
        duration = max(1.875 * float(slowest), _SHORTEST)
        begin = max(begin, end - stroke.overlap * duration)
        end = max(end, begin + duration)
        timed.append(_TimedStroke(begin, duration, move, turn))
        origin = stroke.target
    return timed
