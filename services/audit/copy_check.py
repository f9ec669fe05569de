"""Checks of copies: that each is its demonstration, carried rigidly where that is relative to an object.

Nothing here is synthesis' own: transforms are fitted to the rows (Kabsch 1976), not drawn again.
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from services.audit.findings import AuditReport
from services.audit.row_check import Rows
from shared.demonstrated_motions import FREE, DemonstratedMotions, Poses
from shared.rotation import geodesic_angle, rot6d_to_matrix

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

POSITION_TOLERANCE, ANGLE_TOLERANCE = 1.5e-3, np.deg2rad(0.5)
"""How far [m, rad] a tool may be from its demonstration in skill segments: smoothing takes up to 0.5 mm and 0.1
degrees, the rest is for what lies between two of its steps."""
HELD_TOLERANCE = 3e-3
"""How far [m] a held object may be from where it is in the demonstration's hand."""
_FEWEST = 3
"""Samples that a transform is fitted to, at least."""


class CopiesCheck:
    """Checks rows against the motions file that they are copies of."""

    def __init__(self, motions: DemonstratedMotions) -> None:
        self._motions = motions

    def check(self, report: AuditReport, table: pa.Table, rows: Rows) -> None:
        """Checks rows whose columns and lengths are in order."""
        source = table.column("source").to_numpy()
        known = (source >= 0) & (source < len(self._motions.motions))
        report.measure("source is a demonstration", np.where(known, -1.0, 1.0), 0.0, "", rows.ids)
        for row in np.flatnonzero(known):
            own = slice(int(rows.first[row]), int(rows.first[row + 1]))
            _Copy(self._motions, int(source[row]), rows, own, rows.ids[row : row + 1]).check(report)


class _Copy:
    """One row beside its demonstration."""

    def __init__(self, motions: DemonstratedMotions, source: int, rows: Rows, own: slice, identity: IntArray) -> None:
        self._motions, self._motion, self._identity = motions, motions.motions[source], identity
        lists = rows.lists
        self._time = lists["source_time"][own, 0].astype(np.float64)
        self._segment = lists["segment"][own, 0].astype(np.int64)
        self._gripper = lists["gripper"][own, 0]
        self._tool = Poses(
            lists["ee_position"][own].astype(np.float64), lists["ee_rotation_6d"][own].astype(np.float64)
        )
        self._objects = [
            Poses(
                *(lists[f"object/{thing.name}/{part}"][own].astype(np.float64) for part in ("position", "rotation_6d"))
            )
            for thing in motions.objects
        ]

    def check(self, report: AuditReport) -> None:
        """Everything."""
        last = self._motion.steps - 1
        outside = np.maximum(-self._time, self._time - last)
        self._measure(report, "source_time is within the demonstration", outside, 0.0, "steps")
        self._measure(report, "source_time never goes back", -np.diff(self._time), 1e-6, "steps")
        if not (outside <= 0).all():
            return
        step = np.floor(self._time).astype(np.int64)
        report.expect(
            "gripper is the demonstration's", bool(np.allclose(self._gripper, self._motion.gripper[step])), self._where
        )
        report.expect(
            "segment is the demonstration's", bool((self._segment == self._motion.segment_of[step]).all()), self._where
        )
        for index in np.unique(self._segment):
            if self._motion.segments[index].relative_to != FREE:
                self._check_skill(report, int(index))
        self._check_held(report)

    @property
    def _where(self) -> str:
        return f"trajectory {int(self._identity[0])}"

    def _measure(self, report: AuditReport, name: str, values: FloatArray, tolerance: float, unit: str) -> None:
        report.measure(name, values, tolerance, unit, np.broadcast_to(self._identity, values.shape[:1]))

    def _check_skill(self, report: AuditReport, index: int) -> None:
        """In a skill segment one rigid transform takes the demonstration to the copy, and its object to where it is."""
        chosen = np.flatnonzero(self._segment == index)
        if len(chosen) < _FEWEST:
            return
        time, segment = self._time[chosen], self._motion.segments[index]
        position, rotation = _at(self._motion.commanded, time)
        turn = _mean_rotation(self._tool.rotation[chosen] @ rotation.swapaxes(1, 2))
        shift = (self._tool.position[chosen] - position @ turn.T).mean(0)
        off = np.linalg.norm(self._tool.position[chosen] - position @ turn.T - shift, axis=1)
        self._measure(report, "skill segments are rigid, position", off, POSITION_TOLERANCE, "m")
        angle = geodesic_angle(self._tool.rotation[chosen], turn @ rotation)
        self._measure(report, "skill segments are rigid, rotation", angle, ANGLE_TOLERANCE, "rad")
        if segment.relative_to >= 0 and not self._is_held(segment.relative_to, time[0]):
            place, _ = _at(self._motion.objects[segment.relative_to], time[:1])
            seen = self._objects[segment.relative_to].position[chosen[:1]]
            apart = np.linalg.norm(place @ turn.T + shift - seen, axis=1)
            self._measure(report, "skill segments go with their object", apart, POSITION_TOLERANCE, "m")

    def _is_held(self, index: int, time: float) -> bool:
        return any(one.index == index and one.first <= time < one.end for one in self._motion.held)

    def _check_held(self, report: AuditReport) -> None:
        """What the hand holds is in the hand where it was in the demonstration's."""
        for one in self._motion.held:
            # Where it is let go, the hand of the copy is between two steps of which one holds it.
            chosen = np.flatnonzero((self._time >= one.first) & (self._time <= one.end - 1))
            if not len(chosen):
                continue
            position, rotation = _at(self._motion.commanded, self._time[chosen])
            place, _ = _at(self._motion.objects[one.index], self._time[chosen])
            expected = np.einsum("tji,tj->ti", rotation, place - position)
            own = self._objects[one.index].position[chosen] - self._tool.position[chosen]
            found = np.einsum("tji,tj->ti", self._tool.rotation[chosen], own)
            off = np.linalg.norm(found - expected, axis=1)
            self._measure(report, "what is held stays in the hand", off, HELD_TOLERANCE, "m")


def _at(poses: Poses, time: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Positions (n, 3) and rotations (n, 3, 3) at times in steps: by cubic Hermite interpolation, rows made orthonormal
    again."""
    values = np.concatenate([poses.position, poses.rotation_6d], axis=1)
    slopes = np.gradient(values, axis=0)
    before = np.minimum(time.astype(np.int64), len(values) - 2)
    u = (time - before)[:, None]
    rise = values[before + 1] - values[before]
    a, b = slopes[before] - rise, rise - slopes[before + 1]
    found = values[before] + u * (rise + (1 - u) * ((1 - u) * a + u * b))
    return found[:, :3], rot6d_to_matrix(found[:, 3:])


def _mean_rotation(rotations: FloatArray) -> FloatArray:
    """The rotation (3, 3) nearest to all of (n, 3, 3), by the singular value decomposition of their mean."""
    left, _, right = np.linalg.svd(rotations.mean(0))
    fixed = np.diag([1.0, 1.0, np.linalg.det(left @ right)])
    return np.asarray(left @ fixed @ right)
