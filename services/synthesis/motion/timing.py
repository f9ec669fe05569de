"""Time parameterization: a jerk-limited, time-synchronized profile for each segment."""

import dataclasses
import functools
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import ruckig
from numpy.typing import NDArray

from services.synthesis.arm.robot_model import RobotModel

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

PIECES = 7
NO_MOTION = 1e-9
"""Joints that move less than this [rad] are told to stand still: Ruckig can fail on tinier motions."""


@dataclass(frozen=True, eq=False)
class Profiles:
    """S segments, each of dof joints, each of seven pieces of constant jerk.

    A joint whose pieces end before the segment does holds its last position.

    Attributes:
        start: joint positions at the beginning of each segment [rad], shape (S, dof).
        velocity: joint velocities there [rad/s], shape (S, dof).
        acceleration: joint accelerations there [rad/s^2], shape (S, dof).
        time: duration of each piece [s], shape (S, dof, 7).
        jerk: jerk of each piece [rad/s^3], shape (S, dof, 7).
        duration: of each segment [s], shape (S,).
    """

    start: FloatArray
    velocity: FloatArray
    acceleration: FloatArray
    time: FloatArray
    jerk: FloatArray
    duration: FloatArray

    @classmethod
    def resting(cls, q: FloatArray) -> "Profiles":
        """Segments that take no time at configurations (S, dof)."""
        pieces = np.zeros((*q.shape, PIECES))
        return cls(q, np.zeros_like(q), np.zeros_like(q), pieces, pieces.copy(), np.zeros(len(q)))

    def slowed(self, factor: FloatArray) -> "Profiles":
        """The same motions, each played `factor` times slower, shape (S,)."""
        k = factor[:, None]
        return Profiles(
            self.start,
            self.velocity / k,
            self.acceleration / (k * k),
            self.time * k[..., None],
            self.jerk / (k * k * k)[..., None],
            self.duration * factor,
        )

    def take(self, segments: IntArray) -> "Profiles":
        """The named segments, in the order given."""
        return Profiles(*(getattr(self, field.name)[segments] for field in dataclasses.fields(self)))

    @classmethod
    def join(cls, parts: Sequence["Profiles"]) -> "Profiles":
        """Several of them, one after the other."""
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def put(self, segments: IntArray, others: "Profiles") -> None:
        """Replaces the named segments by others, in place."""
        for field in dataclasses.fields(self):
            getattr(self, field.name)[segments] = getattr(others, field.name)


def slowdown(duration: FloatArray, wanted: FloatArray) -> FloatArray:
    """How many times slower motions must be played to take as long as wanted; 1 where they do anyway, or don't move."""
    ratio = np.ones_like(duration)
    moves = (duration > 0) & (wanted > duration)
    ratio[moves] = wanted[moves] / duration[moves]
    return ratio


class Parameterizer:
    """Ruckig with one robot's limits; its objects are reused, which is five times faster than making them."""

    def __init__(self, robot: RobotModel) -> None:
        limits = robot.planning_limits
        self._dof = robot.dof
        self._ruckig = ruckig.Ruckig(robot.dof)
        self._trajectory = ruckig.Trajectory(robot.dof)
        self._input = ruckig.InputParameter(robot.dof)
        self._input.max_velocity = limits.velocity.tolist()
        self._input.max_acceleration = limits.acceleration.tolist()
        self._input.max_jerk = limits.jerk.tolist()

    def connect(
        self,
        start: FloatArray,
        target: FloatArray,
        minimum_duration: FloatArray,
        speed_scale: FloatArray,
        velocities: tuple[FloatArray, FloatArray] | None = None,
    ) -> tuple[Profiles, BoolArray]:
        """Profiles between configurations, and which of them Ruckig could make.

        Limits under a speed scale s are s*v, s^2*a and s^3*j, which is the unscaled motion played 1/s times slower:
        profiles are made with the full limits and stretched.

        Args:
            start: shape (S, dof) [rad].
            target: shape (S, dof) [rad].
            minimum_duration: lower bound on each duration [s], shape (S,); 0 for none.
            speed_scale: shape (S,), above 0 and at most 1.
            velocities: at the start and at the target, each (S, dof) [rad/s], at full speed, so before the speed scale,
                and below the limits; None for rest. Accelerations there are 0.
        """
        target = np.where(np.abs(target - start) < NO_MOTION, start, target)
        pieces, durations, made = array("d"), np.zeros(len(start)), np.ones(len(start), np.bool_)
        solver, request, trajectory = self._ruckig, self._input, self._trajectory
        full_speed_duration = (minimum_duration * speed_scale).tolist()
        request.current_velocity = request.target_velocity = [0.0] * self._dof
        moving = [] if velocities is None else list(zip(*(v.tolist() for v in velocities), strict=True))
        for i, (q0, q1) in enumerate(zip(start.tolist(), target.tolist(), strict=True)):
            request.current_position = q0
            request.target_position = q1
            request.minimum_duration = full_speed_duration[i] or None
            if moving:
                request.current_velocity, request.target_velocity = moving[i]
            if not _calculated(solver, request, trajectory):
                made[i] = False
                pieces.extend([0.0] * (2 * PIECES * self._dof))
                continue
            durations[i] = trajectory.duration
            for profile in trajectory.profiles[0]:
                pieces.fromlist(profile.t)
                pieces.fromlist(profile.j)
                # A velocity below its limit, without acceleration, needs no braking before the seven pieces.
                assert not moving or profile.brake.duration == 0.0
        table = np.frombuffer(pieces, np.float64).reshape(-1, self._dof, 2, PIECES)
        scale = speed_scale[:, None, None]
        time, jerk = table[:, :, 0] / scale, table[:, :, 1] * (scale * scale * scale)
        velocity = np.zeros_like(start) if velocities is None else velocities[0] * speed_scale[:, None]
        return Profiles(start, velocity, np.zeros_like(start), time, jerk, durations / speed_scale), made


def _calculated(solver: Any, request: Any, trajectory: Any) -> bool:
    try:
        return bool(solver.calculate(request, trajectory) >= 0)
    except ruckig.RuckigError:
        return False


class PathTimer:
    """Ruckig for a path coordinate that runs from 0 to 1, from rest to rest."""

    def __init__(self) -> None:
        self._ruckig, self._trajectory = ruckig.Ruckig(1), ruckig.Trajectory(1)
        self._input = ruckig.InputParameter(1)
        self._input.target_position = [1.0]

    def profiles(self, limits: FloatArray, minimum_duration: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Durations (m, 7) [s] and jerks (m, 7) [1/s^3] of the pieces of m profiles, and how long each lasts (m,) [s].

        Args:
            limits: greatest velocity [1/s], acceleration and jerk of the coordinate in each, shape (m, 3).
            minimum_duration: lower bound on each duration [s], shape (m,); 0 for none.
        """
        pieces, durations = [], []
        for (velocity, acceleration, jerk), shortest in zip(limits.tolist(), minimum_duration.tolist(), strict=True):
            self._input.max_velocity, self._input.max_acceleration = [velocity], [acceleration]
            self._input.max_jerk, self._input.minimum_duration = [jerk], shortest or None
            try:
                self._ruckig.calculate(self._input, self._trajectory)
            except ruckig.RuckigError:
                # Ruckig's cases leave a gap of some 1e-15 where the greatest acceleration is only just reached.
                self._input.max_jerk = [jerk * (1 - 1e-9)]
                self._ruckig.calculate(self._input, self._trajectory)
            profile = self._trajectory.profiles[0][0]
            pieces.append((profile.t, profile.j))
            durations.append(self._trajectory.duration)
        table = np.array(pieces).reshape(-1, 2, PIECES)
        return table[:, 0], table[:, 1], np.array(durations)


@functools.lru_cache(maxsize=8)
def parameterizer(robot: RobotModel) -> Parameterizer:
    """The robot's parameterizer; kept for the life of the process."""
    return Parameterizer(robot)
