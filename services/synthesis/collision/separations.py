"""What has to stay apart: links of the arm that can meet, and every link that moves from every keep-out.

The base, and what is mounted on it, may lie in a keep-out: it stands on the table, and no trajectory moves it.
"""

import functools
import itertools
from dataclasses import dataclass
from typing import Any

import coal
import numpy as np
from numpy.typing import NDArray

from services.synthesis.arm.links import capsule, reach, robot_links
from services.synthesis.arm.robot_model import RobotModel
from services.synthesis.collision.bounds import BOX, HALF_SPACE
from services.synthesis.collision.capsules import link_frames
from services.synthesis.request.keep_outs import HalfSpace, KeepOut
from services.synthesis.solve.reachability import seeded_configurations

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

LINK_CLEARANCE = 0.005
"""Hulls of two links nearer than this [m] count as colliding, unless they are nearer at home."""
KEEP_OUT_CLEARANCE = 0.002
"""Hulls nearer than this [m] to a keep-out count as being in it."""
HELD_CLEARANCE = 1e-4
"""A box that is held, less what it may reach into others, counts as colliding nearer than this [m]."""
TOUCHING_SHARE, TOUCHING_POSTURES = 0.3, 100
"""Links whose hulls touch in a larger share of so many postures are not checked: links that met there were no arm's."""
FOLLOWER_SHARE = 0.9
"""Of pairs with a link that follows a joint from off the arm, such as a lever that goes through the base where nobody
thought of it. Those of a linkage, which are pinned to one another, touch nearly always."""


@dataclass(frozen=True, eq=False)
class Bodies:
    """The links and, last, the tool centre point; each is fixed to one frame, as in links.Links.

    Attributes:
        joint: the frame of each body, shape (B,).
        capsules: around each: two end points and a radius [m], in its joint's frame, shape (B, 7).
        corners: of each hull, in its joint's frame, one after another [m], shape (V, 3).
        first_corner: of each, and the number of all, shape (B + 1,).
        shapes: Coal's of each link, in its joint's frame; the tool centre point needs none.
        reach: as in links.Links, shape (B, frames).
        moved_by: which frames move each body, shape (B, frames).
        gear: how far each frame moves for each unit of a joint's motion, shape (frames, dof).
    """

    joint: IntArray
    capsules: FloatArray
    corners: FloatArray
    first_corner: IntArray
    shapes: tuple[Any, ...]
    reach: FloatArray
    moved_by: BoolArray
    gear: FloatArray


@dataclass(frozen=True, eq=False)
class Separations:
    """C pairs of bodies, or of a body and one of K solids, which must stay apart.

    Attributes:
        bodies: of the arm.
        solids: the keep-outs in the base frame, as bounds.HALF_SPACE and bounds.BOX say, shape (K, 7).
        first: a body, shape (C,).
        second: another body, or -1 - k for solid k, shape (C,).
        travel: how far each joint moves one towards the other, at most, for each unit of its motion, shape (C, dof).
        clearance: distance [m] at which they count as colliding, shape (C,).
    """

    bodies: Bodies
    solids: FloatArray
    first: IntArray
    second: IntArray
    travel: FloatArray
    clearance: FloatArray


@functools.lru_cache(maxsize=32)
def separations(robot: RobotModel, self_collision: bool, keep_out: tuple[KeepOut, ...]) -> Separations:
    """Everything that a request keeps apart; kept for the life of the process. Raises RobotError."""
    bodies = _bodies(robot)
    links = _link_pairs(robot) if self_collision else {}
    pairs, clearance = list(links), list(links.values())
    for solid, body in itertools.product(range(len(keep_out)), np.flatnonzero(bodies.joint >= 0).tolist()):
        pairs.append((body, -1 - solid))
        clearance.append(KEEP_OUT_CLEARANCE)
    return _separations(bodies, pairs, clearance, keep_out)


def separations_of_held(
    robot: RobotModel, corners: FloatArray, self_collision: bool, keep_out: tuple[KeepOut, ...]
) -> Separations:
    """What is held, whose corners (V, 3) are given in the frame of the last joint, from every keep-out and from the
    links that the hand is kept apart from. Raises RobotError."""
    arm, last = _bodies(robot), robot.dof - 1
    moved_by = _moved_by(robot, last)
    bodies = Bodies(
        joint=np.append(arm.joint, last),
        capsules=np.concatenate([arm.capsules, [capsule(corners)]]),
        corners=np.concatenate([arm.corners, corners]),
        first_corner=np.append(arm.first_corner, arm.first_corner[-1] + len(corners)),
        shapes=arm.shapes,
        reach=np.concatenate([arm.reach, [reach(robot, last, corners)]]),
        moved_by=np.concatenate([arm.moved_by, [moved_by]]),
        gear=arm.gear,
    )
    pairs = [(len(arm.joint), link) for link in _links_off_the_hand(robot)] if self_collision else []
    pairs += [(len(arm.joint), -1 - solid) for solid in range(len(keep_out))]
    return _separations(bodies, pairs, [HELD_CLEARANCE] * len(pairs), keep_out)


def _links_off_the_hand(robot: RobotModel) -> list[int]:
    """The links that a link which goes with the last joint is kept apart from."""
    with_hand = _bodies(robot).moved_by[:, robot.dof - 1]
    pairs = list(_link_pairs(robot)) + [(b, a) for a, b in _link_pairs(robot)]
    return sorted({b for a, b in pairs if with_hand[a] and not with_hand[b]})


def _separations(
    bodies: Bodies, pairs: list[tuple[int, int]], clearance: list[float], keep_out: tuple[KeepOut, ...]
) -> Separations:
    first, second = np.array(pairs, np.int64).reshape(-1, 2).T
    return Separations(
        bodies=bodies,
        solids=np.array([_solid(part) for part in keep_out]).reshape(-1, 7),
        first=np.ascontiguousarray(first),
        second=np.ascontiguousarray(second),
        travel=np.array([_travel(bodies, a, b) for a, b in pairs]).reshape(-1, bodies.gear.shape[1]),
        clearance=np.array(clearance),
    )


@functools.lru_cache(maxsize=8)
def _bodies(robot: RobotModel) -> Bodies:
    links, last, tool = robot_links(robot), robot.dof - 1, robot.chain.translation[-1:]
    joint = np.append(links.joint, last)
    corners = [np.array([hull.point(i) for i in range(hull.num_points)]) for hull in links.hulls]
    return Bodies(
        joint=joint,
        capsules=np.concatenate([links.capsules, [[*tool[0], *tool[0], 0.0]]]),
        corners=np.concatenate([*corners, tool]),
        first_corner=np.array([0, *itertools.accumulate(len(part) for part in (*corners, tool))]),
        shapes=links.hulls,
        reach=np.concatenate([links.reach, [reach(robot, last, tool)]]),
        moved_by=np.array([_moved_by(robot, int(frame)) for frame in joint]),
        gear=_gear(robot),
    )


@functools.lru_cache(maxsize=8)
def _link_pairs(robot: RobotModel) -> dict[tuple[int, int], float]:
    """The pairs of links that can meet and their clearance [m], less those whose hulls can't tell.

    Those are the ones that meet at home, or come close most everywhere. Links that are closer at home than the
    clearance may come half as close.
    """
    pairs = [(a, b) for a, b in robot_links(robot).pairs.tolist()]
    at_home = _distances(robot, pairs, robot.home[None])[0]
    anywhere = _distances(robot, pairs, seeded_configurations(robot)[:TOUCHING_POSTURES])
    joint = robot_links(robot).joint
    follows = np.array([max(joint[a], joint[b]) >= robot.dof for a, b in pairs], np.bool_)
    often = (anywhere <= LINK_CLEARANCE).mean(0) > np.where(follows, FOLLOWER_SHARE, TOUCHING_SHARE)
    clearance = np.where(at_home > LINK_CLEARANCE, LINK_CLEARANCE, at_home / 2)
    return {pair: float(clearance[i]) for i, pair in enumerate(pairs) if clearance[i] > 0 and not often[i]}


def _distances(robot: RobotModel, pairs: list[tuple[int, int]], q: FloatArray) -> FloatArray:
    """Distance of each pair of links in each posture (n, dof), not above 0 where they meet, shape (n, P) [m]."""
    bodies, frames = _bodies(robot), np.empty((robot.frames + 1, 12))
    request, distances = coal.DistanceRequest(), np.empty((len(q), len(pairs)))
    for i, posture in enumerate(q):
        link_frames(robot.chain, robot.followers, posture, frames)
        for pair, both in enumerate(pairs):
            placed = [
                part for link in both for part in (bodies.shapes[link], _transform(frames[bodies.joint[link] + 1]))
            ]
            distances[i, pair] = coal.distance(*placed, request, coal.DistanceResult())
    return distances


def _travel(bodies: Bodies, first: int, second: int) -> FloatArray:
    """Only the frames between two bodies move one towards the other: those that move one of them alone."""
    between = bodies.reach[first]
    if second >= 0:
        one, other = bodies.moved_by[first], bodies.moved_by[second]
        between = np.where(one & ~other, between, 0.0) + np.where(other & ~one, bodies.reach[second], 0.0)
    return np.asarray((between[:, None] * bodies.gear).sum(axis=0))


def _moved_by(robot: RobotModel, frame: int) -> BoolArray:
    """The frames that move what is fixed to one, shape (frames,)."""
    moved_by = np.zeros(robot.frames, np.bool_)
    while frame >= 0:
        moved_by[frame] = True
        frame = robot.parent(frame)
    return moved_by


def _gear(robot: RobotModel) -> FloatArray:
    gear = np.zeros((robot.frames, robot.dof))
    gear[: robot.dof] = np.eye(robot.dof)
    gear[np.arange(robot.dof, robot.frames), robot.followers.source] = np.abs(robot.followers.multiplier)
    return gear


def _solid(part: KeepOut) -> list[float]:
    if isinstance(part, HalfSpace):
        return [HALF_SPACE, *part.unit_normal, part.offset, 0.0, 0.0]
    return [BOX, *part.min, *part.max]


def _transform(frame: FloatArray) -> Any:
    return coal.Transform3s(frame[:9].reshape(3, 3), frame[9:])
