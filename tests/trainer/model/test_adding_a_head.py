"""The backbone that docs/adding-a-head.md writes works as it says."""

from typing import Any

import torch

from tests.pages import blocks
from trainer.config import HeadConfig
from trainer.model.action_head import ActionHead
from trainer.model.backbones import Backbone
from trainer.model.conditioning import stage2_conditioning
from trainer.model.diffusion import sample, sampling_steps
from trainer.model.sampler import Sampler


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
