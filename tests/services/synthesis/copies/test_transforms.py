"""Which of its symmetries an object is taken to be turned by."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from services.synthesis.copies.transforms import _nearest_turn


@pytest.mark.parametrize(
    ("turned_deg", "symmetry", "carried_deg"),
    [(100, 1, 100), (100, 2, -80), (100, 4, 10), (170, 2, -10), (-50, 4, 40), (-40, 4, -40), (35, 12, 5), (20, 1, 20)],
)
def test_of_an_objects_symmetries_the_hand_takes_the_one_that_turns_it_least(
    turned_deg: float, symmetry: int, carried_deg: float
) -> None:
    own, hand = Rotation.from_euler("xyz", [10, -20, 30], degrees=True), Rotation.from_euler("x", 180, degrees=True)
    # The object has been turned about the vertical, which is its own z axis where it lies flat.
    flat = Rotation.from_euler("z", 25, degrees=True)
    found = np.empty(4)
    moved = Rotation.from_euler("z", turned_deg, degrees=True)
    arrays = (moved.as_quat(), flat.as_quat(), symmetry, hand.as_quat(), hand.as_quat())
    _nearest_turn(*arrays, found)
    expected = Rotation.from_euler("z", carried_deg, degrees=True)
    assert (Rotation.from_quat(found) * expected.inv()).magnitude() < 1e-9
    # Tilted, it is turned about its own axis.
    _nearest_turn(moved.as_quat(), own.as_quat(), symmetry, (moved * hand).as_quat(), hand.as_quat(), found)
    assert (Rotation.from_quat(found) * moved.inv()).magnitude() < 1e-9
