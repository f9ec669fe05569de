from pathlib import Path

import pytest

from tests.trainer.example import HEADS, RANGE, make_demonstrations, training
from tests.trainer.policies import seen_by_a_camera
from trainer.config import AdaptConfig
from trainer.stages.adapt import adapt


@pytest.fixture(scope="session")
def low_dim_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy that sees two low-dimensional keys."""
    run = tmp_path_factory.mktemp("policies") / "low-dim"
    config = AdaptConfig(mode="random_body", head=HEADS["dp_mlp-adaln_zero"], training=training(3))
    adapt(run, make_demonstrations(), config, action_range=RANGE)
    return run


@pytest.fixture(scope="session")
def camera_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy that sees these and a camera."""
    run = tmp_path_factory.mktemp("policies") / "camera"
    config = AdaptConfig(mode="normal", head=HEADS["dp_t-cross_attn"], training=training(1, batch_size=2))
    adapt(run, seen_by_a_camera(make_demonstrations()), config, action_range=RANGE)
    return run
