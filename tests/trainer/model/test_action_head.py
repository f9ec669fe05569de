from dataclasses import replace
from typing import get_args

import pytest
import torch

from tests.trainer.example import HEADS
from trainer.config import HeadConfig, Mode
from trainer.model.action_head import ActionHead
from trainer.model.backbones import build_backbone
from trainer.model.conditioning import Conditioning, stage1_conditioning, stage2_conditioning
from trainer.model.modes import MODES
from trainer.model.projections import LowRankProjection

MAPS: dict[str, tuple[str, ...]] = {
    "dp_mlp": ("input_map.", "final_norm.", "output_head."),
    "dp_c": ("blocks.0.first.convolution.", "blocks.0.skip.", "final.norm.", "output_head."),
    "dp_t": ("input_map.", "final_norm.", "output_head."),
    "dp_t_film": ("input_map.", "final_norm.", "output_head."),
}
"""What random_body and pretrained_body train of each backbone."""

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


def is_trained(name: str, mode: Mode, head: str) -> bool:
    maps = tuple(f"backbone.{part}" for part in MAPS[head])
    everything, body = mode in ("normal", "finetune"), mode in ("random_body", "pretrained_body")
    return everything or name.startswith("conditioning.") or (body and name.startswith(maps))


def test_the_modes_are_the_whole_factorial() -> None:
    assert set(MODES) == set(get_args(Mode))
    cells = {(traits.pretrained, traits.trained) for traits in MODES.values()}
    assert cells == {(pretrained, trained) for pretrained in (True, False) for trained in ("nothing", "maps", "all")}


@pytest.mark.parametrize("mode", get_args(Mode))
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


@pytest.mark.parametrize("mode", get_args(Mode))
@pytest.mark.parametrize("name", ["dp_mlp-adaln_zero", "dp_t-cross_attn"])
def test_a_frozen_backbone_stays_in_eval_mode(name: str, mode: Mode) -> None:
    head = make_head(replace(HEADS[name], dropout=0.5))
    head.freeze(mode)
    head.eval()
    head.train()
    trains_all = mode in ("normal", "finetune")
    assert all(part.training == trains_all for part in head.backbone.modules())
    assert head.conditioning.training
    x = inputs()
    assert torch.equal(head(*x), head(*x)) == (not trains_all)


def stage_2s_start(config: HeadConfig) -> tuple[Conditioning, Conditioning, torch.Tensor]:
    """Stage 1's conditioning with weights at random, Stage 2's that starts from it, and encoded times (3, width)."""
    backbone = build_backbone(config, 10)
    first = stage1_conditioning(config, backbone, 16 * 3, 16)
    for parameter in first.projection.parameters():
        torch.nn.init.normal_(parameter)
    second = stage2_conditioning(config, backbone, 5, first.kept())
    return first, second, torch.randn(3, backbone.time_encoder.width)


@every_head
def test_stage_2_begins_with_stage_1s_time_and_no_dependence_on_the_observation(name: str) -> None:
    config = HEADS[name]
    first, second, time = stage_2s_start(config)
    out = torch.cat(second(time, second.encode(torch.randn(3, 10))), dim=-1)
    assert torch.equal(out, torch.cat(second(time, second.encode(torch.randn(3, 10))), dim=-1))
    if config.attends_to_tokens:
        # Time is a token like others: nothing but the bias is free of the condition.
        assert torch.equal(out, first.projection.bias.expand_as(out))
    else:
        assert (out - first.time_share(time)).abs().max() < 1e-4
        assert out.std(0).min() > 0


@every_head
def test_every_column_of_the_projection_can_be_learned_from_that_start(name: str) -> None:
    _, second, time = stage_2s_start(HEADS[name])
    sum(signal.square().sum() for signal in second(time, second.encode(torch.randn(3, 10)))).backward()
    projection = second.projection
    gradient = (projection.down.weight if isinstance(projection, LowRankProjection) else projection.weight).grad
    assert gradient is not None
    assert (gradient.abs().sum(0) > 0).all()


def test_open_gates_give_every_block_its_full_effect() -> None:
    for name in ("dp_mlp-adaln_zero", "dp_c-adaln_zero", "dp_t-adaln_zero"):
        config = HEADS[name]
        torch.manual_seed(0)
        backbone = build_backbone(config, 10)
        closed = tuple(torch.zeros(1, width) for width in backbone.signal_widths)
        opened = tuple(signal[None] for signal in backbone.open_signals())
        # [shift, scale, gate], once or twice in each signal.
        assert all(float(signal.sum()) == signal.shape[1] / 3 for signal in opened)
        noisy = torch.randn(1, 16, 10)
        assert not torch.allclose(backbone(noisy, opened), backbone(noisy, closed), atol=1e-3)
        conditioning = stage2_conditioning(config, backbone, 5, None)
        conditioning.open_gates(backbone)
        out = conditioning(torch.randn(2, conditioning.time_width), conditioning.encode(torch.randn(2, 10)))
        assert all(torch.equal(a, b.expand_as(a)) for a, b in zip(out, opened, strict=True))


@pytest.mark.parametrize("name", [name for name in HEADS if "adaln_zero" not in name])
def test_where_there_are_no_gates_opening_changes_nothing(name: str) -> None:
    backbone = build_backbone(HEADS[name], 10)
    assert all((signal == 0).all() for signal in backbone.open_signals())


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
