"""What of a trajectory belongs to its id, and not to the attempt that makes it: family, segments, gripper commands.

Were these drawn anew with each attempt, families that are harder to make would be rarer in a dataset than was asked.
They are drawn from stream 0 of the id, words of Philox(key=[seed, id], counter=[0, 0, 0, 0]).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.synthesis.request.families import MOST_SEGMENTS, Family, draw_families, draw_segments
from shared.philox import philox_uniform

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_FAMILY, _SEGMENTS, _GRIPPER = range(3)
_CHOICES = slice(3, 5)
_FLIPS = slice(5, 5 + MOST_SEGMENTS)


class Identities(NamedTuple):
    """What belongs to the ids of n trajectories.

    Attributes:
        family: index into FAMILIES, shape (n,).
        segments: number of motions that was drawn for the family, shape (n,).
        gripper: uniform numbers that choose the first gripper command, shape (n,).
        choices: uniform numbers that choose what is followed of demonstrations, shape (n, 2).
        flips: uniform numbers that choose whether the gripper changes after each segment, shape (n, MOST_SEGMENTS).
    """

    family: IntArray
    segments: IntArray
    gripper: FloatArray
    choices: FloatArray
    flips: FloatArray


def draw_identities(weights: dict[Family, float], seed: int, ids: IntArray) -> Identities:
    """Draws what belongs to each id, shape (n,), from a request's families and their weights."""
    words = philox_uniform(seed, ids, 0, _FLIPS.stop)
    family = draw_families(weights, words[:, _FAMILY])
    segments = draw_segments(family, words[:, _SEGMENTS])
    return Identities(family, segments, words[:, _GRIPPER], words[:, _CHOICES], words[:, _FLIPS])
