"""benchmarks._dense_walk: what overlaps is found where it is known, and what is left out is far."""

import numpy as np
import pinocchio as pin
import pytest

from benchmarks._dense_walk import FAR, DenseWalk
from services.catalogue import ARMS

PANDA = ARMS["panda"]
JOINTS = [joint.name for joint in PANDA.moving]
HOME = np.array(PANDA.home)


def test_a_hand_that_is_folded_into_the_arm_is_found_at_every_moment() -> None:
    folded = HOME.copy()
    folded[[3, 5]] = -3.07, -0.01
    swing, around = np.linspace(HOME, folded, 400), DenseWalk(PANDA, JOINTS, [])
    each = [around.walk(q[None]) for q in swing]
    walked = around.walk(swing)
    assert walked.colliding == sum(one.colliding for one in each) > 20
    assert each[0].colliding == 0
    assert each[-1].colliding == 1
    assert all("hand" in name or "finger" in name or "link7" in name or "link6" in name for name in walked.pairs)
    assert walked.looks < 400 * len(around.pairs) / 4


def test_moments_are_left_out_only_where_nothing_comes_near() -> None:
    bent = HOME.copy()
    bent[[1, 3]] += 0.6, -0.5
    swing, around = np.linspace(HOME, bent, 300), DenseWalk(PANDA, JOINTS, [])
    each = [around.walk(q[None]) for q in swing]
    least = min(one.least for one in each)
    walked = around.walk(swing)
    assert walked.colliding == 0
    assert walked.least == pytest.approx(least) if least < FAR else walked.least >= FAR


def test_a_table_that_the_arm_goes_through_is_found() -> None:
    table = {"kind": "half_space", "normal": [0.0, 0.0, 1.0], "offset": 0.0}
    around = DenseWalk(PANDA, JOINTS, [table])
    walked = around.walk(np.linspace(HOME, HOME + 1.6 * np.eye(7)[1], 400))
    assert 20 < walked.colliding < 400
    assert all(name.endswith("and table") for name in walked.pairs)


def test_a_joint_moves_no_point_of_a_pair_farther_than_its_reach_says() -> None:
    around = DenseWalk(PANDA, JOINTS, [])
    model, hulls = around._model, around._hulls
    data, placed, rng = model.createData(), hulls.createData(), np.random.default_rng(0)
    for _ in range(40):
        q = rng.uniform(model.lowerPositionLimit[:7], model.upperPositionLimit[:7])
        step = rng.normal(size=7) * 1e-3
        distances = []
        for one in (q, q + step):
            pin.updateGeometryPlacements(model, data, hulls, placed, around._posture(one))
            distances.append(
                [pin.computeDistance(hulls, placed, pair).min_distance for pair in range(len(around.pairs))]
            )
        before, after = np.array(distances)
        apart = (before > 0) & (after > 0)
        assert (np.abs(after - before)[apart] <= (np.abs(step) @ around._reach.T)[apart] + 1e-6).all()
