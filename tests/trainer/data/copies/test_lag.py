"""The lag of an arm: a second-order system, found again from what it does."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from shared.rotation import matrix_to_quat_xyzw, quat_xyzw_to_matrix, rotvec_to_matrix
from trainer.data.copies.lag import Lag

RATE_HZ = 20.0


def commands(seed: int, steps: int = 60) -> np.ndarray:
    rng = np.random.default_rng(seed)
    speed = np.cumsum(rng.normal(size=(steps, 3)), axis=0) * 0.002
    return np.asarray(np.cumsum(speed, axis=0) + rng.uniform(-0.5, 0.5, 3))


@pytest.mark.parametrize(("frequency", "damping", "delay"), [(12.0, 1.0, 0), (8.0, 0.6, 0), (25.0, 0.8, 2)])
def test_it_is_the_solution_of_its_differential_equation(frequency: float, damping: float, delay: int) -> None:
    given = commands(0, 30)
    followed = Lag(frequency, damping, delay, RATE_HZ).follow(given)
    for axis in range(3):
        state, reference = np.array([given[0, axis], 0.0]), [given[0, axis]]
        for k in range(29):
            u = given[max(0, k - delay), axis]
            solved = solve_ivp(
                lambda _, x, u=u: [x[1], frequency**2 * (u - x[0]) - 2 * damping * frequency * x[1]],
                (0, 1 / RATE_HZ), state, rtol=1e-10, atol=1e-12,
            )  # fmt: skip
            state = solved.y[:, -1]
            reference.append(state[0])
        np.testing.assert_allclose(followed[:, axis], reference, atol=1e-8)


@pytest.mark.parametrize(("frequency", "damping", "delay"), [(12.0, 1.0, 0), (9.0, 0.7, 1), (15.0, 0.8, 2)])
def test_it_is_found_from_what_the_arm_does(frequency: float, damping: float, delay: int) -> None:
    lag, given = Lag(frequency, damping, delay, RATE_HZ), [commands(seed) for seed in range(4)]
    noise = np.random.default_rng(1)
    seen = [lag.follow(one) + noise.normal(size=one.shape) * 1e-6 for one in given]
    found = Lag.fit(given, seen, RATE_HZ)
    assert found.delay == delay
    assert found.frequency == pytest.approx(frequency, rel=0.05)
    assert found.damping == pytest.approx(damping, rel=0.05)


def test_an_arm_that_is_where_it_is_told_to_be_has_hardly_any() -> None:
    given = [commands(seed) for seed in range(3)]
    # Observed before each command, an arm that is at once where it is told to be is where it was told before.
    seen = [np.concatenate([one[:1], one[:-1]]) for one in given]
    found = Lag.fit(given, seen, RATE_HZ)
    off = np.concatenate([found.follow(one) - x for one, x in zip(given, seen, strict=True)])
    assert np.sqrt((off**2).mean()) < 2e-3


def test_rotations_follow_alike_in_every_frame() -> None:
    lag, rng = Lag(10.0, 0.8, 1, RATE_HZ), np.random.default_rng(2)
    turn = np.cumsum(np.cumsum(rng.normal(size=(50, 3)), axis=0), axis=0) * 0.002
    rotation = rotvec_to_matrix(turn)
    quat = matrix_to_quat_xyzw(rotation)
    followed = lag.follow_rotation(quat)
    np.testing.assert_allclose(np.linalg.norm(followed, axis=1), 1.0, atol=1e-12)
    frame = rotvec_to_matrix(np.array([1.0, -2.0, 0.5]))
    elsewhere = lag.follow_rotation(matrix_to_quat_xyzw(frame @ rotation))
    product = matrix_to_quat_xyzw(frame @ quat_xyzw_to_matrix(followed))
    np.testing.assert_allclose(np.abs((elsewhere * product).sum(1)), 1.0, atol=1e-9)
    # A sign that jumps is no turn.
    flipped = quat * np.where(np.arange(50) % 2, -1.0, 1.0)[:, None]
    np.testing.assert_allclose(np.abs((lag.follow_rotation(flipped) * followed).sum(1)), 1.0, atol=1e-9)
