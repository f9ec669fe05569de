"""The ends of a batch of candidates' motions, each drawn anew until it is free, and the motions between them.

Where a waypoint can't be reached, or the arm collides there, only this end is drawn anew; where the motion to it
collides, likewise. So each end is drawn as was asked for, among those that are free and that a free motion from the
waypoint before leads to.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.synthesis.arm.robot_model import RobotModel
from services.synthesis.checks import validation
from services.synthesis.collision.collisions import colliding_postures, collisions
from services.synthesis.collision.gaps import CLEAR
from services.synthesis.collision.separations import Separations
from services.synthesis.draw.sampling import Candidates, redraw
from services.synthesis.motion.motions import Motions, make_motions
from services.synthesis.motion.waypoints import OTHER_POSTURE, POSE_UNREACHABLE, Waypoints
from services.synthesis.request.families import SAME, ends
from services.synthesis.request.trajectory_request import TrajectoryRequest
from services.synthesis.request.workspace import Fitted
from services.synthesis.solve import line_knots

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Texts = NDArray[np.object_]

MOST_REDRAWS = 20
"""How often one end of a candidate is drawn anew before the whole candidate is rejected."""

_REASONS = {
    POSE_UNREACHABLE: validation.UNREACHABLE,
    OTHER_POSTURE: validation.POSTURE_CHANGE,
    line_knots.UNREACHABLE: validation.LINE_UNREACHABLE,
    line_knots.AT_LIMIT: validation.LINE_JOINT_LIMIT,
    line_knots.SINGULAR: validation.LINE_SINGULAR,
    line_knots.DEVIATING: validation.LINE_DEVIATION,
}


class Redrawn(NamedTuple):
    """Ends that were drawn anew: candidate and reason of each, shape (m,)."""

    candidate: IntArray
    reason: Texts


NO_REDRAWS = Redrawn(np.zeros(0, np.int64), np.zeros(0, object))


class Ends:
    """The search for the ends of n candidates.

    Attributes:
        waypoints: as far as they are found.
        reasons: why each candidate is rejected, "" where it is not.
    """

    def __init__(
        self,
        request: TrajectoryRequest,
        robot: RobotModel,
        apart: Separations | None,
        candidates: Candidates,
        on_draws: Callable[[IntArray, IntArray, Texts], None],
    ) -> None:
        """Takes what was drawn.

        Args:
            request: of the candidates.
            robot: the arm.
            apart: what has to stay apart, if anything.
            candidates: as drawn; their targets are replaced.
            on_draws: called with family and waypoint of ends (m,) as they are looked at, and with why each is not
                free, "" where it is; what it raises ends the search.
        """
        self._request, self._robot, self._apart, self._candidates = request, robot, apart, candidates
        self._on_draws = on_draws
        self.waypoints = Waypoints(robot, candidates, request.goal, isinstance(request.workspace, Fitted))
        self.reasons = [""] * len(candidates.ids)
        self._end = ends(candidates.family, candidates.arrival.shape[1])
        self._redraws = [NO_REDRAWS]
        self._redrawn = np.zeros(candidates.arrival.shape, np.int64)
        self._clear = np.zeros(candidates.arrival.shape, np.bool_)

    def motions(self) -> Motions:
        """Motions between free ends, which don't collide, of the candidates for which there are any."""
        rows, done = np.arange(len(self.reasons)), []
        while len(rows):
            ends = self._find_ends(rows)
            motions, made = make_motions(self._robot, self._candidates, self.waypoints, self._complete(rows, ends[0]))
            bad = np.add.reduceat(~made, motions.first[:-1]) > 0 if len(made) else np.zeros(0, np.bool_)
            self._reject(motions.candidate[bad], np.full(bad.sum(), validation.TIMING, object))
            motions = motions.take(~bad)
            ways = self._collisions(motions)
            free = ~self._marked(ways[0])[motions.candidate]
            done.append(motions.take(free))
            rows = rows[~self._marked(motions.candidate[free])[rows]]
            # Those whose ends are free wait for no others, so that few rounds are of a few candidates alone.
            row, waypoint, reason = (np.concatenate(parts) for parts in zip(ends, ways, strict=True))
            rows = self._redraw(rows, row, waypoint, reason)
        return Motions.join(done)

    def redrawn(self) -> Redrawn:
        """The ends that were drawn anew so far."""
        candidate, reason = (np.concatenate(parts) for parts in zip(*self._redraws, strict=True))
        return Redrawn(candidate, reason)

    def _find_ends(self, rows: IntArray) -> tuple[IntArray, IntArray, Texts]:
        """Looks once for the waypoints of some candidates that can be looked for; of those that can't be reached or
        where the arm collides candidate, waypoint and reason."""
        row, waypoint = self.waypoints.ready(rows)
        verdict = self.waypoints.find(row, waypoint)
        reason = np.full(len(row), "", object)
        for which, text in _REASONS.items():
            reason[verdict == which] = text
        moved = self._candidates.arrival[row, waypoint] != SAME
        reached = np.flatnonzero((verdict == line_knots.FOLLOWED) & moved)
        if self._apart is not None and len(reached):
            q = self.waypoints.q[row[reached], waypoint[reached]]
            reason[reached] = self._names(colliding_postures(self._robot, self._apart, q))
        bad = np.flatnonzero(reason != "")
        self._on_draws(self._candidates.family[row], waypoint, reason)
        return row[bad], waypoint[bad], reason[bad]

    def _complete(self, rows: IntArray, bad: IntArray) -> IntArray:
        """The candidates among some whose waypoints are all found, and none of them bad."""
        return rows[self.waypoints.found[rows].all(1) & ~self._marked(bad)[rows]]

    def _marked(self, rows: IntArray) -> BoolArray:
        """Which of all candidates are among some, shape (n,)."""
        marked = np.zeros(len(self.reasons), np.bool_)
        marked[rows] = True
        return marked

    def _collisions(self, motions: Motions) -> tuple[IntArray, IntArray, Texts]:
        """The first motion that collides of each candidate that has any: candidate, waypoint it leads to, reason."""
        if self._apart is None or not len(motions.candidate):
            return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, object)
        of = np.repeat(motions.candidate, np.diff(motions.first))
        begins = np.flatnonzero((np.diff(of, prepend=-1) != 0) | (np.diff(motions.waypoint, prepend=-1) != 0))
        row, waypoint = of[begins], motions.waypoint[begins]
        unknown = np.flatnonzero(~self._clear[row, waypoint])
        first = np.append(begins, len(of))
        met = collisions(self._robot, self._apart, motions.profiles, first, unknown)
        self._clear[row, waypoint] = met == CLEAR
        bad = np.flatnonzero(met != CLEAR)
        bad = bad[np.unique(row[bad], return_index=True)[1]]
        return row[bad], waypoint[bad], self._names(met[bad])

    def _redraw(self, rows: IntArray, row: IntArray, waypoint: IntArray, reason: Texts) -> IntArray:
        """Draws ends (m,) of some candidates anew, or rejects those of which that was done too often.

        Returns those of `rows` that are not rejected.
        """
        end = self._end[row, waypoint]
        _, first = np.unique(row * self._end.shape[1] + end, return_index=True)
        row, end, reason = row[first], end[first], reason[first]
        tired = self._redrawn[row, end] >= MOST_REDRAWS
        self._reject(row[tired], reason[tired])
        kept = np.array([not self.reasons[index] for index in row.tolist()], np.bool_)
        row, end, reason = row[kept], end[kept], reason[kept]
        self._redraws.append(Redrawn(row, reason))
        self._redrawn[row, end] += 1
        together = self._end[row] == end[:, None]
        place, some = np.nonzero(together & (np.arange(together.shape[1]) <= self._candidates.segments[row, None]))
        count = self._redrawn[row[place], end[place]]
        redraw(self._request, self._robot, self._candidates, row[place], some, count)
        self.waypoints.forget(row[place], some)
        self._forget_motions(row)
        return rows[np.array([not self.reasons[index] for index in rows.tolist()], np.bool_)]

    def _forget_motions(self, row: IntArray) -> None:
        """Motions from and to waypoints that are looked for again may collide; of an arm that doesn't stop at its
        waypoints, those beside them too."""
        lost = ~self.waypoints.found[row]
        lost[:, 1:] |= lost[:, :-1]
        passed = self._candidates.events.kept[row, :-1] > 0
        beside = lost.copy()
        beside[:, 1:-1] |= lost[:, 2:] & passed
        beside[:, 2:] |= lost[:, 1:-1] & passed
        self._clear[row] &= ~beside

    def _reject(self, rows: IntArray, reasons: Texts) -> None:
        for index, reason in zip(rows.tolist(), reasons, strict=True):
            self.reasons[index] = self.reasons[index] or reason

    def _names(self, met: IntArray) -> Texts:
        """Reasons for pairs that met, "" for CLEAR."""
        assert self._apart is not None
        reason, meets = np.full(len(met), "", object), met != CLEAR
        links = self._apart.second[met[meets]] >= 0
        reason[meets] = np.where(links, validation.SELF_COLLISION, validation.KEEP_OUT)
        return reason
