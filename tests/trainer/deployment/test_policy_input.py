"""What a policy is given as robots give it, and what it answers with."""

from pathlib import Path

import numpy as np
import pytest

from shared.errors import ConfigError
from shared.rotation import rot6d_to_matrix
from trainer.data.demonstrations.formats.video import resize
from trainer.deployment.policy import Policy

OBSERVATIONS = np.random.default_rng(0).normal(size=(3, 2, 9)).astype(np.float32)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_is_named(low_dim_run: Path, value: float) -> None:
    policy = Policy.load(low_dim_run)
    bad = OBSERVATIONS.copy()
    bad[2, 1, 4] = value
    with pytest.raises(ConfigError, match=rf"hold {value} in number 4 \('tcp_rotation_6d\[1\]'\) of robot 2, step 1"):
        policy(bad)
    prefix = np.zeros((3, 4, 10), np.float32)
    prefix[1, 2, 3] = value
    with pytest.raises(ConfigError, match="the prefix of robot 1 holds numbers that are not finite"):
        policy(OBSERVATIONS, prefix=prefix)


def test_rotations_are_orthonormal(low_dim_run: Path) -> None:
    policy = Policy.load(low_dim_run)
    prefix = np.full((3, 4, 10), np.nan, np.float32)
    prefix[0] = policy(OBSERVATIONS)[0, :4]
    # Committed ones too, as somebody sent them.
    bent = prefix.copy()
    bent[..., 3:9] *= 1.5
    bent[..., 4] += 0.2
    answers = [policy(OBSERVATIONS, prefix=given) for given in (None, prefix, bent)]
    for actions in (*answers, policy.predict(100 * OBSERVATIONS)):
        rows = actions[..., 3:9].reshape(*actions.shape[:-1], 2, 3).astype(np.float64)
        assert np.abs(rows @ rows.swapaxes(-1, -2) - np.eye(2)).max() < 1e-6
        assert np.abs(rot6d_to_matrix(actions[..., 3:9])[..., :2, :] - rows).max() < 1e-6


def test_an_answer_begins_with_what_is_committed(low_dim_run: Path) -> None:
    policy = Policy.load(low_dim_run)
    free = policy.predict(OBSERVATIONS)
    prefix = np.full((3, 5, 10), np.nan, np.float32)
    prefix[:2] = free[:2, :5] + np.eye(10, dtype=np.float32)[0] * 0.01
    found = policy.predict(OBSERVATIONS, prefix=prefix)
    # One action was commanded before: the other four are the first of the answer.
    assert np.array_equal(found[:2, :4, :3], prefix[:2, 1:, :3])
    assert np.array_equal(found[:2, :4, 9], prefix[:2, 1:, 9])
    assert np.abs(found[:2, :4] - prefix[:2, 1:]).max() < 1e-6
    assert np.array_equal(found[2], free[2])
    assert np.abs(found[:2, 4:] - free[:2, 4:]).max() > 1e-4


def test_pictures_are_taken_as_the_camera_gives_them(camera_run: Path) -> None:
    policy = Policy.load(camera_run)
    large = np.random.default_rng(1).integers(0, 256, (2, 2, 480, 640, 3), np.uint8)
    small = np.array([[resize(step, (40, 44)) for step in robot] for robot in large])
    assert small.shape == (2, 2, 40, 44, 3)
    answer = policy(OBSERVATIONS[:2], {"front": large})
    assert np.array_equal(answer, policy(OBSERVATIONS[:2], {"front": small}))
    assert np.abs(policy(OBSERVATIONS[:2], {"front": 255 - large}) - answer).max() > 1e-4
    with pytest.raises(ConfigError, match=r"are float32 .*, this policy sees uint8 \(2, 2, height, width, 3\)"):
        policy(OBSERVATIONS[:2], {"front": large.astype(np.float32)})
