"""One step of IK, against what NumPy makes of the same matrices."""

import numpy as np
import pytest
from numpy.typing import NDArray

from services.synthesis.request.goals import GOALS
from services.synthesis.solve.ik_steps import bounded_step, linearize, relax
from shared.rotation import geodesic_angle, rotvec_to_matrix
from tests.services.synthesis.examples import panda, random_configurations

FloatArray = NDArray[np.float64]

RNG = np.random.default_rng(0)


def _linearized(q: FloatArray, position: FloatArray, rotation: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Jacobian (6, 7), error (6,) and the tool's z axis (3,)."""
    jacobian, error, axis = np.empty((6, 7)), np.empty(6), np.empty(3)
    linearize(panda().chain, q, position, rotation.reshape(9), np.empty(7), np.empty(7), jacobian, error, axis)
    return jacobian, error, axis


def test_a_goal_of_an_axis_leaves_turns_about_it_free() -> None:
    for q in random_configurations(20, seed=1):
        position, rotation = (poses[0] for poses in panda().tool_poses(q[None]))
        # Tilted by 0.3 rad across its axis, and turned about that by a lot more.
        tilt = rotvec_to_matrix(0.3 * np.cross(rotation[:, 2], RNG.normal(size=3)))
        target = tilt @ rotation @ rotvec_to_matrix(np.array([0.0, 0.0, 2.0]))
        jacobian, error, axis = _linearized(q, position + 0.1, target)
        whole, seen = jacobian.copy(), np.asarray(axis)
        angle = relax(GOALS.index("position_axis"), axis, target.reshape(9), jacobian, error)
        np.testing.assert_allclose(axis, rotation[:, 2], atol=1e-12)
        assert angle == pytest.approx(np.arccos(rotation[:, 2] @ target[:, 2]), abs=1e-9)
        # What is left of each joint's turn is across the axis; nothing else has gone, and positions are as they were.
        across = np.eye(3) - np.outer(seen, seen)
        np.testing.assert_allclose(jacobian[3:], across @ whole[3:], atol=1e-12)
        assert np.abs(whole[3:] - jacobian[3:]).max() > 0.1
        np.testing.assert_array_equal(jacobian[:3], whole[:3])
        # The error takes the axis the shortest way to the target's.
        assert error[3:] @ axis == pytest.approx(0.0, abs=1e-12)
        reached = rotvec_to_matrix(error[3:]) @ rotation[:, 2]
        np.testing.assert_allclose(reached, target[:, 2], atol=1e-9)


def _step(jacobian: FloatArray, error: FloatArray, free: NDArray[np.bool_]) -> FloatArray:
    """The damped step over the free joints: J^T (J J^T + lambda I)^-1 e."""
    some = jacobian * free
    damping = 1e-10 + 1e-2 * (error @ error)
    return np.asarray(some.T @ np.linalg.solve(some @ some.T + damping * np.eye(6), error))


@pytest.mark.parametrize("side", ["lower", "upper"])
def test_a_joint_on_its_limit_that_would_be_pushed_out_is_left_out_of_the_step(side: str) -> None:
    limits, pushed = panda().planning_limits, 0
    for q in random_configurations(60, seed=2):
        q[3] = getattr(limits, side)[3]
        position, rotation = (poses[0] for poses in panda().tool_poses(q[None]))
        target = rotvec_to_matrix(0.2 * RNG.normal(size=3)) @ rotation
        jacobian, error, _ = _linearized(q, position + 0.05 * RNG.normal(size=3), target)
        expected = _step(jacobian, error, np.ones(7, np.bool_))
        outward = expected[3] < 0 if side == "lower" else expected[3] > 0
        if outward:
            expected = _step(jacobian, error, np.arange(7) != 3)
            assert expected[3] == 0.0
        pushed += int(outward)
        after = q.copy()
        scratch = np.empty((6, 6)), np.empty(6), np.empty(7, np.bool_), np.empty(7)
        bounded_step(after, limits.lower, limits.upper, jacobian, error, *scratch)
        np.testing.assert_allclose(after, np.clip(q + expected, limits.lower, limits.upper), atol=1e-9)
    assert 15 < pushed < 45


def test_the_error_is_the_way_to_the_target_and_the_jacobian_that_of_small_steps() -> None:
    for q in random_configurations(10, seed=3):
        position, rotation = (poses[0] for poses in panda().tool_poses(q[None]))
        turn, shift = 0.4 * RNG.normal(size=3), RNG.normal(size=3)
        jacobian, error, _ = _linearized(q, position + shift, rotvec_to_matrix(turn) @ rotation)
        np.testing.assert_allclose(error, [*shift, *turn], atol=1e-9)
        for joint in range(7):
            moved = q + 1e-6 * (np.arange(7) == joint)
            there, turned = (poses[0] for poses in panda().tool_poses(moved[None]))
            np.testing.assert_allclose((there - position) / 1e-6, jacobian[:3, joint], atol=1e-5)
            assert geodesic_angle(rotation, turned) / 1e-6 == pytest.approx(1.0, abs=1e-5)
            assert np.linalg.norm(jacobian[3:, joint]) == pytest.approx(1.0, abs=1e-12)
