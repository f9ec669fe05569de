"""The backbone that docs/adding-a-head.md writes works as it says."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch

from shared.errors import CheckpointError, ConfigError
from tests.pages import blocks
from tests.trainer.example import RANGE, make_dataset, make_demonstrations, training
from trainer.config import CONDITIONINGS, AdaptConfig, HeadConfig, PretrainConfig
from trainer.deployment.policy import Policy
from trainer.model import backbones
from trainer.model.action_head import ActionHead
from trainer.model.backbones import Backbone, add_backbone
from trainer.model.conditioning import stage2_conditioning
from trainer.model.diffusion import sample, sampling_steps
from trainer.model.sampler import Sampler
from trainer.stages.adapt import adapt
from trainer.stages.pretrain import pretrain


@pytest.fixture
def own_heads() -> Iterator[None]:
    """What a test adds is gone after it."""
    with patch.dict(backbones._BACKBONES), patch.dict(CONDITIONINGS):
        yield


def test_the_pages_backbone_can_be_conditioned_frozen_trained_and_sampled() -> None:
    (code,) = blocks("docs/adding-a-head.md", "python")
    names: dict[str, Any] = {}
    exec(code, names)
    torch.manual_seed(0)
    config = HeadConfig()
    backbone: Backbone = names["DpGru"](config, 10)
    head = ActionHead(
        backbone, stage2_conditioning(config, backbone, 5, {"bias": torch.ones(64), "time": torch.ones(64, 64)})
    )
    head.freeze("random_body")
    head(torch.randn(3, 16, 10), torch.tensor([1, 50, 99]), torch.randn(3, 10)).square().mean().backward()
    trained = {name.split(".")[1] for name, value in head.named_parameters() if value.grad is not None}
    assert trained == {"input_map", "output_head", "encoder", "projection"}
    with torch.inference_mode():
        # A projection that starts at zero would hide what the condition does.
        head.eval().conditioning.projection.weight.normal_(std=0.1)
        noise, condition = torch.randn(3, 16, 10), torch.randn(3, 10)
        timesteps = torch.tensor([step.timestep for step in sampling_steps(10)])[:, None].expand(-1, 3)
        expected = sample(lambda noisy, index: head(noisy, timesteps[index], condition), noise)
    given = Sampler(head, "fp32")(condition, noise)
    assert (given - expected).abs().max() < 1e-5
    assert (given[0] - given[1]).abs().max() > 0.1


def test_a_backbone_of_a_users_own_goes_through_both_stages(tmp_path: Path, own_heads: None) -> None:
    (code,) = blocks("docs/adding-a-head.md", "python")
    names: dict[str, Any] = {}
    exec(code, names)
    with pytest.raises(ConfigError, match=r"head is 'dp_gru'; it must be one of dp_mlp, .*add_backbone"):
        HeadConfig(head="dp_gru")
    add_backbone("dp_gru", names["DpGru"], ("film",))
    with pytest.raises(ConfigError, match="pass --conditioning film"):
        HeadConfig(head="dp_gru")
    head = HeadConfig(head="dp_gru", conditioning="film")
    stage1, run = tmp_path / "stage1", tmp_path / "policy"
    config = PretrainConfig(head=head, training=training(2))
    pretrain(stage1, make_dataset(tmp_path / "data"), config, action_range=RANGE)
    adapt(run, make_demonstrations(), AdaptConfig(head=head, training=training(2)), stage1=stage1)
    policy = Policy.load(run)
    assert type(policy.info.head.head) is str
    assert policy(np.zeros((3, 2, 9), np.float32)).shape == (3, 8, 10)
    add_backbone("dp_gru", names["DpGru"], ("film",))
    with pytest.raises(ConfigError, match="there is a head 'dp_c' already"):
        add_backbone("dp_c", names["DpGru"], ("film",))
    CONDITIONINGS.pop("dp_gru")
    with pytest.raises(CheckpointError, match="has a head of its own, 'dp_gru'; make it known with"):
        Policy.load(run)
