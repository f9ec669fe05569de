"""What a candidate is drawn as: its family, speeds, targets and events, from counter-based streams.

What belongs to the id is in identity.py. Attempt a of trajectory i reads the words of Philox(key=[seed, i], counter=
[0, 0, 0, 1 + a]) at fixed places, so it does not depend on what is made beside it: one word for the speed, then those
of the whole, and then for each waypoint those of its target and of its events. The words of a candidate with fewer
waypoints are a prefix of the longer one's. The r-th redraw of waypoint k reads the words of its target from the same
key and counter [0, k, r, 1 + a].
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.synthesis.arm.robot_model import RobotModel
from services.synthesis.draw.events import EVENT_WORDS, Events, draw_events
from services.synthesis.draw.fitted import Parts, choose_parts, fitted_events, fitted_targets, whole_words
from services.synthesis.draw.identity import draw_identities
from services.synthesis.draw.redrawn import redrawn_uniform
from services.synthesis.draw.targets import Targets, draw_targets, draws_configurations, posture_words, target_words
from services.synthesis.draw.uniform import between
from services.synthesis.request.families import DRAWN, SOLVED, arrivals
from services.synthesis.request.trajectory_request import TrajectoryRequest
from services.synthesis.request.workspace import Fitted, JointSpace, Objects
from shared.philox import philox_uniform

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_SPEED_WORDS = 1


class Drawn(NamedTuple):
    """What the targets of n candidates follow from.

    Attributes:
        whole: uniform numbers of the whole of each candidate, shape (n, ...).
        target: of each waypoint, shape (n, W, target_words); replaced in place by redraws.
        parts: of demonstrated chains, or None elsewhere.
    """

    whole: FloatArray
    target: FloatArray
    parts: Parts | None


@dataclass(frozen=True, eq=False)
class Candidates:
    """n candidates, padded to the W waypoints of the longest; entries past a candidate's own mean nothing.

    Attributes:
        ids: trajectory of each candidate, shape (n,).
        attempts: which attempt it is, from 0, shape (n,).
        family: index into FAMILIES, shape (n,).
        segments: number of motions, so waypoints less one, shape (n,).
        speed_scale: time dilation s, shape (n,).
        arrival: how each waypoint's configuration is found, DRAWN, SOLVED, SAME or LINE, shape (n, W).
        drawn: what the targets follow from.
        targets: where the waypoints are; replaced in place by redraws.
        events: what happens at them.
    """

    ids: IntArray
    attempts: IntArray
    family: IntArray
    segments: IntArray
    speed_scale: FloatArray
    arrival: IntArray
    drawn: Drawn
    targets: Targets
    events: Events


def draw_candidates(request: TrajectoryRequest, robot: RobotModel, ids: IntArray, attempts: IntArray) -> Candidates:
    """Draws one candidate for each (id, attempt)."""
    workspace, seed = request.workspace, request.seed
    assert not isinstance(workspace, Objects), "copies are drawn in services/synthesis/copies"
    identities = draw_identities(request.families, seed, ids)
    family, segments = identities.family, identities.segments
    first = _SPEED_WORDS + (whole_words(robot) if isinstance(workspace, Fitted) else posture_words(workspace, robot))
    words = philox_uniform(seed, ids, 1 + attempts, first)
    whole = words[:, _SPEED_WORDS:]
    if isinstance(workspace, Fitted):
        parts = choose_parts(workspace.summary, family, segments, identities.choices)
        segments = parts.segments
        target, event = _waypoint_words(seed, ids, attempts, first, robot, segments)
        # At full speed, and then slowed to what was demonstrated.
        speed_scale = np.ones(len(ids))
        arrival = parts.arrival
        drawn = Drawn(whole, target, parts)
        events = fitted_events(workspace, parts, identities, event)
    else:
        target, event = _waypoint_words(seed, ids, attempts, first, robot, segments)
        speed_scale = between(request.speed_scale, words[:, 0])
        arrival = _arrival(request, family, target.shape[1])
        drawn = Drawn(whole, target, None)
        events = draw_events(request, identities, event)
    targets = _targets(request, robot, family, drawn, np.arange(len(ids)))
    return Candidates(ids, attempts, family, segments, speed_scale, arrival, drawn, targets, events)


def redraw(
    request: TrajectoryRequest,
    robot: RobotModel,
    candidates: Candidates,
    row: IntArray,
    waypoint: IntArray,
    count: IntArray,
) -> None:
    """Draws the targets of some waypoints of candidates anew, each for the count-th time, in place.

    Args:
        request: of the candidates.
        robot: the arm.
        candidates: whose targets are replaced: those of the waypoints named, and those that lie about them.
        row: which candidate, shape (m,).
        waypoint: which of its waypoints, shape (m,).
        count: how often it has been redrawn, with this time, shape (m,).
    """
    drawn, ids, attempts = candidates.drawn, candidates.ids[row], candidates.attempts[row]
    words = drawn.target.shape[2]
    drawn.target[row, waypoint] = redrawn_uniform(request.seed, ids, attempts, waypoint, count, words)
    rows = np.unique(row)
    candidates.targets.put(robot, rows, _targets(request, robot, candidates.family, drawn, rows))


def _targets(request: TrajectoryRequest, robot: RobotModel, family: IntArray, drawn: Drawn, rows: IntArray) -> Targets:
    """Targets of some candidates."""
    whole, target = drawn.whole[rows], drawn.target[rows]
    if drawn.parts is not None:
        assert isinstance(request.workspace, Fitted)
        return fitted_targets(request.workspace, robot, request.goal, drawn.parts.take(rows), whole, target)
    assert not isinstance(request.workspace, Fitted | Objects)
    return draw_targets(request.workspace, robot, request.goal, family[rows], whole, target)


def _waypoint_words(
    seed: int, ids: IntArray, attempts: IntArray, first: int, robot: RobotModel, segments: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Uniform numbers after the `first` of the whole: of each waypoint's target, and of the events at those after the
    start, shapes (n, W, target_words) and (n, W - 1, EVENT_WORDS)."""
    of_target = target_words(robot)
    width = of_target + EVENT_WORDS
    words = np.zeros((len(ids), first + width * (int(segments.max()) + 1)))
    for n in np.unique(segments):
        rows = np.flatnonzero(segments == n)
        used = first + width * (n + 1)
        words[rows, :used] = philox_uniform(seed, ids[rows], 1 + attempts[rows], int(used))
    waypoint = words[:, first:].reshape(len(ids), -1, width)
    return waypoint[..., :of_target], waypoint[:, 1:, of_target:]


def _arrival(request: TrajectoryRequest, family: IntArray, waypoints: int) -> IntArray:
    """How each waypoint is arrived at, shape (n, waypoints)."""
    start = DRAWN if draws_configurations(request.workspace) else SOLVED
    arrival = np.concatenate([np.full((len(family), 1), start), arrivals(family, waypoints)], axis=1)
    if isinstance(request.workspace, JointSpace):
        arrival[arrival == SOLVED] = DRAWN
    return arrival
