"""Whether what the hand of a copy holds meets the arm or a keep-out, where the request says how large it is.

Its box is put where the demonstration's hand was seen to hold it half-way, and moved with the tool in small steps of
time. Nothing here is synthesis' own.
"""

from dataclasses import dataclass

import coal
import numpy as np
import pinocchio as pin
import pyarrow as pa
from numpy.typing import NDArray

from services.audit.claims import Claims
from services.audit.findings import AuditReport
from services.audit.geometry import Geometry
from services.audit.moments import Moments, posture_between
from services.audit.pinocchio_model import Kinematics
from services.audit.row_check import Rows
from shared.demonstrated_motions import DemonstratedMotion, DemonstratedMotions, Held

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

TOUCH = 2e-3
"""How deep [m] what is held may reach into something."""
LIFTED = 0.01
"""How far [m] it has to be from where it is taken and from where it is left to be looked at."""
SPACING = 0.005
"""Longest time [s] from one look to the next: in it a tool goes some millimetres at most."""


@dataclass(frozen=True, eq=False)
class _Carry:
    """One object in one demonstration's hand: the steps between which it is carried, and its pose in the tool frame."""

    first: float
    last: float
    in_hand: pin.SE3
    box: coal.Box


class HeldCheck:
    """Checks rows of one dataset."""

    def __init__(
        self, kinematics: Kinematics, claims: Claims, geometry: Geometry, motions: DemonstratedMotions
    ) -> None:
        """For the shapes of a robot and its keep-outs."""
        self._kinematics, self._geometry = kinematics, geometry
        self._data, self._placed = kinematics.model.createData(), geometry.hulls.createData()
        self._others = _others(kinematics, geometry)
        self._carries = [
            [carry for hold in motion.held if (carry := _carry(motion, hold, sizes[hold.index])) is not None]
            for sizes in [[claims.size_of(thing.name) for thing in motions.objects]]
            for motion in motions.motions
        ]

    def check(
        self, report: AuditReport, table: pa.Table, rows: Rows, moments: Moments, sound: NDArray[np.bool_]
    ) -> None:
        """Records for each row that carries something how deep that reaches into anything, at most.

        Args:
            report: to record in.
            table: the rows.
            rows: the same as arrays.
            moments: of the rows.
            sound: which of them keep their limits, shape (n,).
        """
        source = table.column("source").to_numpy()
        begins = np.searchsorted(moments.row, np.arange(len(rows.ids) + 1))
        for row in np.flatnonzero(sound & (source >= 0) & (source < len(self._carries))):
            own = slice(int(rows.first[row]), int(rows.first[row + 1]))
            at = rows.lists["source_time"][own, 0].astype(np.float64)
            for carry in self._carries[source[row]]:
                samples = np.flatnonzero((at >= carry.first) & (at <= carry.last))
                if len(samples) and self._others:
                    begin, end = samples[[0, -1]] / rows.rate_hz[row]
                    times = np.linspace(begin, end, 1 + int(np.ceil((end - begin) / SPACING)))
                    q = _postures(moments, slice(int(begins[row]), int(begins[row + 1])), times)
                    depth = self._depth(q, carry)
                    report.measure("what is held", np.array([depth]), TOUCH, "m", rows.ids[row : row + 1])

    def _depth(self, q: FloatArray, carry: _Carry) -> float:
        """How deep the box reaches into anything in some postures (m, dof), at most [m]; negative where it is clear."""
        kinematics, hulls = self._kinematics, self._geometry.hulls
        rotation, position = kinematics.tool_poses(kinematics.frames(q))
        base, least, result = kinematics.base_placement, np.inf, coal.DistanceResult()
        for i, posture in enumerate(kinematics.configurations(q)):
            tool = base * pin.SE3(rotation[..., i], position[:, i]) * carry.in_hand
            at = coal.Transform3s(tool.rotation, tool.translation)
            pin.updateGeometryPlacements(kinematics.model, self._data, hulls, self._placed, posture)
            for other in self._others:
                place, shape = self._placed.oMg[other], hulls.geometryObjects[other].geometry
                there = coal.Transform3s(place.rotation, place.translation)
                result.clear()
                least = min(least, coal.distance(carry.box, at, shape, there, coal.DistanceRequest(), result))
        return -float(least)


def _others(kinematics: Kinematics, geometry: Geometry) -> list[int]:
    """The keep-outs, and the links that a shape which goes with the hand is kept apart from."""
    last = kinematics.arm_joints[-1]
    with_hand = np.array([last in kinematics.moving_path(joint) for joint in geometry.joint.tolist()])
    found = {int(b) for _, b in geometry.pairs[geometry.keep_out]}
    for a, b in geometry.pairs[~geometry.keep_out].tolist():
        found |= {other for one, other in ((a, b), (b, a)) if with_hand[one] and not with_hand[other]}
    return sorted(found)


def _carry(motion: DemonstratedMotion, hold: Held, size: tuple[float, float, float] | None) -> _Carry | None:
    """How an object of a size is carried; None without one, or if it never leaves its place."""
    half_way, thing = (hold.first + hold.end - 1) // 2, motion.objects[hold.index]
    hand = pin.SE3(motion.reached.rotation[half_way], motion.reached.position[half_way])
    in_hand = hand.inverse() * pin.SE3(thing.rotation[half_way], thing.position[half_way])
    own = range(hold.first, hold.end)
    path = np.array(
        [motion.commanded.rotation[t] @ in_hand.translation + motion.commanded.position[t] for t in own]
    ).reshape(-1, 3)
    # What is in the hand from the beginning, or to the end, is taken or left nowhere.
    from_start, to_end = hold.first == 0, hold.end == motion.steps
    away = np.ones(len(path), np.bool_)
    for end, open_end in ((0, from_start), (-1, to_end)):
        away &= open_end | (np.linalg.norm(path - path[end], axis=1) > LIFTED)
    if size is None or not away.any():
        return None
    steps = hold.first + np.flatnonzero(away)
    first, last = -np.inf if from_start else float(steps[0]), np.inf if to_end else float(steps[-1])
    return _Carry(first, last, in_hand, coal.Box(*size))


def _postures(moments: Moments, own: slice, times: FloatArray) -> FloatArray:
    """Configurations (m, dof) of one row at times since its beginning [s]."""
    clock = np.concatenate([[0.0], np.cumsum(moments.seconds[own.start : own.stop - 1])])
    before = np.clip(np.searchsorted(clock, times, side="right") - 1, 0, max(len(clock) - 2, 0))
    share = (times - clock[before]) / np.maximum(moments.seconds[own.start + before], 1e-12)
    return posture_between(moments, own.start + before, np.clip(share, 0.0, 1.0))
