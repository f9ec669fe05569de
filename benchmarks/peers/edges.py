"""Motions of a Panda that roboplan's edge check accepts and Ruckig times, beside ours."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import roboplan.core as roboplan
import ruckig
from numpy.typing import NDArray

from benchmarks.peers.scenes import SCENES
from benchmarks.synthesis.library_calls import LibraryCalls
from benchmarks.synthesis.ours import Ours
from benchmarks.synthesis.turns import Contender, cpu_ratio, ratio, take_turns
from services.catalogue import Arm
from services.catalogue.files import PackageFiles
from services.synthesis.arm.robot_model import RobotModel
from services.synthesis.pipeline import plan_shards, synthesize
from services.synthesis.request.trajectory_request import TrajectoryRequest

FloatArray = NDArray[np.float64]

EDGE_STEP = 0.05
"""Of the edge check [rad]; roboplan's default where it plans or shortens paths."""
SPEED_SCALE = 0.5
RATE_HZ, DENSE_HZ = 20.0, 200.0
OUR_ROWS, THEIR_ROWS, DENSE_ROWS = 512, 200, 500


def scene_of(arm: Arm, boxes: list[dict[str, Any]]) -> Any:
    """roboplan's scene: the arm as its URDF has it, pairs that its SRDF says need no check left out, and the boxes.

    As in a request, boxes may touch one another and the base, which doesn't move.
    """
    assert isinstance(arm.files, PackageFiles)
    description = roboplan.loadUrdfSceneDescriptionFromXml(arm.urdf, [str(arm.files.root_path)])
    scene = roboplan.Scene(arm.name, description)
    scene.allowAdjacentLinkCollisions()
    scene.setCollisions([tuple(sorted(pair)) for pair in arm.files.unchecked_pairs()], False)
    names: list[str] = []
    for box in boxes:
        low, high, placement = np.array(box["min"]), np.array(box["max"]), np.eye(4, order="F")
        placement[:3, 3] = (low + high) / 2
        names.append(f"box_{len(names)}")
        scene.addBoxGeometry(names[-1], "universe", roboplan.Box(*(high - low)), placement, np.ones(4))
        scene.setCollisions([(other, names[-1]) for other in (arm.base_frame, *names[:-1])], False)
    return scene


@dataclass
class EdgeChecks:
    """Makes motions as a user of roboplan and Ruckig would.

    Both ends are drawn until roboplan finds them free, the straight edge between them is checked in bisection order,
    and Ruckig times it: with phase synchronization, so that the motion keeps to the edge that was checked.

    Attributes:
        calls: Ruckig and Pinocchio for the arm.
        scene: roboplan's.
        accepted: start and goal of every motion so far.
        edges: checked so far.
    """

    calls: LibraryCalls
    scene: Any
    accepted: list[tuple[FloatArray, FloatArray]] = field(default_factory=list)
    edges: int = 0

    def __post_init__(self) -> None:
        self.calls.input.synchronization = ruckig.Synchronization.Phase
        self.scene.setRngSeed(0)

    def make(self, turn: int) -> tuple[int, int]:
        """Some motions, sampled as rows are. Returns rows and samples."""
        rows = samples = 0
        while rows < THEIR_ROWS:
            start, goal = (self.scene.randomCollisionFreePositions() for _ in range(2))
            self.edges += 1
            if roboplan.hasCollisionsAlongPath(self.scene, start, goal, EDGE_STEP, True, False):
                continue
            length = int(np.ceil(self._duration(start, goal) * RATE_HZ)) + 1
            self.calls.sample(length, RATE_HZ)
            self.accepted.append((start, goal))
            rows, samples = rows + 1, samples + length
        return rows, samples

    def _duration(self, start: FloatArray, goal: FloatArray) -> float:
        duration = self.calls.calculate(start.tolist(), goal.tolist())
        assert duration is not None
        return duration

    def dense(self, motions: int) -> list[FloatArray]:
        """Postures of the first accepted motions at DENSE_HZ, each (samples, dof)."""
        walks = []
        for start, goal in self.accepted[:motions]:
            times = np.arange(0.0, self._duration(start, goal), 1 / DENSE_HZ)
            walks.append(np.array([self.calls.profile.at_time(time)[0] for time in times]))
        return walks


def dense_rows(body: dict[str, Any], rows: int) -> list[FloatArray]:
    """Postures of the first rows of a request, sampled at DENSE_HZ: what a row's motion is doesn't depend on it."""
    request = TrajectoryRequest.parse({**body, "rate_hz": DENSE_HZ, "count": rows, "shard_rows": rows})
    column = synthesize(plan_shards(request)[0]).table["joint_position"].combine_chunks()
    values, offsets = column.values.to_numpy().astype(np.float64), column.offsets.to_numpy()
    return [row.reshape(-1, len(request.arm.joints)) for row in np.split(values, offsets[1:-1])]


def colliding_share(scene: Any, motions: list[FloatArray]) -> float:
    """Share of motions with a posture that roboplan finds colliding."""
    return float(np.mean([any(map(scene.hasCollisions, postures)) for postures in motions]))


def measure(robot: RobotModel, name: str, turns: int, folder: Path) -> dict[str, float]:
    """Rates in a scene, side by side, and the share of what each accepts that collides at DENSE_HZ."""
    body: dict[str, Any] = {
        "robot": robot.arm.name,
        "families": {"point_to_point": 1.0},
        "speed_scale": [SPEED_SCALE, SPEED_SCALE],
        "rate_hz": RATE_HZ,
        "keep_out": SCENES[name],
        "shard_rows": OUR_ROWS,
    }
    ours = Ours(body, turns, folder / name)
    theirs = EdgeChecks(LibraryCalls(robot, SPEED_SCALE), scene_of(robot.arm, SCENES[name]))
    one, other = Contender(f"{name}_ours", ours.make), Contender(f"{name}_roboplan", theirs.make)
    take_turns([one, other], turns)
    return {
        f"{name}_ours_per_s": one.rate,
        f"{name}_roboplan_per_s": other.rate,
        f"{name}_ours_over_roboplan": ratio(one, other),
        f"{name}_ours_over_roboplan_by_cpu_time": cpu_ratio(one, other),
        f"{name}_ours_colliding": colliding_share(theirs.scene, dense_rows(body, DENSE_ROWS)),
        f"{name}_roboplan_colliding": colliding_share(theirs.scene, theirs.dense(DENSE_ROWS)),
        f"{name}_ours_candidates_per_row": ours.attempts / ours.rows,
        f"{name}_roboplan_edges_per_row": theirs.edges / len(theirs.accepted),
        f"{name}_ours_samples_per_row": one.samples_per_row,
        f"{name}_roboplan_samples_per_row": other.samples_per_row,
    }
