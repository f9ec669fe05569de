"""A policy that is given numbers that are none."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from shared.errors import ConfigError
from tests.trainer.example import make_demonstrations, training
from trainer.config import AdaptConfig
from trainer.deployment.policy import Policy
from trainer.stages.adapt import adapt


def test_a_number_that_is_not_finite_is_named(tmp_path: Path) -> None:
    demonstrations = make_demonstrations()
    config = AdaptConfig(mode="normal", training=training(1), validation_windows=8)
    wide = {"position": {"min": [-2.0] * 3, "max": [2.0] * 3}}
    policy = Policy.load(adapt(tmp_path, demonstrations, config, action_range=wide))
    (first, width), *_ = policy.info.observation_widths.items()
    last = list(policy.info.observation_widths)[-1]
    for value in (np.nan, np.inf, -np.inf, 1e39):
        seen = np.zeros((3, policy.n_obs_steps, policy.info.condition_dim), np.float64)
        assert np.isfinite(policy(seen.astype(np.float32))).all()
        seen[2, 1, width - 1] = value
        told = np.float32(value) if abs(value) != 1e39 else np.float32("inf")
        said = (
            rf"observations hold {told} in number {width - 1} \('{first}\[{width - 1}\]'\) of robot 2, step 1; a policy"
        )
        with pytest.raises(ConfigError, match=said):
            policy(cast(Any, seen))
    once = np.zeros((1, policy.n_obs_steps, policy.info.condition_dim), np.float32)
    once[0, 0, -1] = np.nan
    number = policy.info.observation_widths[last] - 1
    with pytest.raises(ConfigError, match=rf"hold nan in number \d+ \('{last}\[{number}\]'\) of robot 0, step 0;"):
        policy(once)
    # NaN in all of a robot's prefix says that it has none; in some of it, or infinity, it says nothing.
    free = np.zeros((2, policy.n_obs_steps, policy.info.condition_dim), np.float32)
    prefix = np.full((2, 2, 10), np.nan, np.float32)
    assert np.isfinite(policy(free, prefix=prefix)).all()
    for value in (np.nan, np.inf):
        prefix[1] = [0.1, 0.2, 0.5, 1, 0, 0, 0, 1, 0, -1]
        prefix[1, 1, 2] = value
        with pytest.raises(ConfigError, match="the prefix of robot 1 holds numbers that are not finite"):
            policy(free, prefix=prefix)
