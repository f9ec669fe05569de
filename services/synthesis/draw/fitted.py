"""Candidates drawn from demonstrated chains: which part of which chain, and how far from it."""

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.synthesis.arm.robot_model import RobotModel
from services.synthesis.draw.events import HOLD_SECONDS, Events, gripper_commands
from services.synthesis.draw.identity import Identities
from services.synthesis.draw.targets import HOME_SPREAD, Targets
from services.synthesis.draw.uniform import between, directions, in_ball
from services.synthesis.numerics.elementary import powers
from services.synthesis.numerics.rotations import from_rotvec, product
from services.synthesis.request.demonstrated_chains import Chains, demonstrated_chains
from services.synthesis.request.families import LINE, SAME, SOLVED, arrivals, is_family
from services.synthesis.request.goals import Goal
from services.synthesis.request.workspace import Fitted
from services.synthesis.solve import ik
from shared.philox import philox_uniform
from shared.summary import DemonstrationSummary

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

MOST_SEGMENTS = 16
"""Segments of a via_points or cartesian_line trajectory: of a longer chain a part is drawn."""
POSTURES, POSTURE_SPREAD = 12, 0.6
"""Postures from which chains are followed: home, and others this far [rad] around it."""
_UNREACHED = 1e3
_SHIFT_WORDS = 3


@dataclass(frozen=True, eq=False)
class Parts:
    """Parts of chains for n candidates, of up to W waypoints; entries past a candidate's own mean nothing.

    Attributes:
        chains: of which they are parts.
        family: index into FAMILIES, shape (n,).
        segments: number of segments of each, shape (n,).
        place: which waypoint of the chains each waypoint is, shape (n, W).
    """

    chains: Chains
    family: IntArray
    segments: IntArray
    place: IntArray

    def take(self, rows: IntArray) -> "Parts":
        """The parts of some of the candidates."""
        return Parts(self.chains, self.family[rows], self.segments[rows], self.place[rows])

    @property
    def arrival(self) -> IntArray:
        """How each waypoint's configuration is found, shape (n, W)."""
        straight = is_family(self.family, "cartesian_line")[:, None]
        arrival = np.where(self.chains.still[self.place], SAME, np.where(straight, LINE, SOLVED))
        place, hold = is_family(self.family, "pick_and_place"), is_family(self.family, "hold")
        if place.any():
            of_family = arrivals(self.family[place], self.place.shape[1])
            arrival[place, 1 : 1 + of_family.shape[1]] = of_family
        arrival[:, 0] = SOLVED
        arrival[hold, 1:] = SAME
        return arrival


def whole_words(robot: RobotModel) -> int:
    """Uniform numbers for the whole of a candidate: the shift, the posture."""
    return _SHIFT_WORDS + robot.dof


def choose_parts(summary: DemonstrationSummary, family: IntArray, segments: IntArray, u: FloatArray) -> Parts:
    """Chooses parts: whole chains, single motions and places of rest, each as often as the time it takes says.

    Args:
        summary: of the demonstrations.
        family: index into FAMILIES, shape (n,).
        segments: that were drawn for the family; kept for hold and pick_and_place, shape (n,).
        u: uniform numbers, shape (n, 2).
    """
    chains = demonstrated_chains(summary)
    busy, first = chains.time + chains.dwell, chains.first
    takes = np.add.reduceat(busy, first[:-1])
    chain = _weighted(takes[: chains.demonstrated], u[:, 0])
    length = np.diff(first)[chain] - 1
    count = np.minimum(length, MOST_SEGMENTS)
    begin = first[chain] + np.floor(u[:, 1] * (length - count + 1)).astype(np.int64)
    hold, place = is_family(family, "hold"), is_family(family, "pick_and_place")
    if len(chains.moving):
        single = is_family(family, "point_to_point")
        begin[single] = chains.moving[_weighted(busy[chains.moving], u[single, 0])] - 1
        count[single] = 1
    if chains.places:
        begin[place] = first[chains.demonstrated + _weighted(takes[chains.demonstrated :], u[place, 0])]
    rest = (chains.dwell + chains.still * chains.time)[: first[chains.demonstrated]]
    begin[hold] = _weighted(rest, u[hold, 0])
    count = np.where(hold | place, segments, count)
    step = np.where(hold, 0, 1)[:, None] * np.arange(int(count.max(initial=0)) + 1)
    return Parts(chains, family, count, np.minimum(begin[:, None] + step, len(busy) - 1))


def fitted_targets(
    workspace: Fitted, robot: RobotModel, goal: Goal, parts: Parts, whole: FloatArray, u: FloatArray
) -> Targets:
    """Poses of the parts' waypoints, jittered, and configurations from which IK starts.

    Args:
        workspace: with the demonstrations.
        robot: the arm.
        goal: of IK.
        parts: of chains.
        whole: uniform numbers, shape (n, whole_words).
        u: uniform numbers for each waypoint, shape (n, W, 6 or more).
    """
    chains, place, jitter = parts.chains, parts.place, workspace.jitter
    shift = jitter.shift * in_ball(whole[:, :_SHIFT_WORDS])
    position = chains.position[place] + shift[:, None] + jitter.position * in_ball(u[..., :3])
    turn = from_rotvec(np.deg2rad(jitter.angle_deg) * u[..., 5:6] * directions(u[..., 3], u[..., 4]))
    posture = HOME_SPREAD * (2 * whole[:, _SHIFT_WORDS:] - 1)
    limits = robot.planning_limits
    near = chain_configurations(workspace.summary, robot, goal)[place] + posture[:, None]
    return Targets(None, position, product(turn, chains.rotation[place]), np.clip(near, limits.lower, limits.upper))


def fitted_events(workspace: Fitted, parts: Parts, identities: Identities, u: FloatArray) -> Events:
    """Times, dwells and gripper commands of the parts, jittered; a hold's gripper may flip as elsewhere.

    Args:
        workspace: with the demonstrations.
        parts: of chains.
        identities: what belongs to each candidate's id, a hold's gripper commands among it.
        u: uniform numbers for each waypoint after the first, shape (n, W - 1, EVENT_WORDS).
    """
    chains, place, jitter = parts.chains, parts.place, workspace.jitter
    after = place[:, 1:]
    faster, longer = powers(1 + jitter.speed, 2 * u[..., 0] - 1), 1 + jitter.dwell * (2 * u[..., 2] - 1)
    time = chains.time[after] * np.where(chains.still[after], longer, faster)
    dwell, gripper = chains.dwell[after] * longer, chains.gripper[place]
    hold = is_family(parts.family, "hold")
    time[hold], dwell[hold] = between(HOLD_SECONDS, u[hold, :, 2]), 0.0
    of_hold = gripper_commands(identities.gripper[hold], identities.flips[hold])[:, : gripper.shape[1]]
    gripper[hold, : of_hold.shape[1]] = of_hold
    return Events(tool_speed=None, time=time, dwell=dwell, kept=np.zeros_like(dwell), gripper=gripper)


@functools.lru_cache(maxsize=4)
def chain_configurations(summary: DemonstrationSummary, robot: RobotModel, goal: Goal) -> FloatArray:
    """A configuration for each waypoint of the chains, shape (M, dof) [rad].

    Each chain is followed from several postures, and the one kept in which its joints move least. Where a pose can't
    be reached, it is the configuration of the waypoint before; of a chain's first, the posture.
    """
    chains = demonstrated_chains(summary)
    lengths = np.diff(chains.first)
    best, least = np.zeros((len(chains.time), robot.dof)), np.full(len(lengths), np.inf)
    limits = robot.planning_limits
    spread = POSTURE_SPREAD * (2 * philox_uniform(0, np.arange(POSTURES), 0, robot.dof) - 1)
    spread[0] = 0.0
    for posture in np.clip(robot.home + spread, limits.lower, limits.upper):
        q, reached = _follow(robot, goal, chains, posture)
        moves = np.abs(np.diff(q, axis=0, prepend=q[:1])).max(1)
        moves[chains.first[:-1]] = 0.0
        farthest = np.maximum.reduceat(np.where(reached, moves, _UNREACHED), chains.first[:-1])
        better = np.repeat(farthest < least, lengths)
        best[better], least = q[better], np.minimum(farthest, least)
    return best


def _follow(robot: RobotModel, goal: Goal, chains: Chains, posture: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Configurations of all waypoints, each found from the one before it, and which poses are reached."""
    q, reached = np.tile(posture, (len(chains.time), 1)), np.zeros(len(chains.time), np.bool_)
    lengths = np.diff(chains.first)
    for k in range(int(lengths.max())):
        here = chains.first[:-1][lengths > k] + k
        before = q[here - 1] if k else q[here]
        solution = ik.solve(robot, chains.position[here], chains.rotation[here], first_start=before, goal=goal)
        reached[here] = solution.converged
        q[here] = np.where(solution.converged[:, None], solution.q, before)
    return q, reached


def _weighted(weights: FloatArray, u: FloatArray) -> IntArray:
    """Indices drawn in proportion to weights, evenly if all are 0."""
    share = np.cumsum(weights if weights.any() else np.ones_like(weights))
    # A uniform number just below 1 must not point past the last by rounding.
    return np.asarray(np.minimum(np.searchsorted(share, u * share[-1], side="right"), len(weights) - 1))
