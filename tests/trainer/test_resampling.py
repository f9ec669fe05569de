from dataclasses import replace

import numpy as np
import pytest

from shared.rotation import geodesic_angle, matrix_to_rot6d, rot6d_to_matrix, rotvec_to_matrix
from tests.trainer.example import make_demonstrations
from trainer.action import join_action
from trainer.resampling import resample, resample_actions


@pytest.mark.parametrize(("old", "new"), [(10.0, 20.0), (30.0, 20.0), (15.0, 20.0)])
def test_a_uniform_motion_stays_on_its_line_and_turn(old: float, new: float) -> None:
    steps = 31
    time = np.arange(steps) / old
    velocity, spin = np.array([0.1, -0.2, 0.05]), np.array([0.3, 0.8, -0.5])
    actions = join_action(
        time[:, None] * velocity, matrix_to_rot6d(rotvec_to_matrix(time[:, None] * spin)), np.where(time < 0.95, -1, 1)
    )
    times = np.arange(int(time[-1] * new + 1e-9) + 1) / new
    resampled = resample_actions(actions, times * old)
    assert np.abs(resampled[:, :3] - times[:, None] * velocity).max() < 1e-6
    expected = rotvec_to_matrix(times[:, None] * spin)
    assert geodesic_angle(rot6d_to_matrix(resampled[:, 3:9].astype(np.float64)), expected).max() < 1e-5
    assert set(np.unique(resampled[:, 9])) == {-1.0, 1.0}
    # The previous value: closed from the first old sample that is, never before it.
    closing = time[actions[:, 9] > 0][0]
    assert np.array_equal(resampled[:, 9] > 0, times >= closing - 1e-9)


def test_the_same_rate_changes_nothing() -> None:
    demonstrations = make_demonstrations(2)
    again = resample(demonstrations, 20.0)
    for a, b in zip(demonstrations.episodes, again.episodes, strict=True):
        assert np.abs(a.actions - b.actions).max() < 1e-6
        for key, values in a.observations.items():
            assert np.abs(values - b.observations[key]).max() < 1e-6


def test_half_the_rate_doubles_the_samples() -> None:
    slow = replace(make_demonstrations(3), rate_hz=10.0)
    fast = resample(slow, 20.0)
    assert fast.rate_hz == 20.0
    for a, b in zip(slow.episodes, fast.episodes, strict=True):
        assert len(b.actions) == 2 * len(a.actions) - 1 == len(b.observations["target"])
        assert np.abs(b.actions[::2] - a.actions).max() < 1e-6
