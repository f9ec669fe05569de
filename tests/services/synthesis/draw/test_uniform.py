import numpy as np
from scipy.stats import kstest

from services.synthesis.draw.uniform import between, directions, in_ball

U = np.random.default_rng(0).random((20_000, 3))


def test_directions_are_uniform_on_the_sphere() -> None:
    found = directions(U[:, 0], U[:, 1])
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-15)
    # Of a uniform direction each coordinate is uniform (Archimedes).
    for axis in range(3):
        assert kstest((found[:, axis] + 1) / 2, "uniform").pvalue > 0.01


def test_points_are_uniform_in_the_ball() -> None:
    found = in_ball(U)
    # The share of the ball that is nearer to its centre than a point is uniform.
    assert kstest(np.linalg.norm(found, axis=1) ** 3, "uniform").pvalue > 0.01
    assert kstest((np.arctan2(found[:, 1], found[:, 0]) / np.pi + 1) / 2, "uniform").pvalue > 0.01


def test_between_is_uniform_from_one_end_to_the_other() -> None:
    assert between((0.2, 0.6), np.array([0.0, 0.25, 1.0])).tolist() == [0.2, 0.3, 0.6]
