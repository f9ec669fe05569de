"""Inverse kinematics of a Panda and a UR5 on the same poses, all in a call and one a call, ours and the peers'."""

import time

import numpy as np
from numpy.typing import NDArray

from benchmarks.ik import Reference, angles
from benchmarks.peers.ik_solvers import Answers, Eaik, Solver, frankik_alone, ssik_alone
from services.synthesis.arm.robot_model import RobotModel
from services.synthesis.solve import ik

FloatArray = NDArray[np.float64]

TOGETHER, ALONE = 2000, 400
"""Poses solved in one call, and one a call."""


def _ours(robot: RobotModel, poses: FloatArray) -> Answers:
    solution = ik.solve(robot, poses[:, :3, 3], poses[:, :3, :3])
    return [q if converged else None for q, converged in zip(solution.q, solution.converged, strict=True)]


def solvers(robot: RobotModel) -> dict[str, tuple[Solver, int]]:
    """Each with how many poses it is given."""
    eaik = Eaik(robot)
    each: dict[str, tuple[Solver, int]] = {
        "ours_together": (lambda poses: _ours(robot, poses), TOGETHER),
        "eaik_together": (eaik.together, TOGETHER),
        "ours_alone": (lambda poses: [_ours(robot, pose[None])[0] for pose in poses], ALONE),
        "eaik_alone": (eaik.alone, ALONE),
        "ssik_alone": (ssik_alone(robot), ALONE),
    }
    return each | ({"frankik_alone": (frankik_alone(robot), ALONE)} if robot.arm.name == "panda" else {})


def tool_poses(robot: RobotModel, count: int) -> FloatArray:
    """Of configurations uniform inside the limits, by Pinocchio, shape (count, 4, 4)."""
    limits = robot.spec.limits
    drawn = limits.lower + np.random.default_rng(0).random((count, robot.dof)) * (limits.upper - limits.lower)
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, :3, 3], poses[:, :3, :3] = Reference(robot).poses(drawn)
    return poses


def solved_share(robot: RobotModel, poses: FloatArray, answers: Answers) -> float:
    """Share of poses whose answer is inside the limits and, by Pinocchio, within our tolerances of the pose."""
    which = [i for i, answer in enumerate(answers) if answer is not None]
    q = np.array([answers[i] for i in which]).reshape(-1, robot.dof)
    position, rotation = Reference(robot).poses(q)
    near = np.linalg.norm(position - poses[which, :3, 3], axis=1) <= ik.POSITION_TOLERANCE + 1e-12
    turned = angles(rotation, poses[which, :3, :3], "pose") <= ik.ANGLE_TOLERANCE + 1e-9
    inside = ((q >= robot.spec.limits.lower) & (q <= robot.spec.limits.upper)).all(1)
    return float((near & turned & inside).sum() / len(poses))


def measure(robot: RobotModel, turns: int) -> dict[str, float]:
    """Median time for a pose [us] and share solved, of each solver; they take turns."""
    poses, each = tool_poses(robot, TOGETHER), solvers(robot)
    seconds: dict[str, list[float]] = {name: [] for name in each}
    shares: dict[str, float] = {}
    for _ in range(turns):
        for name, (solve, count) in each.items():
            began = time.perf_counter()
            answers = solve(poses[:count])
            seconds[name].append((time.perf_counter() - began) / count)
            shares[name] = solved_share(robot, poses[:count], answers)
    report: dict[str, float] = {}
    for name, values in seconds.items():
        report[f"{robot.arm.name}_{name}_us"] = 1e6 * float(np.median(values))
        report[f"{robot.arm.name}_{name}_solved"] = shares[name]
        print(f"{robot.arm.name} {name}: {1e6 * np.median(values):.1f} us, {shares[name]:.1%} solved", flush=True)
    return report
