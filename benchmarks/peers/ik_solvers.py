"""Inverse kinematics by eaik, frankik and ssik: for tool poses (n, 4, 4) in the base frame, configurations or None."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import frankik
import numpy as np
import pinocchio as pin
from eaik.IK_HP import HPRobot
from numpy.typing import NDArray

from services.synthesis.arm.robot_model import RobotModel, link_frame

FloatArray = NDArray[np.float64]
Answers = list[FloatArray | None]
Solver = Callable[[FloatArray], Answers]

LOCKED, SAMPLED = 9, 20
"""Values of the Panda's last joint, over its whole range, that eaik is locked at and frankik samples."""
_SSIK = {"panda": "ssik.prebuilt.franka.panda_ik", "ur5": "ssik.prebuilt.universal_robots.ur5_ik"}


@dataclass(frozen=True)
class Axes:
    """An arm as eaik takes it: all joints at 0, in the base frame.

    Attributes:
        directions: of the joints' axes, shape (dof, 3).
        steps: from the base to the first axis, from each axis to the next, to the tool [m], shape (dof + 1, 3).
        tool: the tool's rotation, shape (3, 3).
    """

    directions: FloatArray
    steps: FloatArray
    tool: FloatArray

    @classmethod
    def of(cls, robot: RobotModel) -> "Axes":
        """By Pinocchio."""
        model, data, zero = robot.model, robot.model.createData(), np.zeros(robot.dof)
        jacobian = pin.computeFrameJacobian(model, data, zero, robot.tool_frame_id, pin.LOCAL_WORLD_ALIGNED)
        pin.framesForwardKinematics(model, data, zero)
        base = data.oMf[link_frame(model, robot.arm.base_frame)]
        tool = base.actInv(data.oMf[robot.tool_frame_id])
        points = [base.actInv(data.oMi[joint]).translation for joint in range(1, model.njoints)]
        steps = np.diff([np.zeros(3), *points, tool.translation], axis=0)
        return cls(jacobian[3:].T @ base.rotation, steps, np.array(tool.rotation))


class Eaik:
    """eaik's closed form for six joints; the first answer inside the limits, which it does not know.

    A seventh joint is locked at some values, one solver for each; a pose goes from one to the next until one answers.
    """

    def __init__(self, robot: RobotModel) -> None:
        axes, self._limits, last = Axes.of(robot), robot.spec.limits, robot.dof - 1
        values = np.linspace(self._limits.lower[last], self._limits.upper[last], LOCKED + 2)[1:-1].tolist()
        locks = [[(last, value)] for value in sorted(values, key=abs)] if robot.dof == 7 else [[]]
        self._solvers = [HPRobot(axes.directions, axes.steps, lock) for lock in locks]
        self._without_tool = np.eye(4)
        self._without_tool[:3, :3] = axes.tool.T

    def together(self, poses: FloatArray) -> Answers:
        """All poses in a call."""
        targets, found = poses @ self._without_tool, Answers([None] * len(poses))
        left = list(range(len(poses)))
        for solver in self._solvers:
            if left:
                for i, answer in zip(left, solver.IK_batched(targets[left], 1), strict=True):
                    found[i] = self._first_inside(answer)
                left = [i for i in left if found[i] is None]
        return found

    def alone(self, poses: FloatArray) -> Answers:
        """A pose a call."""
        found = Answers()
        for target in poses @ self._without_tool:
            answers = (self._first_inside(solver.IK(target)) for solver in self._solvers)
            found.append(next((q for q in answers if q is not None), None))
        return found

    def _first_inside(self, answer: Any) -> FloatArray | None:
        for q, least_squares in zip(answer.Q, answer.is_LS, strict=True):
            if not least_squares and (q >= self._limits.lower).all() and (q <= self._limits.upper).all():
                return np.asarray(q)
        return None


def frankik_alone(robot: RobotModel) -> Solver:
    """frankik's closed form, a pose a call: the first answer for values of the last joint over its whole range."""
    to_flange, limits = _from_tool(robot, "panda_link8"), robot.spec.limits
    middle, range_deg = (limits.lower + limits.upper) / 2, float(np.degrees(limits.upper[-1] - limits.lower[-1]))

    def solve(poses: FloatArray) -> Answers:
        targets = poses @ to_flange
        each = (frankik.ik_sample_q7(target, middle, False, SAMPLED, range_deg, True) for target in targets)
        return [answers[0] if answers else None for answers in each]

    return solve


def ssik_alone(robot: RobotModel) -> Solver:
    """The solver that ssik ships for the arm, a pose a call: one answer inside the limits."""
    solver = importlib.import_module(_SSIK[robot.arm.name])
    to_end = _from_tool(robot, solver.EE_LINK)

    def solve(poses: FloatArray) -> Answers:
        each = (solver.solve(target, max_solutions=1) for target in poses @ to_end)
        return [answers[0].q if answers else None for answers in each]

    return solve


def _from_tool(robot: RobotModel, link: str) -> FloatArray:
    """T_tool_link, which no joint is between, shape (4, 4)."""
    data = robot.model.createData()
    pin.framesForwardKinematics(robot.model, data, robot.home)
    tool, end = (data.oMf[frame] for frame in (robot.tool_frame_id, link_frame(robot.model, link)))
    return np.array(tool.actInv(end).homogeneous)
