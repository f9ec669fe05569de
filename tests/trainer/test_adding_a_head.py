"""The backbone that docs/adding-a-head.md writes works as it says."""

from typing import Any

import torch

from tests.pages import blocks
from trainer.action_head import ActionHead
from trainer.backbones import Backbone
from trainer.conditioning import stage2_conditioning
from trainer.config import HeadConfig


def test_the_pages_backbone_can_be_conditioned_frozen_and_trained() -> None:
    (code,) = blocks("docs/adding-a-head.md", "python")
    names: dict[str, Any] = {}
    exec(code, names)
    torch.manual_seed(0)
    config = HeadConfig()
    backbone: Backbone = names["DpGru"](config, 10)
    head = ActionHead(backbone, stage2_conditioning(config, backbone, 5, torch.ones(64)))
    head.freeze("random_body")
    head(torch.randn(3, 16, 10), torch.tensor([1, 50, 99]), torch.randn(3, 10)).square().mean().backward()
    trained = {name.split(".")[1] for name, value in head.named_parameters() if value.grad is not None}
    assert trained == {"input_map", "output_head", "encoder", "projection"}
