"""Trajectories per second on one core: the loop of the documentation, the bare library calls, and ours on disk.

    python -m benchmarks.synthesis [--rounds N]

Panda, 20 Hz, half of the datasheet's speed, from rest at a random configuration to rest at a `reachable` pose, no
collision check. The three take turns within one run; each rate is the median over the rounds.

- documented loop: for each trajectory closed-loop inverse kinematics as Pinocchio's documentation writes it (damping
  1e-6, tolerance 1e-4, at most 100 iterations, at most 10 random restarts), one Ruckig profile, and forward
  kinematics for each sample. Nothing is checked or written.
- floor: only the library calls that can't be avoided, on data prepared beforehand: one Ruckig calculate, four
  iterations' Jacobian and forward kinematics, one at_time and one forward kinematics for each sample.
- ours: synthesize() and Dataset.publish(): IK to 1e-5 m and 1e-4 rad, checked rows, committed shards on disk.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pinocchio as pin
import pyarrow as pa
import ruckig
from numpy.typing import NDArray

from services.synthesis import GENERATOR_VERSION
from services.synthesis.pipeline import ShardPlan, plan_shards, robot_spec, synthesize
from services.synthesis.ranges import action_range
from services.synthesis.request import TrajectoryRequest
from services.synthesis.robot_model import RobotModel, robot_model
from shared.dataset import Dataset
from shared.manifest import DatasetHeader

FloatArray = NDArray[np.float64]

RATE_HZ, SPEED_SCALE = 20.0, 0.5
DOCUMENTED_ROWS, FLOOR_ROWS, SHARD_ROWS = 150, 4000, 4096


@dataclass
class Contender:
    """One of the three: makes some rows when called, and says how many rows and samples."""

    name: str
    make: Callable[[int], tuple[int, int]]
    rates: list[float] = field(default_factory=list)
    rows: int = 0
    samples: int = 0

    def run(self, turn: int) -> None:
        """One timed turn."""
        began = time.perf_counter()
        rows, samples = self.make(turn)
        self.rates.append(rows / (time.perf_counter() - began))
        self.rows += rows
        self.samples += samples

    @property
    def rate(self) -> float:
        """Median rate over the turns [1/s]."""
        return statistics.median(self.rates)


class LibraryCalls:
    """Pinocchio and Ruckig called one by one, as (a) and (b) do."""

    def __init__(self, robot: RobotModel) -> None:
        limits = robot.spec.limits.scaled(SPEED_SCALE)
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

    def timed_samples(self, start: list[float], target: list[float]) -> int:
        """One profile, and at each sample one at_time and one forward kinematics; returns the number of samples."""
        self.input.current_position, self.input.target_position = start, target
        if self.solver.calculate(self.input, self.profile) < 0:
            return 0
        samples = int(np.ceil(self.profile.duration * RATE_HZ)) + 1
        for k in range(samples):
            position, _, _ = self.profile.at_time(k / RATE_HZ)
            self.pose(np.array(position))
        return samples

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
    """(a): one trajectory after the other. Returns rows and samples."""
    rng = np.random.default_rng(turn)
    rows = samples = 0
    for _ in range(DOCUMENTED_ROWS):
        start, drawn = calls.configurations(rng, 2)
        goal = calls.documented_ik(calls.pose(drawn).copy(), rng)
        if goal is not None:
            samples += calls.timed_samples(start.tolist(), goal.tolist())
            rows += 1
    return rows, samples


def floor(calls: LibraryCalls, starts: FloatArray, goals: FloatArray) -> tuple[int, int]:
    """(b): only the calls, on given starts and goals. Returns rows and samples."""
    samples = 0
    model, data, tool = calls.model, calls.data, calls.tool
    for start, goal, q in zip(starts.tolist(), goals.tolist(), goals, strict=True):
        for _ in range(4):
            pin.computeFrameJacobian(model, data, q, tool, pin.LOCAL)
            calls.pose(q)
        samples += calls.timed_samples(start, goal)
    return len(starts), samples


def ours(dataset: Dataset, plan: ShardPlan) -> tuple[int, int]:
    """(c): a shard from nothing to its commit. Returns rows and samples."""
    made = synthesize(plan)
    commit = dataset.publish(plan.index, made.table, made.attempts, made.rejections)
    return commit.rows, commit.samples


def _request(rounds: int) -> TrajectoryRequest:
    body = {
        "robot": "panda",
        "count": SHARD_ROWS * (rounds + 1),
        "rate_hz": RATE_HZ,
        "families": {"point_to_point": 1.0},
        "workspace": {"kind": "reachable"},
        "speed_scale": [SPEED_SCALE, SPEED_SCALE],
        "self_collision": False,
        "shard_rows": SHARD_ROWS,
    }
    return TrajectoryRequest.parse(body)


def _dataset(root: Path, request: TrajectoryRequest) -> Dataset:
    return Dataset.create(
        root,
        DatasetHeader(
            dataset_id=request.dataset_id,
            request=request.resolved(),
            generator_version=GENERATOR_VERSION,
            robot=robot_spec(request),
            count=request.count,
            shard_rows=request.shard_rows,
            rate_hz=request.rate_hz,
            optional_columns=request.columns,
            action_range=action_range(request),
            versions={},
        ),
    )


def main() -> None:
    """Runs the three in turns and prints one JSON object on the last line."""
    parser = argparse.ArgumentParser(description="trajectories per second on one core, side by side")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each (default 5)")
    rounds = parser.parse_args().rounds
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)

    request = _request(rounds)
    plans = plan_shards(request)
    calls = LibraryCalls(robot_model(request.arm))
    rng = np.random.default_rng(0)
    starts, goals = calls.configurations(rng, FLOOR_ROWS), calls.configurations(rng, FLOOR_ROWS)
    with tempfile.TemporaryDirectory(prefix="headstart-bench-") as folder:
        began = time.perf_counter()
        dataset = _dataset(Path(folder), request)
        synthesize(ShardPlan(request, 0, 0, 64))
        start_up = time.perf_counter() - began
        print(f"start-up of ours (loading or compiling code, reachability table): {start_up:.1f} s", flush=True)
        contenders = [
            Contender("documented_loop", lambda turn: documented_loop(calls, turn)),
            Contender("floor", lambda turn: floor(calls, starts, goals)),
            Contender("ours", lambda turn: ours(dataset, plans[turn])),
        ]
        for turn in range(rounds):
            for contender in contenders:
                contender.run(turn)
            print(f"turn {turn + 1}: " + ", ".join(f"{c.name} {c.rates[-1]:.0f}/s" for c in contenders), flush=True)
    rates = {contender.name: contender.rate for contender in contenders}
    report: dict[str, float] = {f"{name}_per_s": round(rate, 1) for name, rate in rates.items()}
    report["ours_over_floor"] = round(rates["ours"] / rates["floor"], 3)
    report["ours_over_documented_loop"] = round(rates["ours"] / rates["documented_loop"], 2)
    for contender in contenders:
        report[f"{contender.name}_samples_per_row"] = round(contender.samples / max(contender.rows, 1), 1)
    report["ours_start_up_s"] = round(start_up, 2)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
