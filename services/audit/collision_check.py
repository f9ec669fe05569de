"""Whether a row's arm meets itself or a keep-out, at its moments and between them.

Between two moments no point of a shape moves farther than the sum over the joints of their path times their reach. Two
shapes whose distances at both ends add up to more than that don't meet in between. Spheres give lower bounds of the
distances. Where these don't tell, a row is walked: Coal gives the distance of the pair's hulls, and as far as the pair
may have moved from there by as much, it is clear; the next look is there, or SPACING farther. Hulls that overlap are a
violation if the meshes in them do. Between moments, postures are the cubic through both (see moments.py).
"""

from dataclasses import dataclass

import numpy as np
import pinocchio as pin
from numpy.typing import NDArray

from services.audit.claims import Claims
from services.audit.findings import AuditReport
from services.audit.geometry import read_geometry
from services.audit.moments import Moments, posture_between
from services.audit.pinocchio_model import Frames, Kinematics
from services.audit.sphere_bounds import closer_gaps, sphere_centres, sphere_gaps

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

SPACING = 0.005
"""Shapes that no bound keeps apart are looked at once they have moved this far [m], or less."""
CLEAR = 0.01
"""Shapes nearer than this [m] are always looked at closely, so that the least distances in a report are Coal's."""
_SMALL = 1e-9


@dataclass(frozen=True, eq=False)
class Stretches:
    """Stretches of rows, from moment to moment, along which a pair may meet.

    Attributes:
        pair: of the geometry, shape (m,).
        column: of the travels, shape (m,).
        here: up to where it is cleared, in the pair's travel since the first row [m], shape (m,).
        end: where the stretch ends, likewise.
        last: the moment there, shape (m,).
    """

    pair: IntArray
    column: IntArray
    here: FloatArray
    end: FloatArray
    last: IntArray

    @classmethod
    def of(cls, near: list[tuple[int, BoolArray]], travel: FloatArray) -> "Stretches":
        """The runs of intervals that are marked, (N - 1,), for some pairs; their travels up to each moment, (C, N)."""
        parts = []
        for column, (pair, marked) in enumerate(near):
            edges = np.diff(np.pad(marked.astype(np.int8), 1))
            first, last = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
            same = np.ones_like(first)
            parts.append((pair * same, column * same, travel[column, first], travel[column, last], last))
        return cls(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    def cleared(self, gap: FloatArray) -> "Stretches":
        """Those that go on, where they go on, once each pair is known to be so far apart."""
        on = (self.here + gap < self.end) & (self.here < self.end)
        here = np.minimum(self.here + np.maximum(gap, SPACING), self.end)
        return Stretches(self.pair[on], self.column[on], here[on], self.end[on], self.last[on])


class CollisionCheck:
    """Checks rows of one dataset."""

    def __init__(self, kinematics: Kinematics, claims: Claims) -> None:
        """Reads the robot's shapes. Raises RobotError."""
        self._kinematics = kinematics
        self.geometry = geometry = read_geometry(kinematics, claims)
        """The shapes, and which of them have to stay apart."""
        self.reach = geometry.travel.max(0) if len(geometry.travel) else np.zeros(kinematics.dof)
        """How far each joint moves any pair, at most, for each unit of its own motion, shape (dof,)."""
        self._data = kinematics.model.createData()
        self._hulls, self._meshes = geometry.hulls.createData(), geometry.meshes.createData()

    def check(self, report: AuditReport, ids: IntArray, moments: Moments, sound: BoolArray, frames: Frames) -> None:
        """Records for each row the least distance found, up to CLEAR, negated: what overlaps is above 0.

        Args:
            report: to record in.
            ids: of the rows, shape (n,).
            moments: of the rows.
            sound: which of them keep their limits, shape (n,); nothing bounds the motion of the others.
            frames: of the moments.
        """
        row = moments.row
        within = (row[1:] == row[:-1]) & sound[row[1:]]
        moved = _moved(moments).T
        moved[:, ~within] = 0.0
        centres, near = sphere_centres(self.geometry, frames), []
        for pair, reach in enumerate(self.geometry.travel):
            marked = self._near(pair, frames, centres, within, reach @ moved)
            if marked is not None:
                near.append((pair, marked))
        least = np.full((len(ids), 2), CLEAR)
        if near:
            of_near = self.geometry.travel[[pair for pair, _ in near]] @ moved
            travel = np.concatenate([np.zeros((len(near), 1)), np.cumsum(of_near, axis=1)], axis=1)
            self._walk(moments, Stretches.of(near, travel), travel, least)
        for kind, name in enumerate(("self-collision", "keep-outs")):
            if (self.geometry.keep_out == kind).any():
                report.measure(name, -least[sound, kind], 0.0, "m", ids[sound])

    def _near(
        self, pair: int, frames: Frames, centres: dict[int, FloatArray], within: BoolArray, moved: FloatArray
    ) -> BoolArray | None:
        """Between which moments and their next no bound keeps a pair apart, shape (N - 1,), or None if there are none.

        Args:
            pair: which.
            frames: of the moments.
            centres: of `sphere_centres`.
            within: where a moment and its next are of one row, shape (N - 1,).
            moved: how far the pair moves there [m], shape (N - 1,).
        """
        gaps = sphere_gaps(self.geometry, centres, pair)
        near = within & ~_apart(gaps, moved)
        if near.any():
            samples = np.flatnonzero(np.append(near, False) | np.append(False, near))
            gaps[samples] = closer_gaps(self.geometry, frames, pair, samples)
            near = within & ~_apart(gaps, moved)
        return near if near.any() else None

    def _walk(self, moments: Moments, left: Stretches, travel: FloatArray, least: FloatArray) -> None:
        """Looks at pairs along their stretches, as often as they need it, and notes the distances in `least`.

        Args:
            moments: of the rows.
            left: where to look.
            travel: of some pairs up to each moment, shape (C, N) [m].
            least: of each row and kind of pair, shape (n, 2) [m].
        """
        # One search for all pairs: each pair's travel is moved to a stretch of its own.
        beyond, samples = float(travel.max()) + 1.0, travel.shape[1]
        clock = (travel + beyond * np.arange(len(travel))[:, None]).reshape(-1)
        while len(left.pair):
            found = np.searchsorted(clock, left.here + beyond * left.column, side="right") - 1
            sample = np.minimum(found - left.column * samples, left.last - 1)
            before, after = travel[left.column, sample], travel[left.column, sample + 1]
            share = np.clip((left.here - before) / np.maximum(after - before, _SMALL), 0, 1)
            postures = posture_between(moments, sample, share)
            left = left.cleared(self._distances(postures, left.pair, moments.row[sample], least))

    def _distances(self, q: FloatArray, pair: IntArray, row: IntArray, least: FloatArray) -> FloatArray:
        """Distance of each pair's hulls in its posture [m], shape (m,).

        Args:
            q: postures, shape (m, dof).
            pair: shape (m,).
            row: shape (m,).
            least: of each row and kind of pair, shape (n, 2) [m]; an overlap is noted only if the meshes overlap too.
        """
        model, hulls, found = self._kinematics.model, self.geometry.hulls, np.empty(len(q))
        for i, posture in enumerate(self._kinematics.configurations(q)):
            number = int(pair[i])
            pin.updateGeometryPlacements(model, self._data, hulls, self._hulls, posture)
            found[i] = noted = pin.computeDistance(hulls, self._hulls, number).min_distance
            if noted <= 0:
                # Without a depth it is an overlap all the same.
                noted = min(noted, -_SMALL) if self._meshes_overlap(number, posture) else 0.0
            kind = int(self.geometry.keep_out[number])
            least[row[i], kind] = min(least[row[i], kind], noted)
        return found

    def _meshes_overlap(self, pair: int, posture: FloatArray) -> bool:
        model, meshes = self._kinematics.model, self.geometry.meshes
        pin.updateGeometryPlacements(model, self._data, meshes, self._meshes, posture)
        return bool(pin.computeCollision(meshes, self._meshes, pair))


def _apart(gaps: FloatArray, moved: FloatArray) -> BoolArray:
    """Between which moments and their next a pair keeps CLEAR, shape (N - 1,)."""
    return (gaps[1:] > CLEAR) & (gaps[:-1] > CLEAR) & (gaps[1:] + gaps[:-1] > moved)


def _moved(moments: Moments) -> FloatArray:
    """How far each joint moves between each moment and its next, at most, shape (N - 1, dof)."""
    q, qd, dt = moments.q, moments.qd, np.maximum(moments.seconds, _SMALL)[:, None]
    rise, before, after = np.diff(q, axis=0), dt * qd[:-1], dt * qd[1:]
    # The cubic's velocity is before + u (b + u a), u being the share of the time; it may be greatest in between.
    a, b = 3 * (before + after) - 6 * rise, 6 * rise - 4 * before - 2 * after
    with np.errstate(divide="ignore", invalid="ignore"):
        turn = -b / (2 * a)
    peak = np.where((turn > 0) & (turn < 1), np.abs(before - a * np.where(np.isfinite(turn), turn, 0) ** 2), 0.0)
    return np.maximum(np.maximum(np.abs(before), np.abs(after)), peak)
