"""Each motion family alone, and how straight straight lines are.

    python -m benchmarks.motions [--rows N] [--lines N]

Panda above a table, 20 Hz, tool speeds of 0.10 to 0.35 m/s, self-collision checked, one process. Rates are rows for
each second of CPU time of synthesize(), without writing and without a first shard of each family, which compiles.
Lines start around the arm's home and end 2 to 30 cm away, turned by up to 45 degrees; the tool is compared with them
at 25 moments between each two of their knots.
"""

import argparse
import json
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

from services.catalogue import find_arm
from services.synthesis.arm.robot_model import RobotModel, pinocchio_pose, robot_model
from services.synthesis.motion.lines import Lines, make_lines
from services.synthesis.pipeline import ShardPlan, synthesize
from services.synthesis.request.families import DEFAULT_FAMILIES, WAYPOINT_FAMILIES
from services.synthesis.request.trajectory_request import TrajectoryRequest
from services.synthesis.solve.line_knots import FOLLOWED
from shared.rotation import geodesic_angle, matrix_to_rotvec, rotvec_to_matrix

FloatArray = NDArray[np.float64]

TABLE = {"kind": "box", "min": [0.30, -0.30, -0.12], "max": [0.80, 0.30, 0.30]}
MOMENTS = 25
WARM_UP = 128


def measure(families: dict[str, float], rows: int) -> dict[str, float]:
    """Rows per CPU second, candidates for each row, ends redrawn for it, and samples in it."""
    body = {"robot": "panda", "count": 10**6, "families": families, "workspace": TABLE, "tool_speed": [0.10, 0.35]}
    request = TrajectoryRequest.parse(body)
    synthesize(ShardPlan(request, 0, 0, WARM_UP))
    began = time.process_time()
    made = synthesize(ShardPlan(request, 1, WARM_UP, rows))
    seconds = time.process_time() - began
    return {
        "rows_per_cpu_s": round(rows / seconds, 1),
        "attempts_per_row": round(made.attempts / rows, 3),
        "redraws_per_row": round(made.redraws / rows, 3),
        "samples_per_row": round(float(made.table["length"].to_numpy().mean()), 1),
    }


def straightness(robot: RobotModel, n: int) -> dict[str, float]:
    """Greatest distance of the tool from its line, and angle from the rotation that belongs there."""
    rng, limits = np.random.default_rng(0), robot.planning_limits
    q = np.clip(robot.home + 0.3 * rng.normal(size=(n, robot.dof)), limits.lower, limits.upper)
    position, rotation = robot.tool_poses(q)
    shift, turn = rng.normal(size=(2, n, 3))
    shift *= rng.uniform(0.02, 0.3, (n, 1)) / np.linalg.norm(shift, axis=1, keepdims=True)
    turn *= rng.uniform(0, np.pi / 4, (n, 1)) / np.linalg.norm(turn, axis=1, keepdims=True)
    target = rotvec_to_matrix(turn) @ rotation
    began = time.process_time()
    lines = make_lines(robot, q, position + shift, target, rng.uniform(0.1, 0.35, n), np.ones(n))
    seconds = time.process_time() - began
    worst, followed = np.zeros(2), np.flatnonzero(lines.verdict == FOLLOWED)
    for line in followed.tolist():
        fine = _configurations(lines, line)
        poses = robot.tool_poses(fine)
        reference = pinocchio_pose(robot, fine[len(fine) // 3])
        assert np.linalg.norm(poses[0][len(fine) // 3] - reference.translation) < 1e-9
        worst = np.maximum(worst, _deviation(position[line], rotation[line], shift[line], target[line], *poses))
    return {
        "lines_per_cpu_s": round(n / seconds, 1),
        "lines_followed": len(followed),
        "lines_worst_distance_m": float(worst[0]),
        "lines_worst_angle_rad": float(worst[1]),
    }


def _configurations(lines: Lines, line: int) -> FloatArray:
    """Configurations at all moments of a line, by integrating its pieces from its beginning, shape (N, dof)."""
    profiles, segments = lines.profiles, range(lines.first[line], lines.first[line + 1])
    p, parts = profiles.start[segments[0]], []
    v, a = np.zeros_like(p), np.zeros_like(p)
    for segment in segments:
        for t, j in zip(profiles.time[segment].T, profiles.jerk[segment].T, strict=True):
            s = np.linspace(0, 1, MOMENTS)[:, None] * t
            parts.append(p + v * s + a * s**2 / 2 + j * s**3 / 6)
            p, v, a = parts[-1][-1], v + a * t + j * t**2 / 2, a + j * t
    return np.concatenate(parts)


def _deviation(
    position: FloatArray,
    rotation: FloatArray,
    shift: FloatArray,
    target: FloatArray,
    at: FloatArray,
    turned: FloatArray,
) -> FloatArray:
    """Greatest distance [m] and angle [rad] of poses (N, 3) and (N, 3, 3) from a line, shape (2,)."""
    share = np.clip((at - position) @ shift / (shift @ shift), 0, 1)[:, None]
    expected = rotvec_to_matrix(share * matrix_to_rotvec(target @ rotation.T)) @ rotation
    distance = np.linalg.norm(at - position - share * shift, axis=1)
    return np.array([distance.max(), geodesic_angle(expected, turned).max()])


def main() -> None:
    """Prints one JSON object on the last line."""
    parser = argparse.ArgumentParser(description="motion families: rates, and how straight lines are")
    parser.add_argument("--rows", type=int, default=1024, help="rows of each family (default 1024)")
    parser.add_argument("--lines", type=int, default=2000, help="lines to look at closely (default 2000)")
    arguments = parser.parse_args()
    mixes = {name: {name: 1.0} for name in WAYPOINT_FAMILIES} | {"default_mix": dict(DEFAULT_FAMILIES)}
    report: dict[str, float] = {}
    for name, families in mixes.items():
        figures = measure({str(family): weight for family, weight in families.items()}, arguments.rows)
        print(f"{name}: {figures}", flush=True)
        report |= {f"{name}_{key}": value for key, value in figures.items()}
    report |= straightness(robot_model(find_arm("panda")), arguments.lines)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
