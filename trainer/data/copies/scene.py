"""What would be observed of tool and objects in a copy: what was observed in its demonstration, carried along."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.demonstrated_motions import DemonstratedMotion, DemonstratedMotions
from shared.rotation import matrix_to_quat_xyzw, quat_xyzw_to_matrix
from trainer.data.copies.lag import Lag

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Scene:
    """Observed poses at T steps: the tool first, then each object.

    Attributes:
        position: shape (T, 1 + O, 3) [m].
        rotation: shape (T, 1 + O, 3, 3).
    """

    position: FloatArray
    rotation: FloatArray


@dataclass(frozen=True, eq=False)
class CopiedRow:
    """What a row of a dataset of copies holds, T steps.

    Attributes:
        source: place of its demonstration in the motions file.
        source_time: which step of that each step is at, with a fraction, shape (T,).
        position: commanded, shape (T, 3) [m].
        rotation: likewise, shape (T, 3, 3).
        object_position: of each object, shape (T, O, 3) [m].
        object_rotation: likewise, shape (T, O, 3, 3).
    """

    source: int
    source_time: FloatArray
    position: FloatArray
    rotation: FloatArray
    object_position: FloatArray
    object_rotation: FloatArray


class SceneOfCopies:
    """Scenes of rows, by the lag that the demonstrations show.

    Where the arm was in a demonstration, beside where the lag says that it should have been, is carried along in the
    tool's frame; so a copy with everything where it was shows what was observed. What the hand holds is where it was in
    the hand.
    """

    def __init__(self, motions: DemonstratedMotions) -> None:
        self.motions = motions
        commanded = [motion.commanded.position for motion in motions.motions]
        reached = [motion.reached.position for motion in motions.motions]
        self.lag = Lag.fit(commanded, reached, motions.rate_hz)
        self._sources = [self._source(motion) for motion in motions.motions]

    def demonstrated(self, source: int) -> Scene:
        """What was observed in a demonstration."""
        motion = self.motions.motions[source]
        poses = (motion.reached, *motion.objects)
        return Scene(
            np.stack([pose.position for pose in poses], axis=1), np.stack([pose.rotation for pose in poses], axis=1)
        )

    def copied(self, row: CopiedRow) -> Scene:
        """What would be observed in a copy."""
        motion, source = self.motions.motions[row.source], self._sources[row.source]
        tool = (
            self.lag.follow(row.position),
            quat_xyzw_to_matrix(self.lag.follow_rotation(matrix_to_quat_xyzw(row.rotation))),
        )
        shift, turn = source.at(row.source_time)
        position = tool[0] + np.einsum("tij,tj->ti", tool[1], shift)
        rotation = tool[1] @ turn
        object_position, object_rotation = row.object_position.copy(), row.object_rotation.copy()
        reached, commanded = _At(motion, row.source_time, "reached"), _At(motion, row.source_time, "commanded")
        for index in range(len(motion.objects)):
            held = np.zeros(len(row.source_time), np.bool_)
            for one in motion.held:
                if one.index == index:
                    held |= (row.source_time >= one.first) & (row.source_time < one.end)
            if not held.any():
                continue
            own = _At(motion, row.source_time, index)
            # Its turn in the hand beyond the demonstration's: that of its symmetry.
            as_commanded = row.rotation @ np.swapaxes(commanded.rotation, 1, 2) @ own.rotation
            spun = np.swapaxes(as_commanded, 1, 2) @ row.object_rotation[:, index]
            hand = rotation @ np.swapaxes(reached.rotation, 1, 2)
            carried = position + np.einsum("tij,tj->ti", hand, own.position - reached.position)
            object_position[held, index] = carried[held]
            object_rotation[held, index] = (hand @ own.rotation @ spun)[held]
        return Scene(
            np.concatenate([position[:, None], object_position], axis=1),
            np.concatenate([rotation[:, None], object_rotation], axis=1),
        )

    def _source(self, motion: DemonstratedMotion) -> "_Beside":
        """Where the tool was seen beside where the lag puts it, at each step of a demonstration."""
        quat = self.lag.follow_rotation(matrix_to_quat_xyzw(motion.commanded.rotation))
        position, rotation = self.lag.follow(motion.commanded.position), quat_xyzw_to_matrix(quat)
        back = np.swapaxes(rotation, 1, 2)
        shift = np.einsum("tij,tj->ti", back, motion.reached.position - position)
        return _Beside(shift, back @ motion.reached.rotation)


@dataclass(frozen=True, eq=False)
class _Beside:
    """Shifts (T, 3) [m] and turns (T, 3, 3) in the tool's frame."""

    shift: FloatArray
    turn: FloatArray

    def at(self, time: FloatArray) -> tuple[FloatArray, FloatArray]:
        """At times in steps, with a fraction."""
        return _between(self.shift, time), _rotation_between(self.turn, time)


class _At:
    """Poses of a demonstration at times in its steps, with a fraction: the tool's, or an object's."""

    def __init__(self, motion: DemonstratedMotion, time: FloatArray, which: str | int) -> None:
        poses = motion.objects[which] if isinstance(which, int) else getattr(motion, which)
        self.position, self.rotation = _between(poses.position, time), _rotation_between(poses.rotation, time)


def _between(values: FloatArray, time: FloatArray) -> FloatArray:
    """Linear interpolation of (T, ...) at times in steps."""
    before = np.minimum(time.astype(np.int64), len(values) - 2)
    share = (time - before).reshape(-1, *[1] * (values.ndim - 1))
    return np.asarray((1 - share) * values[before] + share * values[before + 1])


def _rotation_between(rotation: FloatArray, time: FloatArray) -> FloatArray:
    """Rotations (T, 3, 3) at times in steps, by the shorter way between quaternions."""
    quat = matrix_to_quat_xyzw(rotation)
    before = np.minimum(time.astype(np.int64), len(quat) - 2)
    first, second, share = quat[before], quat[before + 1], (time - before)[:, None]
    sign = np.where((first * second).sum(1, keepdims=True) < 0, -1.0, 1.0)
    return quat_xyzw_to_matrix((1 - share) * first + share * sign * second)
