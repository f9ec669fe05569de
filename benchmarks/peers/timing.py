"""Time parameterization of straight motions of joints from rest to rest: ours, with limited jerk, and toppra's."""

from collections.abc import Callable
from typing import Any

import numpy as np
import toppra
from numpy.typing import NDArray
from toppra.algorithm import TOPPRA
from toppra.constraint import JointAccelerationConstraint, JointVelocityConstraint

from benchmarks.synthesis.turns import Contender, ratio, take_turns
from services.synthesis.arm.robot_model import RobotModel
from services.synthesis.motion.timing import parameterizer

FloatArray = NDArray[np.float64]

OURS, THEIRS = 2000, 40
"""Motions of a turn."""
GRID = 51
"""Points of toppra's grid; with 21 it is some 1.6 times as fast, its motions 0.4 % longer."""


def _toppra(robot: RobotModel) -> Callable[[FloatArray, FloatArray], float]:
    """Duration of the motion between two configurations [s]."""
    limits, grid = robot.planning_limits, np.linspace(0, 1, GRID)
    constraints: list[Any] = [
        JointVelocityConstraint(np.stack([-limits.velocity, limits.velocity], axis=1)),
        JointAccelerationConstraint(np.stack([-limits.acceleration, limits.acceleration], axis=1)),
    ]

    def duration(start: FloatArray, goal: FloatArray) -> float:
        path = toppra.SplineInterpolator([0, 1], np.array([start, goal]))
        algorithm = TOPPRA(constraints, path, gridpoints=grid, solver_wrapper="seidel")
        return float(algorithm.compute_trajectory(0, 0).duration)

    return duration


def measure(robot: RobotModel, turns: int) -> dict[str, float]:
    """Profiles per second side by side, and how much longer a motion is whose jerk is limited, too."""
    limits, rng = robot.spec.limits, np.random.default_rng(0)
    start, goal = limits.lower + rng.random((2, OURS, robot.dof)) * (limits.upper - limits.lower)
    zero, one, theirs = np.zeros(OURS), np.ones(OURS), _toppra(robot)
    ours = parameterizer(robot)
    lasting = np.empty((2, OURS))

    def make_ours(turn: int) -> tuple[int, int]:
        profiles, made = ours.connect(start, goal, zero, one)
        assert made.all()
        lasting[0] = profiles.duration
        return OURS, 0

    def make_theirs(turn: int) -> tuple[int, int]:
        lasting[1, :THEIRS] = [theirs(a, b) for a, b in zip(start[:THEIRS], goal[:THEIRS], strict=True)]
        return THEIRS, 0

    contenders = Contender("profiles_ours", make_ours), Contender("profiles_toppra", make_theirs)
    take_turns(contenders, turns)
    return {
        **{f"{contender.name}_per_s": contender.rate for contender in contenders},
        "profiles_ours_over_toppra": ratio(*contenders),
        "duration_ours_over_toppra": float(np.median(lasting[0, :THEIRS] / lasting[1, :THEIRS])),
    }
