"""Candidates of the family `demonstrated`, from draw to profiles, and what else is written of their samples."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.synthesis.arm.robot_model import RobotModel
from services.synthesis.copies.carrying import carry_objects
from services.synthesis.copies.following import through_knots
from services.synthesis.copies.layout import Layouts, draw_layouts
from services.synthesis.copies.slowing import follow
from services.synthesis.copies.sources import sources
from services.synthesis.copies.transforms import Transforms, transforms
from services.synthesis.motion.motions import Motions
from services.synthesis.motion.timing import Profiles
from services.synthesis.request.goals import Goal
from services.synthesis.request.workspace import Objects
from services.synthesis.solve.line_knots import FOLLOWED
from shared.rotation import matrix_to_quat_xyzw, rot6d_to_matrix

FloatArray = NDArray[np.float64]
FloatArray32 = NDArray[np.float32]

ON_STEP = 1e-6
"""What of a step a sample may be off one to be taken to be on it."""
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Copies:
    """n candidates.

    Attributes:
        layouts: as drawn.
        placed: where their parts are carried.
        first_knot: first knot of each, and their number K, shape (n + 1,).
        time: of each knot, in steps of the source, shape (K,).
        step: time between the knots of each [s], shape (n,).
        verdict: FOLLOWED, or why the arm can't follow, shape (n,).
        first: first segment of each, and their number, shape (n + 1,).
        profiles: of the segments.
    """

    layouts: Layouts
    placed: Transforms
    first_knot: IntArray
    time: FloatArray
    step: FloatArray
    verdict: IntArray
    first: IntArray
    profiles: Profiles

    def motions(self, chosen: IntArray) -> Motions:
        """The chosen candidates as chains of profiles; what the gripper does is filled in at the samples."""
        segments = int(self.first[-1])
        command, everything = np.zeros((segments, 2)), np.zeros(len(self.step), np.bool_)
        everything[chosen] = True
        whole = Motions(
            np.arange(len(self.step)),
            self.first,
            self.profiles,
            np.zeros(segments),
            command,
            np.ones(segments, np.int64),
        )
        return whole.take(everything)


@dataclass(frozen=True, eq=False)
class CopySamples:
    """What is written of copies beside what is of every row, at N samples.

    Attributes:
        source: index of the demonstration of each row, shape (n,).
        source_time: in steps of it, shape (N,), float32.
        segment: index in it, shape (N,), int32.
        gripper: commanded, shape (N,), float32.
        object_position: of each object [m], shape (O, N, 3), float32.
        object_rotation_6d: likewise, shape (O, N, 6), float32.
        objects: their names.
    """

    source: IntArray
    source_time: FloatArray32
    segment: NDArray[np.int32]
    gripper: FloatArray32
    object_position: FloatArray32
    object_rotation_6d: FloatArray32
    objects: tuple[str, ...]


def make_copies(
    workspace: Objects, robot: RobotModel, goal: Goal, seed: int, ids: IntArray, attempts: IntArray
) -> Copies:
    """Makes one candidate for each (id, attempt)."""
    layouts = draw_layouts(workspace, seed, ids, attempts)
    return copy_layouts(workspace, robot, goal, layouts)


def copy_layouts(workspace: Objects, robot: RobotModel, goal: Goal, layouts: Layouts) -> Copies:
    """Candidates with these layouts."""
    motions = workspace.motions
    demonstrated = sources(motions)
    symmetry = np.array([thing.yaw_symmetry for thing in motions.objects], np.int64)
    placed = transforms(demonstrated, layouts.source, symmetry, layouts.moved, layouts.start)
    followed = follow(robot, goal, demonstrated, layouts.source, placed, motions.rate_hz)
    first_knot, q, verdict = followed.first_knot, followed.q, followed.verdict
    first, profiles, step = through_knots(robot, first_knot, q, motions.rate_hz, verdict)
    return Copies(layouts, placed, first_knot, followed.time, step, verdict, first, profiles)


def sample_copies(
    workspace: Objects,
    copies: Copies,
    chosen: IntArray,
    first: IntArray,
    rate_hz: float,
    tool_position: FloatArray32,
    tool_rotation_6d: FloatArray32,
) -> CopySamples:
    """Samples of the chosen candidates.

    Args:
        workspace: with the demonstrations.
        copies: the candidates.
        chosen: which of them, shape (n,).
        first: first sample of each, and their number N, shape (n + 1,).
        rate_hz: samples in a second.
        tool_position: as it is written, shape (N, 3) [m].
        tool_rotation_6d: likewise, shape (N, 6).
    """
    demonstrated, source = sources(workspace.motions), copies.layouts.source[chosen]
    row = np.repeat(np.arange(len(chosen)), np.diff(first))
    knots = (np.arange(int(first[-1])) - first[row]) / (rate_hz * copies.step[chosen][row])
    last_knot = np.diff(copies.first_knot)[chosen][row] - 1
    # A sample on a knot is not to fall before it by rounding.
    near = np.round(knots)
    knots = np.clip(np.where(np.abs(knots - near) < 1e-6, near, knots), 0, last_knot)
    before = np.minimum(knots.astype(np.int64), np.maximum(last_knot - 1, 0))
    at, share = copies.first_knot[chosen][row] + before, knots - before
    time = (1 - share) * copies.time[at] + share * copies.time[at + 1]
    written, step = as_written(np.clip(time, 0, (demonstrated.steps[source] - 1)[row]))
    begins = demonstrated.first[source][row]
    objects, samples = len(workspace.motions.objects), int(first[-1])
    position = np.empty((objects, samples, 3), np.float32)
    rotation_6d = np.empty((objects, samples, 6), np.float32)
    quat = matrix_to_quat_xyzw(rot6d_to_matrix(tool_rotation_6d.astype(np.float64)))
    placed = Transforms(*(np.ascontiguousarray(values[chosen]) for values in copies.placed))
    carry_objects(
        demonstrated,
        source,
        placed,
        first,
        written.astype(np.float64),
        tool_position.astype(np.float64),
        quat,
        position,
        rotation_6d,
    )
    return CopySamples(
        source,
        written,
        _segments(workspace, source, first, step).astype(np.int32),
        demonstrated.gripper[begins + step].astype(np.float32),
        position,
        rotation_6d,
        tuple(thing.name for thing in workspace.motions.objects),
    )


def as_written(time: FloatArray) -> tuple[FloatArray32, IntArray]:
    """Source times (N,) as they are written, those that are meant to be on a step on it, and the step of each.

    The step is that of the time which is written: rounding may take a time just before a step onto it.
    """
    near = np.round(time)
    written = np.where(np.abs(time - near) < ON_STEP, near, time).astype(np.float32)
    return written, np.floor(written).astype(np.int64)


def _segments(workspace: Objects, source: IntArray, first: IntArray, step: IntArray) -> IntArray:
    """Index of the segment that each sample is in, shape (N,)."""
    parts = [
        workspace.motions.motions[motion].segment_of[step[begin:end]]
        for motion, begin, end in zip(source, first[:-1], first[1:], strict=True)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def followed(copies: Copies) -> BoolArray:
    """Which candidates have their objects apart and can be followed, shape (n,)."""
    return np.asarray(copies.layouts.apart & (copies.verdict == FOLLOWED))
