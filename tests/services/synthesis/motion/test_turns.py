"""The moments at which joints turn back, and configurations at any moment, compared with pieces evaluated densely."""

import itertools

import numpy as np
import pytest

from services.synthesis.motion.timing import Profiles, parameterizer
from services.synthesis.motion.turns import posture_at, timeline, turning_times
from tests.services.synthesis.examples import panda, random_configurations
from tests.services.synthesis.pieces import evaluate


def _profiles(velocity: float) -> Profiles:
    """Twenty segments between random configurations, beginning and ending with random velocities up to a share."""
    start, target = random_configurations(40, seed=7).reshape(2, 20, 7)
    limits, rng = panda().planning_limits, np.random.default_rng(3)
    entering, leaving = velocity * limits.velocity * (2 * rng.random((2, 20, 7)) - 1)
    inner = 0.8 * start + 0.2 * (limits.lower + limits.upper) / 2, 0.8 * target + 0.1 * (limits.lower + limits.upper)
    profiles, made = parameterizer(panda()).connect(*inner, np.zeros(20), np.full(20, 0.4), (entering, leaving))
    assert made.all()
    return profiles


@pytest.mark.parametrize("velocity", [0.0, 0.4])
def test_joints_go_one_way_between_the_times_at_which_they_turn(velocity: float) -> None:
    profiles = _profiles(velocity)
    first, times = turning_times(timeline(profiles, np.arange(21), np.arange(20)))
    motions = timeline(profiles, np.arange(21), np.arange(20))
    turns = 0
    for m in range(20):
        moments = times[first[m] : first[m + 1]]
        assert moments[0] == 0.0
        assert moments[-1] == profiles.duration[m]
        turns += len(moments) - 2
        for begin, end in itertools.pairwise(moments):
            t = np.linspace(begin, end, 40)
            q = np.empty((40, 7))
            for k in range(40):
                posture_at(motions, m, t[k], q[k])
            for joint in range(7):
                pieces = profiles.time[m, None, joint], profiles.jerk[m, None, joint]
                if not velocity:
                    expected = evaluate(float(profiles.start[m, joint]), *pieces, profiles.duration[m : m + 1], t)[0]
                    np.testing.assert_allclose(q[:, joint], expected, rtol=0, atol=1e-9)
                steps = np.diff(q[:, joint])
                assert steps.min() >= -2e-9 or steps.max() <= 2e-9
    # From rest to rest joints don't turn back.
    assert turns == 0 if not velocity else turns > 20


def test_a_motion_of_several_segments_is_one_timeline() -> None:
    profiles = _profiles(0.0)
    motions = timeline(profiles, 2 * np.arange(11), np.array([3, 8]))
    first, times = turning_times(motions)
    for m, (one, two) in enumerate(((6, 7), (16, 17))):
        whole = profiles.duration[one] + profiles.duration[two]
        assert times[first[m + 1] - 1] == pytest.approx(whole, abs=1e-12)
        posture = np.empty(7)
        posture_at(motions, m, profiles.duration[one] / 2, posture)
        np.testing.assert_allclose(posture, (profiles.start[one] + _end(profiles, one)) / 2, atol=1e-6)
        posture_at(motions, m, whole + 1.0, posture)
        np.testing.assert_allclose(posture, _end(profiles, two), atol=1e-7)
    still = timeline(Profiles.resting(profiles.start[:1]), np.arange(2), np.zeros(1, np.int64))
    assert turning_times(still)[1].tolist() == [0.0, 0.0]


def _end(profiles: Profiles, segment: int) -> np.ndarray:
    posture = np.empty(7)
    posture_at(timeline(profiles, np.arange(21), np.array([segment])), 0, np.inf, posture)
    return posture
