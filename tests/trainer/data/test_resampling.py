from dataclasses import replace

import numpy as np
import pytest

from shared.rotation import geodesic_angle, matrix_to_rot6d, rot6d_to_matrix, rotvec_to_matrix
from tests.trainer.example import make_demonstrations
from trainer.data.action import join_action
from trainer.data.demonstrations.episode import Images
from trainer.data.resampling import resample, resample_actions


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


def test_joints_are_linear_and_their_gripper_holds() -> None:
    time = np.arange(31) / 30
    actions = np.concatenate([np.outer(time, [0.5, -1, 2]), np.where(time < 0.52, -1, 1)[:, None]], axis=1)
    joints = replace(make_demonstrations(1), rate_hz=30.0, action_space="joint_position", observation_widths={})
    episode = replace(joints.episodes[0], actions=actions.astype(np.float32), observations={})
    (resampled,) = resample(replace(joints, episodes=(episode,)), 20.0).episodes
    assert np.abs(resampled.actions[:, :3] - np.outer(np.arange(21) / 20, [0.5, -1, 2])).max() < 1e-6
    # Old sample 16, at 0.533 s, is the first that closes; the new one at 0.55 s the first after it.
    assert np.array_equal(resampled.actions[:, 3], np.where(np.arange(21) < 11, -1, 1))


def test_pictures_are_the_ones_seen_last() -> None:
    frames = np.arange(40, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    (episode,) = make_demonstrations(1).episodes
    steps = len(episode.actions)
    seen = replace(episode, images={"front": Images(frames, np.arange(steps) + 3)})
    slow = replace(make_demonstrations(1), episodes=(seen,), rate_hz=30.0)
    (resampled,) = resample(slow, 20.0).episodes
    wanted = 3 + np.arange(len(resampled.actions)) * 3 // 2
    assert np.array_equal(resampled.images["front"].at(np.arange(len(wanted)))[:, 0, 0, 0], wanted)


def test_what_jumps_is_not_interpolated() -> None:
    turn = np.linspace(0, 2.4 * np.pi, 61)
    quaternion = np.stack([np.sin(turn / 2), np.cos(turn / 2)], axis=1)
    quaternion[40:] *= -1
    flag = (np.arange(61) >= 20).astype(float)[:, None]
    (episode,) = make_demonstrations(1).episodes
    seen = {"quaternion": quaternion, "angle": np.angle(np.exp(1j * turn))[:, None], "flag": flag}
    seen = {key: values.astype(np.float32) for key, values in seen.items()}
    episode = replace(episode, observations=seen, actions=np.repeat(episode.actions[:1], 61, axis=0))
    slow = replace(make_demonstrations(1), episodes=(episode,), rate_hz=30.0)
    (resampled,) = resample(slow, 20.0).episodes
    found = resampled.observations
    assert np.abs(np.linalg.norm(found["quaternion"], axis=1) - 1).max() < 1e-2
    times = np.arange(len(found["angle"])) * 1.5
    error = np.angle(np.exp(1j * (found["angle"][:, 0] - np.interp(times, np.arange(61), turn))))
    # Half an old step where it holds, 0 elsewhere.
    assert np.abs(error).max() < 0.51 * 2.4 * np.pi / 60
    assert (np.abs(error) > 1e-5).sum() <= 2
    assert set(np.unique(found["flag"])) == {0.0, 1.0}
