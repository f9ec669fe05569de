"""benchmarks.keep_outs: its own arithmetic and its own distances are right where the answer is known."""

import numpy as np
import pytest

from benchmarks.keep_outs import STEP_S, Surroundings, positions
from services.catalogue import ARMS

PANDA = ARMS["panda"]
JOINTS = [joint.name for joint in PANDA.moving]


def test_pieces_of_constant_jerk_are_followed_and_a_joint_that_is_done_waits() -> None:
    time, jerk = np.zeros((1, 2, 7)), np.zeros((1, 2, 7))
    time[0, 0, :4], jerk[0, 0, :4] = 0.5, (8.0, -8.0, -8.0, 8.0)
    time[0, 1, :4], jerk[0, 1, :4] = 0.25, (8.0, -8.0, -8.0, 8.0)
    q = positions(np.array([1.0, -1.0]), time, jerk)
    assert len(q) == round(2.0 / STEP_S) + 1
    # From rest to rest by four pieces of T: 2 j T^3; after the first of them j T^3 / 6.
    assert q[-1] == pytest.approx([1.0 + 2 * 8 * 0.5**3, -1.0 + 2 * 8 * 0.25**3])
    assert q[125, 0] == pytest.approx(1.0 + 8 * 0.5**3 / 6)
    assert q[250:, 1] == pytest.approx(q[-1, 1])


def test_a_motion_through_a_table_is_inside_and_the_moments_left_out_are_far() -> None:
    swing = np.linspace(PANDA.home, np.array(PANDA.home) + 2.5 * np.eye(7)[1], 400)
    table = {"kind": "half_space", "normal": [0.0, 0.0, 1.0], "offset": 0.0}
    around = Surroundings(PANDA, JOINTS, [table])
    each = [around.walk(q[None]) for q in swing]
    walked, least = around.walk(swing), min(one.least for one in each)
    assert walked.samples == 400 > walked.postures + 50
    assert walked.least == pytest.approx(least)
    assert least < -0.05
    assert walked.inside == sum(one.inside for one in each) > 20
