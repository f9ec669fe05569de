"""Inverse kinematics of every catalogue arm, on poses made by forward kinematics of random configurations.

    python -m benchmarks.ik [--poses N] [--arms NAME,NAME]

Poses come from Pinocchio's forward kinematics of configurations uniform inside the joint limits, and what IK answers
is measured by it again: a pose has converged if Pinocchio finds it within 1e-5 m and 1e-5 rad. One core; times are per
pose, poses that did not converge included, compilation and the arm's reachability table not.
"""

import argparse
import json
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pinocchio as pin
from numpy.typing import NDArray

from services.catalogue import ARMS
from services.synthesis.arm.robot_model import RobotModel, robot_model
from services.synthesis.request.goals import GOALS, Goal
from services.synthesis.solve import ik

FloatArray = NDArray[np.float64]


class Reference:
    """Pinocchio's own forward kinematics."""

    def __init__(self, robot: RobotModel) -> None:
        self._model, self._data = robot.model, robot.model.createData()
        frames = (robot.arm.base_frame, robot.arm.tool_frame)
        self._base, self._tool = (self._model.getFrameId(link, pin.FrameType.BODY) for link in frames)

    def poses(self, q: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Tool positions (n, 3) [m] and rotations (n, 3, 3) in the base frame."""
        position, rotation = np.empty((len(q), 3)), np.empty((len(q), 3, 3))
        for i, configuration in enumerate(q):
            pin.framesForwardKinematics(self._model, self._data, configuration)
            pose = self._data.oMf[self._base].actInv(self._data.oMf[self._tool])
            position[i], rotation[i] = pose.translation, pose.rotation
        return position, rotation


def angles(first: FloatArray, second: FloatArray, goal: Goal) -> FloatArray:
    """How far apart rotations (n, 3, 3) are for a goal [rad], shape (n,)."""
    if goal == "position":
        return np.zeros(len(first))
    if goal == "position_axis":
        cross = np.linalg.norm(np.cross(first[:, :, 2], second[:, :, 2]), axis=1)
        return np.asarray(np.arctan2(cross, (first[:, :, 2] * second[:, :, 2]).sum(1)))
    return np.array([np.linalg.norm(pin.log3(a.T @ b)) for a, b in zip(first, second, strict=True)])


def measure(robot: RobotModel, goal: Goal, poses: int, seed: int = 0) -> dict[str, float]:
    """Share of poses that converge by Pinocchio's measure, the worst of those, starts and time for each."""
    limits, reference = robot.spec.limits, Reference(robot)
    drawn = limits.lower + np.random.default_rng(seed).random((poses, robot.dof)) * (limits.upper - limits.lower)
    position, rotation = reference.poses(drawn)
    ik.solve(robot, position[:2], rotation[:2], goal=goal)
    began = time.perf_counter()
    solution = ik.solve(robot, position, rotation, goal=goal)
    seconds = time.perf_counter() - began
    reached, turned = reference.poses(solution.q)
    distance, angle = np.linalg.norm(reached - position, axis=1), angles(turned, rotation, goal)
    inside = ((solution.q >= limits.lower) & (solution.q <= limits.upper)).all(1)
    # Rounding apart, which the tolerances of a solution found by our own kinematics don't hold.
    good = inside & (distance <= ik.POSITION_TOLERANCE + 1e-12) & (angle <= ik.ANGLE_TOLERANCE + 1e-9)
    return {
        "converged": float((good & solution.converged).mean()),
        "said_converged": float(solution.converged.mean()),
        "worst_m": float(distance[good].max(initial=0.0)),
        "worst_rad": float(angle[good].max(initial=0.0)),
        "starts": round(float(solution.starts.mean()), 2),
        "us": round(seconds / poses * 1e6, 1),
    }


def main() -> None:
    """Measures every arm and prints one JSON object on the last line."""
    parser = argparse.ArgumentParser(description="inverse kinematics of the catalogue's arms")
    parser.add_argument("--poses", type=int, default=10_000, help="for each arm and goal (default 10000)")
    parser.add_argument("--arms", default=",".join(ARMS), help="names, between commas (default: all)")
    options = parser.parse_args()
    report: dict[str, float] = {}
    for name in options.arms.split(","):
        robot = robot_model(ARMS[name])
        for goal in GOALS:
            found = measure(robot, goal, options.poses)
            report |= {f"{name}_{goal}_{key}": value for key, value in found.items()}
            print(
                f"{name:10} {robot.dof} joints  {goal:13} {100 * found['converged']:7.3f} % converged, "
                f"worst {found['worst_m']:.1e} m {found['worst_rad']:.1e} rad, {found['starts']:.2f} starts, "
                f"{found['us']:.1f} us",
                flush=True,
            )
    full = [report[f"{name}_pose_converged"] for name in options.arms.split(",")]
    report["least_pose_converged"] = min(full)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
