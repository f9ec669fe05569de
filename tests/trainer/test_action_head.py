import pytest
import torch

from trainer.action_head import ActionHead
from trainer.backbones import build_backbone
from trainer.conditioning import Conditioning, stage1_conditioning, stage2_conditioning
from trainer.config import ConditioningName, HeadConfig, Mode

MAPS = ("backbone.input_map", "backbone.final_norm", "backbone.output_head")


def make_head(conditioning: ConditioningName = "adaln_zero", dropout: float = 0.0) -> ActionHead:
    torch.manual_seed(0)
    config = HeadConfig(conditioning=conditioning, dropout=dropout)
    backbone = build_backbone(config)
    # A modulation that is not zero, so that every trained weight has a gradient.
    bias = 0.1 * torch.randn(sum(backbone.modulation_widths))
    head = ActionHead(backbone, stage2_conditioning(config, backbone, 5, bias))
    torch.nn.init.normal_(head.conditioning.projection.weight, std=0.02)
    return head


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return torch.randn(4, 16, 10), torch.tensor([0, 5, 50, 99]), torch.randn(4, 10)


def is_trained(name: str, mode: Mode) -> bool:
    return mode == "normal" or name.startswith("conditioning.") or (mode == "random_body" and name.startswith(MAPS))


@pytest.mark.parametrize("conditioning", ["adaln_zero", "film"])
@pytest.mark.parametrize("mode", ["normal", "decoupled", "random_frozen", "random_body"])
def test_gradients_are_where_the_mode_trains_and_nowhere_else(mode: Mode, conditioning: ConditioningName) -> None:
    head = make_head(conditioning)
    head.freeze(mode)
    head(*inputs()).square().mean().backward()
    for name, parameter in head.named_parameters():
        moved = parameter.grad is not None and bool((parameter.grad != 0).any())
        assert moved == is_trained(name, mode), name
    assert {name for name, _ in head.trained_parameters()} == {
        name for name, _ in head.named_parameters() if is_trained(name, mode)
    }


@pytest.mark.parametrize("mode", ["normal", "decoupled", "random_body"])
def test_frozen_modules_stay_in_eval_mode(mode: Mode) -> None:
    head = make_head(dropout=0.5)
    head.freeze(mode)
    head.eval()
    head.train()
    assert head.backbone.blocks.training == (mode == "normal")
    assert head.backbone.time_encoder.training == (mode == "normal")
    assert head.backbone.output_head.training == (mode != "decoupled")
    assert head.conditioning.training
    x = inputs()
    assert torch.equal(head(*x), head(*x)) == (mode != "normal")


def test_stage_2_begins_at_stage_1s_bias_with_no_dependence_on_the_observation() -> None:
    config = HeadConfig()
    backbone = build_backbone(config)
    first = stage1_conditioning(config, backbone, 24)
    torch.nn.init.normal_(first.projection.weight)
    torch.nn.init.normal_(first.projection.bias)
    second = stage2_conditioning(config, backbone, 5, first.modulation_bias())
    out = torch.cat(second(torch.randn(3, 256), second.encode(torch.randn(3, 10))), dim=-1)
    assert torch.equal(out, first.projection.bias.expand(3, -1))


def test_modulation_shares_add_up_to_the_modulation() -> None:
    head = make_head()
    conditioning: Conditioning = head.conditioning
    time, features = torch.randn(3, 256), torch.randn(3, 256)
    whole = torch.cat(conditioning(time, features), dim=-1)
    shares = conditioning.time_share(time) + conditioning.feature_share(features)
    assert (whole - shares).abs().max() < 1e-5


def test_a_head_without_condition_depends_on_time_alone() -> None:
    config = HeadConfig()
    backbone = build_backbone(config)
    head = ActionHead(backbone, stage1_conditioning(config, backbone, 0))
    assert head.conditioning.projection.in_features == 256
    assert head(torch.randn(2, 16, 10), torch.tensor([3, 4]), torch.empty(2, 0)).shape == (2, 16, 10)
