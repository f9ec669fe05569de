"""Every check of what is written, on rows of two joints that break one rule each by a little."""

from dataclasses import replace

import numpy as np
import pytest

from services.synthesis.checks.validation import (
    DISCONTINUOUS,
    LIMITS,
    OUTSIDE_RANGE,
    Samples,
    check_profiles,
    check_samples,
)
from services.synthesis.motion.motions import Motions
from services.synthesis.motion.timing import Profiles
from shared.robots import JointLimits

LIMITS_OF_TWO = JointLimits(np.array([-1.0, -2.0]), np.array([1.0, 2.0]), *(np.array([2.0, 4.0]) for _ in range(3)))
RATE_HZ = 10.0
LOW, HIGH = np.array([-0.5, -0.5, 0.0]), np.array([0.5, 0.5, 1.0])


def _samples() -> Samples:
    """Two rows of three samples each. From one row to the next anything may jump."""
    q = np.array([[0.0, 0.0], [0.1, 0.3], [0.2, 0.6], [-1.0, -2.0], [-0.9, -1.9], [-0.8, -1.8]], np.float32)
    wide, narrow = np.zeros((6, 6), np.float32), np.zeros(6, np.float32)
    position = np.full((6, 3), 0.25, np.float32)
    return Samples(np.array([0, 3, 6]), q, 0 * q, 0 * q, position, wide, narrow)


def _found(samples: Samples) -> dict[str, list[bool]]:
    found = check_samples(samples, LIMITS_OF_TWO, RATE_HZ, LOW, HIGH)
    return {reason: rows.tolist() for reason, rows in found.items() if rows.any()}


def test_rows_within_their_limits_pass() -> None:
    assert _found(_samples()) == {}


@pytest.mark.parametrize(
    ("column", "index", "bound", "beyond", "reason"),
    [
        ("q", (3, 0), -1.0, -1e-3, LIMITS),
        ("q", (5, 1), -1.8, np.nan, LIMITS),
        ("qd", (3, 0), 2.0, 1e-3, LIMITS),
        ("qd", (4, 1), -4.0, -1e-3, LIMITS),
        ("qd", (4, 1), 4.0, np.nan, LIMITS),
        ("qdd", (5, 0), 2.0, 1e-3, LIMITS),
        ("qdd", (0, 1), -4.0, -1e-3, LIMITS),
        # A tenth of a second at 2 rad/s from the sample after it, and at 4 rad/s from the one before.
        ("q", (1, 0), 0.0, -1e-3, DISCONTINUOUS),
        ("q", (5, 1), -1.5, 1e-3, DISCONTINUOUS),
        ("position", (2, 0), 0.5, 1e-3, OUTSIDE_RANGE),
        ("position", (3, 1), -0.5, -1e-3, OUTSIDE_RANGE),
        ("position", (5, 2), 1.0, 1e-3, OUTSIDE_RANGE),
        ("position", (0, 2), 0.0, np.nan, OUTSIDE_RANGE),
    ],
)
def test_what_is_a_little_beyond_its_bound_is_found_and_what_is_on_it_is_not(
    column: str, index: tuple[int, int], bound: float, beyond: float, reason: str
) -> None:
    samples = _samples()
    for value, found in ((bound, False), (bound + beyond, True)):
        changed = getattr(samples, column).copy()
        changed[index] = value
        verdicts = _found(replace(samples, **{column: changed}))
        assert verdicts.get(reason) == ([index[0] < 3, index[0] >= 3] if found else None)


def test_accelerations_are_checked_only_where_they_are_written() -> None:
    samples = _samples()
    assert _found(replace(samples, qdd=samples.qdd[:0])) == {}


def _moved(factor: float) -> Motions:
    """A second of jerk up, two down, one up, by a factor: 1 rad, with up to 0.5 rad/s, 0.5 rad/s^2 and 0.5 rad/s^3."""
    time, jerk, still = np.zeros((1, 2, 7)), np.zeros((1, 2, 7)), np.zeros((1, 2))
    time[:, :, :3], jerk[:, :, :3] = [1.0, 2.0, 1.0], factor * np.array([0.5, -0.5, 0.5])
    profiles = Profiles(still, still, still, time, jerk, np.full(1, 4.0))
    return Motions(np.arange(1), np.arange(2), profiles, np.zeros(1), np.zeros((1, 2)), np.ones(1, np.int64))


@pytest.mark.parametrize(("factor", "broken"), [(1.0, False), (1 + 1e-10, False), (1 + 1e-6, True)])
def test_profiles_keep_their_limits_but_for_rounding(factor: float, broken: bool) -> None:
    greatest = dict.fromkeys(("velocity", "acceleration", "jerk"), np.full(2, 9.0))
    for name in greatest:
        limits = JointLimits(np.full(2, -9.0), np.full(2, 9.0), **{**greatest, name: np.full(2, 0.5)})
        found = check_profiles(_moved(factor), limits)
        assert found[LIMITS].tolist() == [broken]
        assert not found[DISCONTINUOUS].any()
    # What positions may be beyond their limits is a share of their whole range.
    found = check_profiles(_moved(factor), JointLimits(np.full(2, -1.0), np.full(2, 1.0), **greatest))
    assert found[LIMITS].tolist() == [broken]
    assert not found[DISCONTINUOUS].any()
