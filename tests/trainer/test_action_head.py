from dataclasses import replace

import pytest
import torch

from tests.trainer.example import HEADS
from trainer.action_head import ActionHead
from trainer.backbones import build_backbone
from trainer.conditioning import stage1_conditioning, stage2_conditioning
from trainer.config import HeadConfig, HeadName, Mode

MAPS: dict[HeadName, tuple[str, ...]] = {
    "dp_mlp": ("input_map.", "final_norm.", "output_head."),
    "dp_c": ("blocks.0.first.convolution.", "blocks.0.skip.", "final.norm.", "output_head."),
    "dp_t": ("input_map.", "final_norm.", "output_head."),
    "dp_t_film": ("input_map.", "final_norm.", "output_head."),
}
"""What random_body trains of each backbone."""

every_head = pytest.mark.parametrize("name", HEADS)


def make_head(config: HeadConfig, action_dim: int = 10) -> ActionHead:
    torch.manual_seed(0)
    backbone = build_backbone(config, action_dim)
    # A projection that is not zero, so that every trained weight has a gradient.
    head = ActionHead(backbone, stage2_conditioning(config, backbone, 5, None))
    for parameter in head.conditioning.projection.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return head


def inputs(action_dim: int = 10) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return torch.randn(4, 16, action_dim), torch.tensor([0, 5, 50, 99]), torch.randn(4, 10)


def is_trained(name: str, mode: Mode, head: HeadName) -> bool:
    maps = tuple(f"backbone.{part}" for part in MAPS[head])
    return mode == "normal" or name.startswith("conditioning.") or (mode == "random_body" and name.startswith(maps))


@pytest.mark.parametrize("mode", ["normal", "decoupled", "random_frozen", "random_body"])
@every_head
def test_gradients_are_where_the_mode_trains_and_nowhere_else(name: str, mode: Mode) -> None:
    config = HEADS[name]
    head = make_head(config)
    head.freeze(mode)
    head(*inputs()).square().mean().backward()
    for weight, parameter in head.named_parameters():
        moved = parameter.grad is not None and bool((parameter.grad != 0).any())
        assert moved == is_trained(weight, mode, config.head), weight
    assert {weight for weight, _ in head.trained_parameters()} == {
        weight for weight, _ in head.named_parameters() if is_trained(weight, mode, config.head)
    }


@pytest.mark.parametrize("mode", ["normal", "decoupled", "random_body"])
@pytest.mark.parametrize("name", ["dp_mlp-adaln_zero", "dp_t-cross_attn"])
def test_a_frozen_backbone_stays_in_eval_mode(name: str, mode: Mode) -> None:
    head = make_head(replace(HEADS[name], dropout=0.5))
    head.freeze(mode)
    head.eval()
    head.train()
    assert all(part.training == (mode == "normal") for part in head.backbone.modules())
    assert head.conditioning.training
    x = inputs()
    assert torch.equal(head(*x), head(*x)) == (mode != "normal")


@every_head
def test_stage_2_begins_at_stage_1s_bias_with_no_dependence_on_the_observation(name: str) -> None:
    config = HEADS[name]
    backbone = build_backbone(config, 10)
    first = stage1_conditioning(config, backbone, 16 * 3, 16)
    for parameter in first.projection.parameters():
        torch.nn.init.normal_(parameter)
    second = stage2_conditioning(config, backbone, 5, first.projection_bias())
    time = torch.randn(3, backbone.time_encoder.width)
    out = torch.cat(second(time, second.encode(torch.randn(3, 10))), dim=-1)
    bias = first.projection.bias if out.ndim == 2 else first.projection.bias[None]
    assert torch.equal(out, bias.expand_as(out))


@every_head
def test_what_a_sampler_computes_in_two_parts_is_the_same(name: str) -> None:
    head = make_head(HEADS[name])
    conditioning, encoder = head.conditioning, head.backbone.time_encoder
    features = conditioning.encode(torch.randn(3, 10))
    whole = conditioning(encoder(torch.tensor([7, 7, 7])), features)
    one_time = conditioning.time_share(encoder(torch.tensor([40, 7])))[1]
    joined = conditioning.join(one_time, conditioning.feature_share(features))
    assert [signal.shape for signal in joined] == [signal.shape for signal in whole]
    assert tuple(signal.shape[-1] for signal in whole) == head.backbone.signal_widths
    assert max((a - b).abs().max() for a, b in zip(whole, joined, strict=True)) < 1e-5


@pytest.mark.parametrize(("steps", "condition_dim"), [(0, 0), (2, 20), (16, 48)])
@every_head
def test_stage_1_takes_no_condition_endpoints_or_one_of_every_step(name: str, steps: int, condition_dim: int) -> None:
    config = HEADS[name]
    backbone = build_backbone(config, 7)
    conditioning = stage1_conditioning(config, backbone, condition_dim, steps)
    torch.nn.init.normal_(conditioning.projection.weight, std=0.1)
    head = ActionHead(backbone, conditioning)
    noisy, condition = torch.randn(2, 16, 7), torch.randn(2, condition_dim)
    out = head(noisy, torch.tensor([3, 90]), condition)
    assert out.shape == (2, 16, 7)
    assert torch.equal(out, head(noisy, torch.tensor([3, 90]), condition + 1)) == (steps == 0)
    assert not torch.allclose(out, head(noisy, torch.tensor([90, 3]), condition))
