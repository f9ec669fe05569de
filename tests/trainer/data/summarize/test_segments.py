"""A chain is rebuilt into poses by hand here, and compared with what was demonstrated."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared.rotation import (
    geodesic_angle,
    matrix_to_rot6d,
    matrix_to_rotvec,
    quat_xyzw_to_matrix,
    rot6d_to_matrix,
    rotvec_to_matrix,
)
from shared.summary import Chain
from trainer.data.summarize import Tolerance, segment
from trainer.simulation.motion import minimum_jerk

RATE = 20.0
TOLERANCE = Tolerance()
FloatArray = NDArray[np.float64]


def _actions(position: FloatArray, rotvec: FloatArray, gripper: FloatArray) -> NDArray[np.float32]:
    rotation = matrix_to_rot6d(rotvec_to_matrix(rotvec))
    return np.concatenate([position, rotation, gripper[:, None]], axis=1).astype(np.float32)


def _strokes(targets: FloatArray, steps: int, pause: int) -> FloatArray:
    """Minimum-jerk strokes through the targets (n, k), with a pause at each but the first."""
    parts = [targets[:1]]
    share = minimum_jerk(np.arange(1, steps + 1) / steps)[:, None]
    for a, b in itertools.pairwise(targets):
        parts += [a + share * (b - a), np.repeat(b[None], pause, axis=0)]
    return np.concatenate(parts)


def _off(chain: Chain, actions: NDArray[np.float32]) -> tuple[float, float]:
    """Greatest distance [m] and, there and nearby, angle [rad] of any step from the chain's straight motions."""
    position, rotation = actions[:, :3].astype(float), rot6d_to_matrix(actions[:, 3:9].astype(float))
    corner = quat_xyzw_to_matrix(chain.quat_xyzw)
    share = np.linspace(0, 1, 101)[:, None]
    points, turns = [], []
    for k in range(len(chain.duration)):
        points.append(chain.position[k] + share * (chain.position[k + 1] - chain.position[k]))
        turns.append(corner[k] @ rotvec_to_matrix(share * matrix_to_rotvec(corner[k].T @ corner[k + 1])))
    line, line_rotation = np.concatenate(points), np.concatenate(turns)
    distance = np.linalg.norm(position[:, None] - line, axis=2)
    angle = geodesic_angle(rotation[:, None], line_rotation)
    near = np.maximum(distance / TOLERANCE.position, angle / TOLERANCE.angle).argmin(1)
    rows = np.arange(len(position))
    return float(distance[rows, near].max()), float(angle[rows, near].max())


def test_strokes_pauses_and_gripper_are_found_where_they_are() -> None:
    corners = np.array([[0.4, 0.0, 0.3], [0.5, 0.1, 0.1], [0.5, 0.1, 0.3], [0.3, -0.2, 0.3]])
    position = _strokes(corners, steps=20, pause=10)
    gripper = np.full(len(position), -1.0)
    gripper[25:] = 1.0  # in the first pause, from step 20 to 30
    chain = segment(_actions(position, np.zeros_like(position), gripper), RATE, TOLERANCE)
    # The first pause is two waypoints: before the gripper closed and after.
    assert chain.gripper.tolist() == [-1, -1, 1, 1, 1]
    assert np.abs(chain.position - corners[[0, 1, 1, 2, 3]]).max() < 1e-6
    # A minimum-jerk stroke begins and ends so gently that its first and last steps count as rest.
    moving, still = chain.duration[[0, 2, 3]], chain.dwell[[1, 2, 3, 4]]
    assert ((moving >= 0.75) & (moving <= 1.0)).all()
    assert np.abs(still - [0.25, 0.25, 0.5, 0.5]).max() <= 0.151
    assert (chain.duration[1], chain.dwell[0]) == (0.0, 0.0)
    assert chain.duration.sum() + chain.dwell.sum() == pytest.approx((len(position) - 1) / RATE)


def test_a_blended_corner_needs_few_waypoints_and_stays_within_the_tolerance() -> None:
    time = np.linspace(0, 1, 60)
    first, second = minimum_jerk(time / 0.6), minimum_jerk((time - 0.4) / 0.6)
    position = np.stack([0.3 * first, 0.2 * second, 0.1 + 0 * time], axis=1)
    rotvec = np.stack([0 * time, 0 * time, 1.2 * second], axis=1)
    actions = _actions(position, rotvec, np.ones(60))
    chain = segment(actions, RATE, TOLERANCE)
    assert 3 <= len(chain.gripper) <= 6
    distance, angle = _off(chain, actions)
    assert distance <= TOLERANCE.position + 1e-5
    assert angle <= TOLERANCE.angle + 0.02


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([3, 40, 100]), st.floats(0, 0.003))
def test_any_motion_stays_within_the_tolerance_and_keeps_its_time(seed: int, steps: int, noise: float) -> None:
    rng = np.random.default_rng(seed)
    knots = rng.integers(2, 6)
    grid, time = np.linspace(0, 1, knots), np.linspace(0, 1, steps)
    curve = np.stack([np.interp(time, grid, rng.normal(0, 0.2, knots)) for _ in range(6)], axis=1)
    curve[:, :3] += rng.normal(0, noise, (steps, 3))
    gripper = np.where(rng.random(steps) < 0.1, -1.0, 1.0)
    actions = _actions(curve[:, :3], curve[:, 3:], gripper)
    chain = segment(actions, RATE, TOLERANCE)
    distance, angle = _off(chain, actions)
    assert distance <= TOLERANCE.position + 2e-4
    assert angle <= TOLERANCE.angle + 0.02
    assert chain.duration.sum() + chain.dwell.sum() == pytest.approx((steps - 1) / RATE)
    assert (chain.duration >= 0).all()
    assert (chain.dwell >= 0).all()
    changes = np.flatnonzero(np.diff(actions[:, 9])) + 1
    arrival = np.concatenate([[0.0], np.cumsum(chain.duration + chain.dwell[:-1])])
    flips = np.flatnonzero(np.diff(chain.gripper)) + 1
    # Two changes at one step of a dwell can't be; each change is a waypoint at its very time.
    assert np.allclose(arrival[flips] * RATE, changes)


def test_a_demonstration_that_never_moves_is_two_waypoints() -> None:
    actions = _actions(np.full((30, 3), 0.4), np.zeros((30, 3)), np.ones(30))
    chain = segment(actions, RATE, TOLERANCE)
    assert (len(chain.gripper), chain.duration.tolist(), chain.dwell.sum()) == (2, [0.0], pytest.approx(29 / RATE))


def test_a_slow_drift_does_not_carry_a_dwell_away() -> None:
    position = np.linspace(0, 0.05, 200)[:, None] * np.array([1.0, 0, 0])  # 5 mm/s
    actions = _actions(position, np.zeros((200, 3)), np.ones(200))
    distance, _ = _off(segment(actions, RATE, TOLERANCE), actions)
    assert distance <= TOLERANCE.position
