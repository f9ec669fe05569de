"""Collisions of motions and postures.

A pair of bodies is left out of an interval of a motion as soon as its distances at both ends, less how far it moves in
between, show it apart: by half its clearance, at every moment. What comes within the clearance where it is looked at
counts as colliding. Motions are looked at along their profiles, whatever rate they are sampled at.
"""

import numpy as np
from numpy.typing import NDArray

from services.synthesis.arm.robot_model import RobotModel
from services.synthesis.collision.gaps import CLEAR, Bodies, Pairs, look, make_posture, place_bodies
from services.synthesis.collision.separations import Separations
from services.synthesis.collision.walk import walk
from services.synthesis.compiled import compiled
from services.synthesis.motion.timing import Profiles
from services.synthesis.motion.turns import timeline, turning_times
from services.synthesis.numerics.offsets import offsets

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def collisions(
    robot: RobotModel, apart: Separations, profiles: Profiles, first: IntArray, chosen: IntArray
) -> IntArray:
    """A pair of `apart` that collides in each of n motions, or CLEAR, shape (n,).

    Args:
        robot: the arm.
        apart: what has to stay apart.
        profiles: of the motions, one after the other.
        first: first segment of each motion, and the number of segments, shape (n + 1,).
        chosen: which motions to look at; the others are CLEAR.
    """
    found, met = np.full(len(first) - 1, CLEAR), np.full(len(chosen), CLEAR)
    motions = timeline(profiles, first, chosen)
    walk(_pairs(robot, apart), motions, *turning_times(motions), met)
    found[chosen] = met
    return found


def collisions_within(
    robot: RobotModel, apart: Separations, profiles: Profiles, first: IntArray, chosen: IntArray, times: FloatArray
) -> IntArray:
    """The same of some motions, shape (m,), from one time of theirs to another, or to their end; shape (m, 2) [s]."""
    met, motions = np.full(len(chosen), CLEAR), timeline(profiles, first, chosen)
    begins, turns = turning_times(motions)
    cuts = [
        np.concatenate([[begin], own[(own > begin) & (own < end)], [min(end, own[-1])]])
        for own, (begin, end) in zip(np.split(turns, begins[1:-1]), times, strict=True)
    ]
    walk(_pairs(robot, apart), motions, offsets(np.array([len(own) for own in cuts])), np.concatenate(cuts), met)
    return met


def colliding_postures(robot: RobotModel, apart: Separations, q: FloatArray) -> IntArray:
    """The first pair of `apart` that collides in each configuration (n, dof), or CLEAR, shape (n,)."""
    met = np.full(len(q), CLEAR)
    _check_postures(_pairs(robot, apart), np.ascontiguousarray(q), met)
    return met


def _pairs(robot: RobotModel, apart: Separations) -> Pairs:
    parts = apart.bodies
    bodies = Bodies(
        parts.joint,
        parts.capsules,
        parts.corners,
        parts.first_corner,
        apart.solids,
        apart.first,
        apart.second,
        apart.clearance,
    )
    return Pairs(robot.chain, robot.followers, bodies, apart.travel)


@compiled
def _check_postures(pairs: Pairs, q: FloatArray, met: IntArray) -> None:
    """The loop of `colliding_postures`."""
    posture, gaps = make_posture(pairs), np.empty(pairs.bodies.first.size)
    for row in range(met.size):
        posture.line[:] = 0.0
        place_bodies(pairs, q[row], posture)
        met[row] = look(pairs.bodies, posture, gaps)
