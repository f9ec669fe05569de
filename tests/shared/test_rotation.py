import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from shared import rotation

SEEDS = st.integers(0, 2**32 - 1)


def _random(seed: int, n: int = 20) -> NDArray[np.float64]:
    return np.asarray(Rotation.random(n, rng=np.random.default_rng(seed)).as_matrix())


@given(SEEDS)
def test_every_form_round_trips(seed: int) -> None:
    matrix = _random(seed)
    forms = (
        rotation.rot6d_to_matrix(rotation.matrix_to_rot6d(matrix)),
        rotation.quat_xyzw_to_matrix(rotation.matrix_to_quat_xyzw(matrix)),
        rotation.rotvec_to_matrix(rotation.matrix_to_rotvec(matrix)),
    )
    for again in forms:
        np.testing.assert_allclose(again, matrix, atol=1e-12)


@given(SEEDS)
def test_agrees_with_scipy(seed: int) -> None:
    matrix, other = _random(seed), _random(seed + 1)
    reference = Rotation.from_matrix(matrix)
    np.testing.assert_allclose(rotation.matrix_to_quat_xyzw(matrix), reference.as_quat(canonical=True), atol=1e-12)
    np.testing.assert_allclose(rotation.matrix_to_rotvec(matrix), reference.as_rotvec(), atol=1e-9)
    angle = (reference.inv() * Rotation.from_matrix(other)).magnitude()
    np.testing.assert_allclose(rotation.geodesic_angle(matrix, other), angle, atol=1e-12)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-5, 1.0, np.pi - 1e-7, np.pi])
def test_angle_keeps_its_precision_at_both_ends(angle: float) -> None:
    axis = np.array([0.6, 0.0, 0.8])
    matrix = rotation.rotvec_to_matrix(axis * angle)
    assert rotation.geodesic_angle(np.eye(3), matrix) == pytest.approx(angle, abs=1e-12)
    assert np.linalg.norm(rotation.matrix_to_rotvec(matrix)) == pytest.approx(angle, abs=1e-9)


def test_rot6d_is_the_first_two_rows() -> None:
    matrix = _random(0, 1)[0]
    np.testing.assert_array_equal(rotation.matrix_to_rot6d(matrix), [*matrix[0], *matrix[1]])


@given(st.lists(st.floats(-2, 2, width=32), min_size=6, max_size=6))
def test_any_six_numbers_give_a_rotation(values: list[float]) -> None:
    matrix = rotation.rot6d_to_matrix(np.array(values))
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-6)
    assert np.linalg.det(matrix) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("angle", [1.0, 1e-2, 1e-4])
def test_float32_rows_become_orthonormal_however_small_the_angle_between_them(angle: float) -> None:
    rows = np.random.default_rng(0).normal(size=(2, 500, 3))
    rot6d = np.concatenate([rows[0], rows[0] + angle * rows[1]], axis=-1).astype(np.float32)
    matrix = rotation.rot6d_to_matrix(rot6d)
    assert matrix.dtype == np.float32
    found = matrix.astype(np.float64)
    assert np.abs(found @ found.swapaxes(-1, -2) - np.eye(3)).max() < 5e-7


def test_degenerate_rot6d_takes_the_fallback() -> None:
    fallback = _random(1, 3)
    rot6d = np.array([[0, 0, 0, 1, 0, 0], [1, 0, 0, 2, 0, 0], [1, 0, 0, 0, 1, 0]], float)
    matrix = rotation.rot6d_to_matrix(rot6d, fallback)
    np.testing.assert_array_equal(matrix[:2], fallback[:2])
    np.testing.assert_array_equal(matrix[2], np.eye(3))
