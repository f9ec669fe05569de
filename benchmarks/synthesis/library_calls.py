"""Pinocchio and Ruckig called one by one: the loop that their documentation leads to, and the floor beneath it."""

from typing import Any

import numpy as np
import pinocchio as pin
import ruckig
from numpy.typing import NDArray

from services.synthesis.arm.robot_model import RobotModel

FloatArray = NDArray[np.float64]

RATE_HZ, SPEED_SCALE = 20.0, 0.5
DOCUMENTED_ROWS, FLOOR_ROWS = 60, 1500


class LibraryCalls:
    """The libraries' objects for one robot, at a speed scale."""

    def __init__(self, robot: RobotModel, speed_scale: float = SPEED_SCALE) -> None:
        limits = robot.spec.limits.scaled(speed_scale)
        self.robot, self.lower, self.upper = robot, limits.lower, limits.upper
        self.model, self.data, self.tool = robot.model, robot.model.createData(), robot.tool_frame_id
        self.solver, self.profile = ruckig.Ruckig(robot.dof), ruckig.Trajectory(robot.dof)
        self.input = ruckig.InputParameter(robot.dof)
        self.input.max_velocity = limits.velocity.tolist()
        self.input.max_acceleration = limits.acceleration.tolist()
        self.input.max_jerk = limits.jerk.tolist()

    def configurations(self, rng: np.random.Generator, n: int) -> FloatArray:
        """Uniform inside the limits, shape (n, dof) [rad]."""
        return self.lower + rng.random((n, self.robot.dof)) * (self.upper - self.lower)

    def pose(self, q: Any) -> Any:
        """T_base_tool by Pinocchio."""
        pin.forwardKinematics(self.model, self.data, q)
        return pin.updateFramePlacement(self.model, self.data, self.tool)

    def calculate(self, start: list[float], target: list[float]) -> float | None:
        """One profile from rest to rest; returns its duration [s], or None where Ruckig finds none."""
        self.input.current_position, self.input.target_position = start, target
        if self.solver.calculate(self.input, self.profile) < 0:
            return None
        return float(self.profile.duration)

    def sample(self, samples: int, rate_hz: float = RATE_HZ) -> None:
        """At each sample of the last profile one at_time and one forward kinematics."""
        for k in range(samples):
            position, _, _ = self.profile.at_time(k / rate_hz)
            self.pose(np.array(position))

    def documented_ik(self, target: Any, rng: np.random.Generator) -> FloatArray | None:
        """Pinocchio's inverse kinematics example: damped steps on the logarithm of the pose error."""
        for _ in range(11):
            q = self.configurations(rng, 1)[0]
            for _ in range(100):
                error = self.pose(q).actInv(target)
                vector = pin.log6(error).vector
                if np.linalg.norm(vector) < 1e-4:
                    return np.asarray(q)
                jacobian = pin.computeFrameJacobian(self.model, self.data, q, self.tool, pin.LOCAL)
                jacobian = -np.dot(pin.Jlog6(error.inverse()), jacobian)
                step = -jacobian.T.dot(np.linalg.solve(jacobian.dot(jacobian.T) + 1e-6 * np.eye(6), vector))
                q = np.clip(pin.integrate(self.model, q, step), self.lower, self.upper)
        return None


def documented_loop(calls: LibraryCalls, turn: int) -> tuple[int, int]:
    """One trajectory after the other. Returns rows and samples."""
    rng = np.random.default_rng(turn)
    rows = samples = 0
    for _ in range(DOCUMENTED_ROWS):
        start, drawn = calls.configurations(rng, 2)
        goal = calls.documented_ik(calls.pose(drawn).copy(), rng)
        duration = None if goal is None else calls.calculate(start.tolist(), goal.tolist())
        if duration is not None:
            length = int(np.ceil(duration * RATE_HZ)) + 1
            calls.sample(length)
            rows, samples = rows + 1, samples + length
    return rows, samples


def reachable_floor(calls: LibraryCalls, turn: int) -> tuple[int, int]:
    """Only the calls, between given configurations. Returns rows and samples."""
    rng = np.random.default_rng(turn)
    starts, goals = calls.configurations(rng, FLOOR_ROWS), calls.configurations(rng, FLOOR_ROWS)
    samples = 0
    for start, goal, q in zip(starts.tolist(), goals.tolist(), goals, strict=True):
        for _ in range(4):
            pin.computeFrameJacobian(calls.model, calls.data, q, calls.tool, pin.LOCAL)
            calls.pose(q)
        duration = calls.calculate(start, goal)
        assert duration is not None
        length = int(np.ceil(duration * RATE_HZ)) + 1
        calls.sample(length)
        samples += length
    return FLOOR_ROWS, samples
