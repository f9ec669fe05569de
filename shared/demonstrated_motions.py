"""What of demonstrations is kinematics, which copies of them are made from: poses, gripper, objects and segments.

Segments say which steps are motion relative to an object, and which are free. Poses are of the tool centre point and of
the objects in the robot's base frame, in metres; rotations are the first two rows of their matrices.
`shared/motions_parquet.py` is the file of it.
"""

import functools
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from shared.errors import MotionsError
from shared.rotation import rot6d_to_matrix

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

FORMAT = "headstart-demonstrated-motions"
VERSION = 1
MAX_OBJECTS = 16

FREE, FIXED = -1, -2
"""What a segment is relative to, where it is no object: nothing, or the robot's base, as a place that never moves."""

TurnsWith = Literal["object", "hand"]
"""How a skill segment turns when its object does: with it, or not at all beyond what the hand is turned already, where
only the object's position matters, as for what is put on it in any orientation."""


@dataclass(frozen=True)
class MovedObject:
    """A thing that a task is about.

    Attributes:
        name: its name.
        yaw_symmetry: turning it about its own z axis by 360 degrees / yaw_symmetry makes no difference.
    """

    name: str
    yaw_symmetry: int = 1


@dataclass(frozen=True)
class Segment:
    """Consecutive steps of a motion.

    Attributes:
        end: the first step after it; it begins where the one before it ends.
        relative_to: index of the object that it is relative to, FREE, or FIXED.
        turns_with: how it turns when that object does.
    """

    end: int
    relative_to: int = FREE
    turns_with: TurnsWith = "object"


@dataclass(frozen=True)
class Held:
    """Steps `first` to `end` - 1, in which object `index` moves with the hand."""

    index: int
    first: int
    end: int


@dataclass(frozen=True, eq=False)
class Poses:
    """n poses in the robot's base frame: position (n, 3) [m] and the first two rows of the rotation matrix (n, 6)."""

    position: FloatArray
    rotation_6d: FloatArray

    @functools.cached_property
    def rotation(self) -> FloatArray:
        """Rotation matrices, (n, 3, 3)."""
        return rot6d_to_matrix(self.rotation_6d)


@dataclass(frozen=True, eq=False)
class DemonstratedMotion:
    """The kinematics of one demonstration of T control steps.

    Attributes:
        name: of the demonstration.
        commanded: tool poses commanded at each step.
        reached: tool poses observed at each step, before its command.
        gripper: command at each step, +1 close, -1 open, shape (T,).
        objects: observed poses of each object, in the file's order.
        segments: they cover all steps.
        held: which objects the hand carries, and when; in order of time.
    """

    name: str
    commanded: Poses
    reached: Poses
    gripper: FloatArray
    objects: tuple[Poses, ...]
    segments: tuple[Segment, ...]
    held: tuple[Held, ...]

    @property
    def steps(self) -> int:
        """T."""
        return len(self.gripper)

    @functools.cached_property
    def segment_of(self) -> IntArray:
        """Index of the segment that each step is in, shape (T,)."""
        ends = np.array([segment.end for segment in self.segments])
        return np.searchsorted(ends, np.arange(self.steps), side="right").astype(np.int64)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Its numbers, by name; those of object i are called `position:i` and `rotation_6d:i`."""
        values: dict[str, NDArray[Any]] = {}
        for name, poses in (("commanded", self.commanded), ("reached", self.reached)):
            values[f"{name}_position"] = poses.position
            values[f"{name}_rotation_6d"] = poses.rotation_6d
        values["gripper"] = self.gripper
        for index, poses in enumerate(self.objects):
            values[f"position:{index}"], values[f"rotation_6d:{index}"] = poses.position, poses.rotation_6d
        turns = get_args(TurnsWith)
        rows = {
            "segment_end": [segment.end for segment in self.segments],
            "segment_relative_to": [segment.relative_to for segment in self.segments],
            "segment_turns_with": [turns.index(segment.turns_with) for segment in self.segments],
            "held_index": [held.index for held in self.held],
            "held_first": [held.first for held in self.held],
            "held_end": [held.end for held in self.held],
        }
        return values | {name: np.array(entries, np.int64) for name, entries in rows.items()}


@dataclass(frozen=True, eq=False)
class DemonstratedMotions:
    """The kinematics of demonstrations of one task.

    Attributes:
        task: its name.
        robot: name of the robot, as in the catalogue.
        rate_hz: control rate.
        objects: what the task is about.
        motions: one for each demonstration.
    """

    task: str
    robot: str
    rate_hz: float
    objects: tuple[MovedObject, ...]
    motions: tuple[DemonstratedMotion, ...]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DemonstratedMotions) and self.content_sha256 == other.content_sha256

    def __hash__(self) -> int:
        return hash(self.content_sha256)

    @functools.cached_property
    def content_sha256(self) -> str:
        """Of everything in it, as little-endian numbers and canonical JSON: equal however a file is packed."""
        digest = hashlib.sha256(json.dumps(self.header(), sort_keys=True).encode())
        for motion in self.motions:
            digest.update(json.dumps([motion.name, motion.steps]).encode())
            for name, values in motion.columns().items():
                digest.update(name.encode())
                digest.update(np.ascontiguousarray(values, "<i8" if values.dtype.kind == "i" else "<f8").tobytes())
        return digest.hexdigest()

    def header(self) -> dict[str, Any]:
        """What is said of all of them, as JSON."""
        objects = [{"name": thing.name, "yaw_symmetry": thing.yaw_symmetry} for thing in self.objects]
        header = {"format": FORMAT, "version": VERSION, "task": self.task, "robot": self.robot}
        return {**header, "rate_hz": self.rate_hz, "objects": objects}


def check_held(motion: DemonstratedMotion) -> None:
    """Raises MotionsError where something is taken or let go in a free segment, which moves with nothing."""
    for held in motion.held:
        taken, left = (motion.segments[motion.segment_of[step]] for step in (held.first, held.end - 1))
        if taken.relative_to == FREE or (left.relative_to == FREE and held.end < motion.steps):
            raise MotionsError(
                f"{motion.name} takes or lets go of something in a free segment (steps {held.first} to {held.end}); "
                "put these steps into segments that are relative to an object, or fixed"
            )
