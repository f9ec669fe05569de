"""Commanding copies of demonstrations open loop in the simulator: which of them do the task, and where others fail.

    row -> objects laid where its first sample has them, arm at its first command -> one control step for each sample

Kinematics has told where objects would be at each sample; an object that is elsewhere tells where a copy went wrong.
What the hand holds follows the arm, which follows its commands with a lag; that is reckoned with, as it is where
policies are trained on copies.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shared.demonstrated_motions import FIXED, FREE, DemonstratedMotion, DemonstratedMotions
from shared.errors import SimulationError
from shared.records import list_column
from shared.rotation import geodesic_angle, matrix_to_quat_xyzw, matrix_to_rot6d, rot6d_to_matrix
from trainer.data.copies.scene import CopiedRow, SceneOfCopies
from trainer.poses import Pose, compose
from trainer.simulation.environment import OPEN, Environment, ee_pose_action
from trainer.simulation.motion import PEAK_SPEED, Stroke, follow
from trainer.simulation.scene import Scene

FloatArray = NDArray[np.float64]

THE_START, THE_END = "the start", "the end"
"""Instead of a segment: before the first command, and after the last one with everything where it was expected."""
ASTRAY = 0.03
"""How far [m] an object may be from where it was predicted before the copy counts as having gone wrong."""

_ARRIVED, _ARRIVED_ANGLE = 0.003, np.deg2rad(1.0)
"""How near [m, rad] the tool is to the first command when it has arrived."""
_MOST_WAITING = 60
_SETTLING_STEPS = 10
"""Control steps in which objects come to rest where they were laid."""
_PLANAR = [mujoco.mjtJoint.mjJNT_SLIDE, mujoco.mjtJoint.mjJNT_SLIDE, mujoco.mjtJoint.mjJNT_HINGE]
"""Joints of an object that slides along the world's x and y and turns about its z."""


@dataclass(frozen=True, eq=False)
class Copy:
    """A row of a dataset of copies, T samples.

    Attributes:
        id: its trajectory_id.
        row: commanded poses of the tool and predicted ones of the objects, in the order of the motions file.
        gripper: commands, +1 close, -1 open, shape (T,).
        segment: which segment of its demonstration each sample is in, shape (T,).
    """

    id: int
    row: CopiedRow
    gripper: FloatArray
    segment: NDArray[np.int64]

    @property
    def actions(self) -> FloatArray:
        """(T, 10) `ee_pose` actions."""
        parts = self.row.position, matrix_to_rot6d(self.row.rotation), self.gripper[:, None]
        return np.concatenate(parts, axis=1)


@dataclass(frozen=True)
class Replayed:
    """What became of a copy in the simulator.

    Attributes:
        success: whether robosuite's check was true after any control step, of a simulation that stayed stable.
        steps: control steps until then, or all of the copy's.
        astray: the sample at which, before its command, an object was first more than `ASTRAY` from its predicted
            place, or the simulation had become unstable; 0 also where the arm never came to the first command; None
            where everything was where it was expected.
    """

    success: bool
    steps: int
    astray: int | None


def columns(names: Sequence[str]) -> list[str]:
    """The columns of the record that copies with these objects are read from."""
    poses = [f"object/{name}/{part}" for name in names for part in ("position", "rotation_6d")]
    return ["trajectory_id", "source", "source_time", "segment", "ee_position", "ee_rotation_6d", "gripper", *poses]


def copies_of(rows: pa.Table, names: Sequence[str]) -> Iterator[Copy]:
    """The copies in some rows, whose objects have these names."""

    def vectors(name: str, width: int) -> FloatArray:
        return np.asarray(list_column(rows, name)[0].reshape(-1, width), np.float64)

    segment, first = list_column(rows, "segment")
    time, gripper = vectors("source_time", 1)[:, 0], vectors("gripper", 1)[:, 0]
    position, rotation = vectors("ee_position", 3), rot6d_to_matrix(vectors("ee_rotation_6d", 6))
    places = np.stack([vectors(f"object/{name}/position", 3) for name in names], axis=1)
    turns = rot6d_to_matrix(np.stack([vectors(f"object/{name}/rotation_6d", 6) for name in names], axis=1))
    sources, ids = rows.column("source").to_pylist(), rows.column("trajectory_id").to_pylist()
    for place, (source, number) in enumerate(zip(sources, ids, strict=True)):
        own = slice(int(first[place]), int(first[place + 1]))
        row = CopiedRow(source, time[own], position[own], rotation[own], places[own], turns[own])
        yield Copy(number, row, gripper[own], segment[own].astype(np.int64))


class Replayer:
    """Replays copies of some demonstrations, one after another, each from its own row alone."""

    def __init__(self, scene: Scene, motions: DemonstratedMotions) -> None:
        """The motions' objects are the task's, in any order."""
        self._scene, self._names = scene, [thing.name for thing in motions.objects]
        self._predictions = SceneOfCopies(motions)

    def replay(self, copy: Copy) -> Replayed:
        """One copy, from a state in which everything is where its first sample has it, to success or its end."""
        environment = Environment(self._scene, copy.id)
        tool = copy.row.position[0], copy.row.rotation[0]
        objects = zip(self._names, copy.row.object_position[0], copy.row.object_rotation[0], strict=True)
        if not begin(environment, tool, {name: (position, rotation) for name, position, rotation in objects}):
            return Replayed(False, 0, 0)
        predicted = self._predictions.copied(copy.row).position[:, 1:]
        astray, last = None, len(copy.gripper) - 1
        for step, action in enumerate(copy.actions):
            if astray is None and self._farthest(environment, predicted[step]) > ASTRAY:
                astray = step
            environment.step(action)
            if environment.diverged():
                return Replayed(False, step + 1, min(step + 1, last) if astray is None else astray)
            if environment.succeeded():
                return Replayed(True, step + 1, astray)
        return Replayed(False, last + 1, astray)

    def _farthest(self, environment: Environment, predicted: FloatArray) -> float:
        """Greatest distance [m] of an object from its predicted place, of places (O, 3)."""
        found = np.stack([environment.object_pose(name)[0] for name in self._names])
        return float(np.linalg.norm(found - predicted, axis=1).max())


def begin(environment: Environment, tool: Pose, objects: Mapping[str, Pose]) -> bool:
    """Takes the arm to a pose, its gripper open, and lays objects at theirs; poses are in the base frame.

    The arm goes first, so that it can't touch what is laid. Then it is held until the objects have come to rest.

    Returns:
        Whether the arm arrived.
    """
    for pose in follow(environment.tcp_pose(), [Stroke(tool)], PEAK_SPEED):
        environment.step(ee_pose_action(pose, OPEN))
    hold = ee_pose_action(tool, OPEN)
    for _ in range(_MOST_WAITING):
        if _is_at(environment, tool):
            break
        environment.step(hold)
    lay(environment, objects)
    for _ in range(_SETTLING_STEPS):
        environment.step(hold)
    return _is_at(environment, tool) and not environment.diverged()


def _is_at(environment: Environment, tool: Pose) -> bool:
    position, rotation = environment.tcp_pose()
    near = np.linalg.norm(position - tool[0]) < _ARRIVED
    return bool(near and geodesic_angle(rotation, tool[1]) < _ARRIVED_ANGLE)


def lay(environment: Environment, objects: Mapping[str, Pose]) -> None:
    """Puts objects of the task at poses in the base frame, at rest.

    One that only slides and turns on the table, as the peg of `square` does, keeps its height.

    Raises:
        SimulationError: an object is fixed.
    """
    model, data, frames = environment.scene.model, environment.data, environment.scene.frames
    bodies = {thing.name: thing.body for thing in environment.scene.task.objects}
    for name, pose in objects.items():
        body = model.body(bodies[name])
        joints = range(body.jntadr[0], body.jntadr[0] + body.jntnum[0])
        position, rotation = compose(frames.world_base, pose)
        kinds = [mujoco.mjtJoint(model.jnt_type[joint]) for joint in joints]
        if kinds == [mujoco.mjtJoint.mjJNT_FREE]:
            values = [*position, *np.roll(matrix_to_quat_xyzw(rotation), 1)]
        elif kinds == _PLANAR:
            values = [*(position - body.pos)[:2], np.arctan2(rotation[1, 0], rotation[0, 0])]
        else:
            raise SimulationError(f"'{name}' of task '{environment.scene.task.name}' can't be laid elsewhere")
        at, moves = model.jnt_qposadr[joints[0]], model.jnt_dofadr[joints[0]]
        data.qpos[at : at + len(values)] = values
        data.qvel[moves : moves + (6 if len(kinds) == 1 else 3)] = 0.0
    mujoco.mj_forward(model, data)


def segment_names(motion: DemonstratedMotion, objects: Sequence[str]) -> list[str]:
    """A name for each segment of a demonstration, such as "free 1", "with cube_a", and "with cube_a 2" if it comes
    again."""
    bases = {FREE: "free", FIXED: "at a fixed place"} | {place: f"with {name}" for place, name in enumerate(objects)}
    counts: dict[str, int] = {}
    names = []
    for segment in motion.segments:
        base = bases[segment.relative_to]
        counts[base] = counts.get(base, 0) + 1
        names.append(f"{base} {counts[base]}" if counts[base] > 1 or segment.relative_to == FREE else base)
    return names


def failed_segment(copy: Copy, replayed: Replayed, names: Sequence[str]) -> str | None:
    """Where a copy went wrong, of the segments of its demonstration, `THE_START` or `THE_END`; None if it succeeded."""
    if replayed.success:
        return None
    if replayed.astray is None:
        return THE_END
    return THE_START if replayed.astray == 0 else names[copy.segment[replayed.astray]]


def distance_to_source(copy: Copy, motion: DemonstratedMotion) -> float:
    """How far [m] the objects lie from where they lay in the demonstration, in the plane: that which lies farthest."""
    before = np.stack([poses.position[0, :2] for poses in motion.objects])
    return float(np.linalg.norm(copy.row.object_position[0, :, :2] - before, axis=1).max())
