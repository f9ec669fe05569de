"""Our own elementary functions and rotations, against NumPy's and SciPy's."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from services.synthesis.numerics import rotations
from services.synthesis.numerics.elementary import angle_of, angles_of, cube_root, cube_roots, powers, sines_cosines

RNG = np.random.default_rng(0)


def test_sines_cosines_and_their_angles() -> None:
    angle = RNG.uniform(-900, 900, (500, 7))
    sine, cosine = sines_cosines(angle)
    np.testing.assert_allclose(sine, np.sin(angle), rtol=0, atol=3e-16)
    np.testing.assert_allclose(cosine, np.cos(angle), rtol=0, atol=3e-16)
    y, x = RNG.normal(size=(2, 20_000)) * 10.0 ** RNG.uniform(-8, 8, (2, 20_000))
    np.testing.assert_allclose(angles_of(y, x), np.arctan2(y, x), rtol=4e-16, atol=0)


@pytest.mark.parametrize(("y", "x"), [(0.0, 1.0), (0.0, -1.0), (1.0, 0.0), (-1.0, 0.0), (1e-300, 1.0), (0.0, 0.0)])
def test_angles_along_the_axes(y: float, x: float) -> None:
    assert angle_of(y, x) == np.arctan2(y, x)


def test_cube_roots_and_powers() -> None:
    x = 10.0 ** RNG.uniform(-20, 10, 5000)
    np.testing.assert_allclose(cube_roots(x), np.cbrt(x), rtol=4e-16)
    assert [cube_root(x) for x in (0.0, 1.0, 8.0)] == [0.0, 1.0, 2.0]
    exponent = RNG.uniform(-1, 1, 500)
    for base in (1.0, 1.1, 1.9, 2.0):
        np.testing.assert_allclose(powers(base, exponent), base**exponent, rtol=1e-15)


def test_rotations() -> None:
    vectors = RNG.normal(size=(400, 2, 3)) * 10.0 ** RNG.uniform(-9, 0.3, (400, 2, 1))
    matrices = rotations.from_rotvec(vectors)
    expected = Rotation.from_rotvec(vectors.reshape(-1, 3))
    np.testing.assert_allclose(matrices.reshape(-1, 3, 3), expected.as_matrix(), atol=2e-15)
    np.testing.assert_allclose(rotations.to_rotvec(matrices).reshape(-1, 3), expected.as_rotvec(), atol=1e-14)
    a, b = matrices[:, 0], matrices[:, 1]
    np.testing.assert_allclose(rotations.product(a, b), a @ b, atol=1e-15)
    angle = (Rotation.from_matrix(a).inv() * Rotation.from_matrix(b)).magnitude()
    np.testing.assert_allclose(rotations.angle_between(a, b), angle, atol=1e-14)
