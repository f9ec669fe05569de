from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from shared.errors import ConfigError
from tests.trainer.data.windows_of_motion import (
    ACTIONS,
    HALF_WIDTHS,
    HORIZON,
    NORMALIZERS,
    SEEDS,
    noisy_windows,
    smooth_windows,
    with_gripper,
)
from trainer.config import ActionName
from trainer.data.motion_basis import TOLERANCE, MotionBasis, chosen_basis


def principal_directions(windows: NDArray[np.float32]) -> NDArray[np.float64]:
    """By singular values of the windows about their own means: all but the constant, the greatest first."""
    motion = windows[..., :-1].astype(np.float64)
    rows = np.moveaxis(motion - motion.mean(1, keepdims=True), 1, 2).reshape(-1, HORIZON)
    return np.asarray(np.linalg.svd(rows, full_matrices=False)[2][: HORIZON - 1])


def projected(motion: NDArray[Any], directions: NDArray[np.float64], kept: int) -> NDArray[np.float64]:
    """Means of windows and what lies in the first kept - 1 principal directions."""
    means = motion.mean(1, keepdims=True, dtype=np.float64)
    others = directions[: kept - 1]
    along = np.einsum("kt,ntc->nkc", others, motion - means)
    return np.asarray(means + np.einsum("kt,nkc->ntc", others, along))


def rotations(rows: NDArray[np.float64]) -> Rotation:
    """Of two rows that need not be orthonormal, the second made orthogonal to the first."""
    first = rows[..., :3] / np.linalg.norm(rows[..., :3], axis=-1, keepdims=True)
    second = rows[..., 3:] - (first * rows[..., 3:]).sum(-1, keepdims=True) * first
    second /= np.linalg.norm(second, axis=-1, keepdims=True)
    return Rotation.from_matrix(np.stack([first, second, np.cross(first, second)], -2).reshape(-1, 3, 3))


def taken(
    windows: NDArray[np.float32], directions: NDArray[np.float64], kept: int, action: ActionName
) -> dict[str, NDArray[np.float64]]:
    """Root mean squares over the steps of what projection takes from each window, in mm, degrees and radians."""
    motion = windows[..., :-1].astype(np.float64)
    after = projected(motion, directions, kept)
    off = (after - motion)[..., :3] * HALF_WIDTHS[action]
    if action == "joint_position":
        return {"joint_rad": np.sqrt((off**2).mean(1)).max(-1)}
    turned = rotations(after[..., 3:]) * rotations(motion[..., 3:]).inv()
    degrees = np.degrees(turned.magnitude()).reshape(len(windows), HORIZON)
    return {
        "position_mm": 1000 * np.sqrt((off**2).sum(-1).mean(1)),
        "rotation_deg": np.sqrt((degrees**2).mean(1)),
    }


def fewest(windows: NDArray[np.float32], directions: NDArray[np.float64], action: ActionName) -> int:
    """Directions with which all windows together are off by no more than the tolerance."""
    for kept in range(1, HORIZON):
        off = taken(windows, directions, kept, action)
        if all(np.sqrt((values**2).mean()) <= TOLERANCE[name] for name, values in off.items()):
            return kept
    return HORIZON


@given(SEEDS, st.integers(1, HORIZON))
def test_the_projection_is_that_onto_means_and_singular_vectors_of_windows_about_their_means(
    seed: int, kept: int
) -> None:
    windows, others = noisy_windows(40, seed), noisy_windows(5, seed + 1)[..., :-1]
    basis = MotionBasis.learn(windows, NORMALIZERS["ee_pose"], kept)
    assert (basis.kept, basis.windows, basis.horizon, basis.action) == (kept, 40, HORIZON, "ee_pose")
    directions = principal_directions(windows)
    assert np.abs(basis.project(others) - projected(others, directions, kept)).max() < 1e-6
    matrix = np.full((HORIZON, HORIZON), 1 / HORIZON) + directions[: kept - 1].T @ directions[: kept - 1]
    assert np.abs(basis.projection() - matrix).max() < 1e-6


@given(SEEDS)
def test_directions_are_orthonormal_and_the_first_is_constant(seed: int) -> None:
    for windows in (noisy_windows(10, seed), smooth_windows(1, seed, "ee_pose"), np.zeros((1, HORIZON, 10), "f4")):
        basis = MotionBasis.learn(windows, NORMALIZERS["ee_pose"], 4)
        assert np.abs(basis.directions @ basis.directions.T - np.eye(HORIZON)).max() < 1e-12
        assert np.abs(basis.directions[0] - 0.25).max() < 1e-14


@given(SEEDS)
def test_the_spread_is_the_root_mean_square_along_each_direction_the_greatest_first(seed: int) -> None:
    windows = noisy_windows(30, seed)
    basis = MotionBasis.learn(windows, NORMALIZERS["ee_pose"], 4)
    along = np.einsum("kt,ntc->knc", basis.directions, windows[..., :-1].astype(np.float64))
    assert np.abs(basis.spread - np.sqrt((along**2).mean((1, 2)))).max() < 1e-9
    assert (np.diff(basis.spread[1:]) <= 0).all()


@given(SEEDS)
def test_a_full_basis_is_the_identity_to_a_billionth(seed: int) -> None:
    windows = noisy_windows(4, seed)
    basis = MotionBasis.learn(windows, NORMALIZERS["ee_pose"], HORIZON)
    assert np.abs(basis.projection() - np.eye(HORIZON)).max() < 1e-9
    assert np.abs(basis.project(windows[..., :-1]) - windows[..., :-1]).max() < 1e-9


@given(SEEDS, st.integers(1, HORIZON))
def test_a_constant_offset_of_all_windows_changes_no_projection(seed: int, kept: int) -> None:
    # Multiples of 2^-12, whose sums are exact in float32.
    grid = 2.0**-12
    windows = np.round(noisy_windows(40, seed) / grid).astype(np.float32) * np.float32(grid)
    offset = np.random.default_rng(seed).integers(-8192, 8192, 10).astype(np.float32) * np.float32(grid)
    basis, moved = (MotionBasis.learn(w, NORMALIZERS["ee_pose"], kept) for w in (windows, windows + offset))
    assert np.abs(basis.projection() - moved.projection()).max() < 1e-9
    motion = windows[..., :-1]
    assert np.abs(moved.project(motion + offset[:-1]) - basis.project(motion) - offset[:-1]).max() < 1e-9


def test_the_gripper_has_no_part_in_a_basis() -> None:
    windows = noisy_windows(20, 0)
    still = windows.copy()
    still[..., -1] = 1
    basis, other = (MotionBasis.learn(w, NORMALIZERS["ee_pose"]) for w in (windows, still))
    assert basis.to_json() == other.to_json()


@given(SEEDS, st.integers(1, HORIZON), st.sampled_from(ACTIONS))
def test_windows_that_lie_in_some_directions_exactly_need_as_many(seed: int, count: int, action: ActionName) -> None:
    rng = np.random.default_rng(seed)
    constant_first = np.concatenate([np.ones((HORIZON, 1)), rng.normal(size=(HORIZON, HORIZON - 1))], 1)
    directions = np.linalg.qr(constant_first)[0].T[:count]
    numbers = 9 if action == "ee_pose" else 3
    motion = np.einsum("kt,nkc->ntc", directions, rng.normal(0, 0.1, (60, count, numbers)))
    if action == "ee_pose":
        motion[..., 3:] += [1, 0, 0, 0, 1, 0]
    windows = with_gripper(motion, rng)
    basis = MotionBasis.learn(windows, NORMALIZERS[action])
    assert basis.kept == count
    assert np.abs(basis.project(windows[..., :-1]) - windows[..., :-1]).max() < 1e-6
    assert basis.carries(windows, NORMALIZERS[action])
    assert count == 1 or not basis.keeping(count - 1).carries(windows, NORMALIZERS[action])


@settings(max_examples=25)
@given(SEEDS, st.sampled_from(ACTIONS))
def test_needed_is_the_fewest_directions_within_tolerance_in_millimetres_degrees_and_radians(
    seed: int, action: ActionName
) -> None:
    windows, others = smooth_windows(50, seed, action), smooth_windows(50, seed + 1, action)
    directions = principal_directions(windows)
    basis = MotionBasis.learn(windows, NORMALIZERS[action])
    assert 1 < basis.kept < HORIZON
    assert basis.kept == fewest(windows, directions, action)
    assert basis.needed(others, NORMALIZERS[action]) == fewest(others, directions, action)
    # Those it was learned with are no bound on what others need.
    assert basis.keeping(1).needed(others, NORMALIZERS[action]) == fewest(others, directions, action)


@given(SEEDS, st.integers(1, 6), st.sampled_from(ACTIONS))
def test_truncation_in_real_units_against_numpy_and_scipy(seed: int, kept: int, action: ActionName) -> None:
    windows = smooth_windows(20, seed, action)
    before = windows.copy()
    found = MotionBasis.learn(windows, NORMALIZERS[action], kept).truncation(windows, NORMALIZERS[action])
    expected = taken(windows, principal_directions(windows), kept, action)
    assert found.keys() == expected.keys()
    # A micrometre, and float32's rounding of what is a metre or a radian.
    worst = {"position_mm": 1e-3, "rotation_deg": 1e-4, "joint_rad": 1e-6}
    for name, values in expected.items():
        assert np.abs(found[name] - values).max() < worst[name]
    assert np.array_equal(windows, before)


def test_the_truncation_of_one_wave_is_its_root_mean_square() -> None:
    """A wave that a constant can't follow: 2 cm at one joint, of which half the square is the mean."""
    time = (np.arange(HORIZON) + 0.5) / HORIZON
    windows = np.zeros((1, HORIZON, 4), np.float32)
    windows[0, :, 2] = 0.02 / 0.4 * np.cos(2 * np.pi * time)
    windows[0, :, 0] = 0.01 / 2 * np.cos(2 * np.pi * time)
    found = MotionBasis.learn(windows, NORMALIZERS["joint_position"], 1).truncation(
        windows, NORMALIZERS["joint_position"]
    )
    assert found["joint_rad"] == pytest.approx([0.02 / np.sqrt(2)], rel=1e-5)


@settings(max_examples=25)
@given(SEEDS, st.integers(1, 8), st.sampled_from(ACTIONS))
def test_beyond_counts_the_windows_that_lose_more_than_the_tolerance(seed: int, kept: int, action: ActionName) -> None:
    windows = smooth_windows(40, seed, action)
    off = taken(windows, principal_directions(windows), kept, action)
    count = sum(any(off[name][index] > TOLERANCE[name] for name in off) for index in range(len(windows)))
    basis = MotionBasis.learn(windows, NORMALIZERS[action], kept)
    assert basis.beyond(windows, NORMALIZERS[action]) == count / len(windows)


def test_beyond_counts_a_window_once_that_loses_position_and_rotation() -> None:
    windows = np.zeros((8, HORIZON, 10), np.float32)
    windows[..., [3, 7]] = 1
    alternating = np.where(np.arange(HORIZON) % 2, 1.0, -1.0)
    # 4 mm in the first two, 2 degrees in the second two, 1 mm in the next: of these the last is within the tolerance.
    windows[[0, 1], :, 0] = 0.004 / 0.4 * alternating
    windows[[1, 2], :, 4] = np.radians(2) * alternating
    windows[[1, 2], :, 6] = -np.radians(2) * alternating
    windows[3, :, 0] = 0.001 / 0.4 * alternating
    basis = MotionBasis.learn(windows, NORMALIZERS["ee_pose"], 1)
    assert basis.beyond(windows, NORMALIZERS["ee_pose"]) == 3 / 8
    assert basis.keeping(2).beyond(windows, NORMALIZERS["ee_pose"]) == 0


@pytest.mark.parametrize("kept", [-1, 0, HORIZON + 1])
def test_keeping_none_or_more_than_there_are_is_refused(kept: int) -> None:
    windows = noisy_windows(4, 0)
    basis = MotionBasis.learn(windows, NORMALIZERS["ee_pose"], 3)
    message = f"^{kept} directions can't be kept of a motion basis; a window of 16 steps has 1 to 16"
    with pytest.raises(ConfigError, match=message):
        basis.keeping(kept)
    with pytest.raises(ConfigError, match=message):
        MotionBasis.learn(windows, NORMALIZERS["ee_pose"], kept)
    assert [basis.keeping(count).kept for count in (1, HORIZON)] == [1, HORIZON]
    assert basis.kept == 3


def test_a_basis_is_chosen_with_its_own_directions_or_those_asked_for_and_none_of_it_with_none() -> None:
    basis = MotionBasis.learn(noisy_windows(4, 0), NORMALIZERS["ee_pose"], 3)
    for directions, kept in ((None, 3), (1, 1), (HORIZON, HORIZON)):
        count, chosen = chosen_basis(basis, directions)
        assert chosen is not None
        assert (count, chosen.kept) == (kept, kept)
        assert np.array_equal(chosen.directions, basis.directions)
    assert chosen_basis(basis, 0) == (0, None)
    assert chosen_basis(None, 0) == (0, None)
    assert chosen_basis(None, None) == (0, None)
    with pytest.raises(ConfigError, match="17 directions can't be kept"):
        chosen_basis(basis, HORIZON + 1)
    with pytest.raises(ConfigError, match="directions is 3, but this checkpoint has no motion basis"):
        chosen_basis(None, 3)


def test_no_windows_are_refused() -> None:
    with pytest.raises(ConfigError, match="there are no windows to learn a motion basis from"):
        MotionBasis.learn(np.zeros((0, HORIZON, 10), np.float32), NORMALIZERS["ee_pose"])


def test_a_window_of_one_step_has_the_constant_alone() -> None:
    basis = MotionBasis.learn(noisy_windows(3, 0)[:, :1], NORMALIZERS["ee_pose"])
    assert basis.directions.tolist() == [[1.0]]
    assert basis.kept == 1
