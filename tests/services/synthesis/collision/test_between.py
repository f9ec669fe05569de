"""What is found of a motion between its ends, on an arm whose distances are numbers that can be read."""

import numpy as np
import pytest
from numpy.typing import NDArray

from services.synthesis.collision.collisions import colliding_postures, collisions
from services.synthesis.collision.gaps import CLEAR
from services.synthesis.collision.separations import KEEP_OUT_CLEARANCE, LINK_CLEARANCE, separations
from services.synthesis.motion.timing import Profiles
from services.synthesis.request.keep_outs import KeepOutBox
from tests.services.catalogue.slides import BESIDE, HALF, slides

FloatArray = NDArray[np.float64]


def _wall(x: float) -> KeepOutBox:
    """A tenth of a millimetre thick, from x on, across all the arm's way."""
    return KeepOutBox(kind="box", min=(x, -2.0, -2.0), max=(x + 1e-4, 2.0, 2.0))


def _motion(start: FloatArray, velocity: FloatArray, jerk: FloatArray) -> Profiles:
    """A motion of one segment, two seconds long, and of two pieces of a second each."""
    time, jerks = np.zeros((1, 2, 7)), np.zeros((1, 2, 7))
    time[:, :, :2], jerks[0, :, :2] = 1.0, jerk
    return Profiles(start[None], velocity[None], np.zeros((1, 2)), time, jerks, np.full(1, 2.0))


def _collides(wall: KeepOutBox, motion: Profiles) -> bool:
    apart = separations(slides(), False, (wall,))
    return bool(collisions(slides(), apart, motion, np.arange(2), np.zeros(1, np.int64))[0] != CLEAR)


STEADY = _motion(np.array([-0.9, 0.0]), np.array([0.9, 0.0]), np.zeros((2, 2)))
"""Along x from -0.9 m to 0.9 m, at one speed."""
THERE_AND_BACK = _motion(np.array([-0.9, 0.0]), np.array([1.2, 0.0]), np.array([[-2.4, 2.4], [0.0, 0.0]]))
"""From -0.9 m at 1.2 m/s, at rest after a second at -0.1 m, where its acceleration is -2.4 m/s^2; and on from there."""


@pytest.mark.parametrize("x", [-0.8, -0.3, 0.0, 0.45, 0.8])
def test_a_wall_that_is_passed_is_found_wherever_it_stands(x: float) -> None:
    apart = separations(slides(), False, (_wall(x),))
    assert colliding_postures(slides(), apart, np.array([[-0.9, 0.0], [0.9, 0.0]])).tolist() == [CLEAR, CLEAR]
    assert _collides(_wall(x), STEADY)


def test_a_motion_is_looked_at_as_far_as_it_goes_and_no_farther() -> None:
    # 1.2 t - 0.4 t^3 from -0.9 m on: the block's front is farthest after a second.
    farthest = -0.9 + 0.8 + HALF
    # What comes within the clearance may count as colliding, what touches does.
    for gap, found in ((-1e-5, True), (KEEP_OUT_CLEARANCE + 1e-5, False)):
        assert _collides(_wall(farthest + gap), THERE_AND_BACK) == found


@pytest.mark.parametrize("self_collision", [True, False])
def test_what_is_within_its_clearance_counts_as_colliding(self_collision: bool) -> None:
    clearance = LINK_CLEARANCE if self_collision else KEEP_OUT_CLEARANCE
    assert clearance == (0.005 if self_collision else 0.002)
    wall = KeepOutBox(kind="box", min=(-2.0, BESIDE, -2.0), max=(2.0, BESIDE + 0.2, 2.0))
    apart = separations(slides(), self_collision, () if self_collision else (wall,))
    at = BESIDE - HALF - clearance
    q = np.array([[0.0, at - 1e-5], [0.0, at + 1e-5], [0.3, BESIDE - HALF - 1e-5], [0.0, 0.2]])
    assert (colliding_postures(slides(), apart, q) != CLEAR).tolist() == [False, True, True, True]
