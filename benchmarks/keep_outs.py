"""How far arms stay from keep-outs on the motions that are stored, by code that shares nothing with synthesis.

    python -m benchmarks.keep_outs [--rows N] [--data DIR ...]

Rows of two arms among boxes and above a table, with their profile columns, at four rates; or the datasets that are
given. The cubic pieces of each profile are evaluated every 4 ms here, links are placed by Pinocchio, and the distances
of the convex hulls of their collision shapes, and of the tool centre point, are Coal's. A moment is left out only where
the arm can't have come nearer than FAR since one that was looked at, so every least distance below FAR is exact. The
last line is JSON: `inside` is to be 0. Several minutes; not among those of `make bench`.
"""

import argparse
import itertools
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import coal
import numpy as np
import pinocchio as pin
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks._bars import Bar, conclude
from benchmarks._shapes import as_hulls, moving_joints, reach, read_shapes, solid
from services.catalogue import Arm, arm_of
from services.engine import open_engine
from services.jobs import generate
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.dataset import Dataset

FloatArray = NDArray[np.float64]

STEP_S = 0.004
FAR = 0.005
"""Least distances [m] above this are not told exactly."""
RATES = (0.5, 1.0, 2.0, 20.0)
PIECES = 7
TABLE = {"kind": "half_space", "normal": [0.0, 0.0, 1.0], "offset": -0.05}
BOXES = [
    {"kind": "box", "min": [0.35, -0.6, 0.0], "max": [0.55, -0.3, 0.4]},
    {"kind": "box", "min": [0.3, 0.25, 0.0], "max": [0.6, 0.45, 0.25]},
    {"kind": "box", "min": [-0.7, -0.3, 0.3], "max": [-0.45, 0.3, 0.5]},
]
FAMILIES = {"point_to_point": 1.0, "via_points": 1.0, "cartesian_line": 1.0}
BARS: dict[str, Bar] = {"inside": ("==", 0)}


class Walked(NamedTuple):
    """Moments of stored motions: all, those at which distances were computed, those inside, and the least one [m]."""

    samples: int
    postures: int
    inside: int
    least: float


def positions(start: FloatArray, time: FloatArray, jerk: FloatArray, step_s: float = STEP_S) -> FloatArray:
    """Joints every `step_s` and at the end, shape (N, dof), from rest at `start` (dof,) by pieces (S, dof, PIECES).

    A joint whose pieces of a segment are over waits for the others, without jerk.
    """
    waits = time.sum(2).max(1)[:, None] - time.sum(2)
    durations = np.concatenate([time, waits[..., None]], 2).transpose(1, 0, 2).reshape(len(start), -1)
    jerks = np.concatenate([jerk, np.zeros_like(waits)[..., None]], 2).transpose(1, 0, 2).reshape(len(start), -1)
    end = durations[0].sum()
    moments = np.append(np.arange(0.0, end, step_s), end)
    return np.stack([_joint(*one, moments) for one in zip(start, durations, jerks, strict=True)], axis=1)


def _joint(start: float, durations: FloatArray, jerks: FloatArray, moments: FloatArray) -> FloatArray:
    """A joint's positions at some moments, by Horner's rule from the begin of the piece that each is in."""
    begins = np.concatenate([[0.0], np.cumsum(durations)[:-1]])
    a = np.concatenate([[0.0], np.cumsum(jerks * durations)[:-1]])
    v = np.concatenate([[0.0], np.cumsum((a + jerks * durations / 2) * durations)[:-1]])
    q = start + np.concatenate([[0.0], np.cumsum((v + (a / 2 + jerks * durations / 6) * durations) * durations)[:-1]])
    piece = np.searchsorted(begins, moments, side="right") - 1
    t = moments - begins[piece]
    return np.asarray(q[piece] + (v[piece] + (a[piece] / 2 + jerks[piece] * t / 6) * t) * t)


class Surroundings:
    """An arm as its URDF has it, with hulls for its links, among keep-outs."""

    def __init__(self, arm: Arm, joints: list[str], keep_out: list[dict[str, Any]]) -> None:
        self._model = pin.buildModelFromXML(arm.files.urdf().decode())
        self._geometry = self._shapes(arm)
        self._rest = pin.neutral(self._model)
        for name, value in arm.rest:
            self._rest[self._model.joints[self._model.getJointId(name)].idx_q] = value
        self._joints = [self._model.getJointId(name) for name in joints]
        assert all(self._model.joints[joint].nq == 1 for joint in self._joints), "only hinges of limited range"
        shapes = list(self._geometry.geometryObjects)
        links = [k for k, shape in enumerate(shapes) if self._path(shape.parentJoint)]
        self._reach = np.array([max(reach(self._model, shapes[k], joint) for k in links) for joint in self._joints])
        base = self._model.frames[self._model.getFrameId(arm.base_frame)]
        assert base.parentJoint == 0, "keep-outs stand where the base does"
        for one in keep_out:
            place = self._geometry.addGeometryObject(solid(one, base.placement))
            for k in links:
                self._geometry.addCollisionPair(pin.CollisionPair(k, place))
        self._data, self._placed = self._model.createData(), self._geometry.createData()

    def walk(self, q: FloatArray) -> Walked:
        """The moments of one motion, shape (N, dof)."""
        # No point of the arm moves farther than this, from the first moment on.
        travelled = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(q, axis=0)) @ self._reach)])
        place = postures = inside = 0
        least = np.inf
        while place < len(q):
            distance = self._nearest(q[place])
            postures, inside, least = postures + 1, inside + (distance <= 0), min(least, distance)
            safe = travelled[place] + max(distance - FAR, 0.0)
            place = max(place + 1, int(np.searchsorted(travelled, safe, side="right")))
        return Walked(len(q), postures, inside, least)

    def _nearest(self, q: FloatArray) -> float:
        posture = self._rest.copy()
        for joint, value in zip(self._joints, q, strict=True):
            posture[self._model.joints[joint].idx_q] = value
        pin.computeDistances(self._model, self._data, self._geometry, self._placed, posture)
        return float(min(result.min_distance for result in self._placed.distanceResults))

    def _shapes(self, arm: Arm) -> Any:
        """The hulls of the URDF's collision shapes, and a point for the tool centre point."""
        shapes = as_hulls(read_shapes(arm, self._model))
        tool = self._model.frames[self._model.getFrameId(arm.tool_frame if arm.tool is None else arm.tool.parent)]
        assert arm.tool is None, "the tool is in the URDF"
        shapes.addGeometryObject(pin.GeometryObject("tool", tool.parentJoint, tool.placement, coal.Sphere(1e-9)))
        return shapes

    def _path(self, joint: int) -> list[int]:
        """The arm's joints that move what is fixed to this one."""
        return [one for one in moving_joints(self._model, joint) if one in self._joints]


def motions(table: pa.Table, dof: int) -> Iterator[FloatArray]:
    """The joints of each row of a shard every STEP_S, shape (N, dof)."""
    rows = table.select(["joint_position", "profile_time", "profile_jerk"]).to_pydict()
    for q, time, jerk in zip(*rows.values(), strict=True):
        shape = (-1, dof, PIECES)
        yield positions(np.array(q[:dof]), np.array(time).reshape(shape), np.array(jerk).reshape(shape))


def walk(dataset: Dataset) -> Walked:
    """Every row of a dataset."""
    header = dataset.header
    robot, keep_out = header.robot, header.request["keep_out"]
    around = Surroundings(arm_of(robot.name, dataset.storage), list(robot.joint_names), keep_out)
    shards = (dataset.read_shard(commit) for commit in dataset.commits())
    return _together([around.walk(q) for table in shards for q in motions(table, robot.dof)])


def _together(walked: list[Walked]) -> Walked:
    samples, postures, inside, least = zip(*walked, strict=True)
    return Walked(sum(samples), sum(postures), sum(inside), min(least))


def made(rows: int, folder: Path) -> Iterator[Dataset]:
    """A dataset of so many rows for each arm and rate."""
    engine = open_engine("process")
    for seed, (robot, rate_hz) in enumerate(itertools.product(("panda", "ur5"), RATES)):
        body = {"robot": robot, "count": rows, "rate_hz": rate_hz, "seed": seed, "families": FAMILIES}
        body |= {"workspace": {"kind": "reachable"}, "columns": ["profile_time", "profile_jerk"]}
        request = TrajectoryRequest.parse({**body, "keep_out": [TABLE, *BOXES]})
        yield generate(request, folder / f"{robot}-{rate_hz:g}", engine)
    engine.close()


def main() -> int:
    """Walks the datasets and prints what was found; 1 if anything was inside."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.keep_outs", description=__doc__)
    parser.add_argument("--rows", type=int, default=2000, metavar="N", help="of each arm at each rate (default: 2000)")
    parser.add_argument("--data", nargs="+", metavar="DIR", help="datasets with keep-outs and profile columns")
    options = parser.parse_args()
    found: dict[tuple[str, float], Walked] = {}
    rows = 0
    with tempfile.TemporaryDirectory(prefix="headstart-keep-outs-") as folder:
        datasets = map(Dataset, options.data) if options.data else made(options.rows, Path(folder))
        for dataset in datasets:
            name, rate_hz = dataset.header.robot.name, dataset.header.rate_hz
            walked = found[name, rate_hz] = walk(dataset)
            rows += dataset.totals().rows
            print(f"{name} at {rate_hz:g} Hz: {walked}", flush=True)
    whole = _together(list(found.values()))
    least = {f"{name}_{rate:g}hz_least_mm": round(1e3 * one.least, 3) for (name, rate), one in found.items()}
    report = {"rows": rows, "samples": whole.samples, "postures": whole.postures, **least, "inside": whole.inside}
    return conclude(report, BARS)


if __name__ == "__main__":
    sys.exit(main())
