"""The paper's numbers of parameters, and why ours differ where they do. Modules are on meta: nothing is allocated."""

import pytest
import torch
from torch import nn

from trainer.config import ConditioningName, HeadConfig, SizeName
from trainer.model.backbones import Backbone, build_backbone
from trainer.model.conditioning import Conditioning, TokenConditioning, stage1_conditioning, stage2_conditioning

OBS_STEPS, FEATURES = 2, 137
"""The paper's condition in Stage 2: two observation steps of 137 features, without the observation encoder."""


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def build(config: HeadConfig) -> tuple[Backbone, Conditioning]:
    with torch.device("meta"):
        backbone = build_backbone(config, 10)
        return backbone, stage1_conditioning(config, backbone, OBS_STEPS * FEATURES, OBS_STEPS)


def transformer(conditioning: ConditioningName, *, paper_key_values: bool = False) -> tuple[Backbone, Conditioning]:
    return build(
        HeadConfig(head="dp_t", size="paper", conditioning=conditioning, horizon=10, paper_key_values=paper_key_values)
    )


def test_dp_c_is_the_papers() -> None:
    backbone, conditioning = build(HeadConfig(head="dp_c", size="paper", conditioning="film", paper_film=True))
    assert count(backbone.time_encoder) == 131_712
    assert count(backbone) == 244_057_226
    assert conditioning.projection.bias.numel() == 28_672
    assert count(conditioning) == 11_554_816
    assert count(backbone) + count(conditioning) == 255_612_042


def test_dp_c_with_adaln_zero_has_a_gate_and_no_weights_in_twelve_norms() -> None:
    backbone, conditioning = build(HeadConfig(head="dp_c", size="paper"))
    channels = 28_672 // 2
    assert count(backbone) == 244_057_226 - 2 * channels
    assert count(conditioning) == (402 + 1) * 3 * channels


def test_dp_mlp_is_the_papers() -> None:
    backbone, conditioning = build(HeadConfig(size="paper", conditioning="film", paper_film=True))
    assert count(backbone.get_submodule("input_map")) == 45_056
    assert count(backbone.time_encoder) == 525_568
    assert count(backbone) == 4_782_346
    assert count(conditioning) == 8_699_904
    assert count(backbone) + count(conditioning) == 13_482_250


@pytest.mark.parametrize(
    ("size", "blocks", "projection"), [("small", 1_051_648, 1_575_936), ("paper", 4_204_544, 3_151_872)]
)
def test_dp_mlp_with_adaln_zero(size: SizeName, blocks: int, projection: int) -> None:
    config = HeadConfig(size=size)
    with torch.device("meta"):
        backbone = build_backbone(config, 10)
        conditioning = stage2_conditioning(config, backbone, 40, None)
    assert count(backbone.get_submodule("blocks")) == blocks
    assert count(conditioning.projection) == projection


@pytest.mark.parametrize(
    ("conditioning", "total", "millions"),
    [
        ("film", 11_202_058, 11.2),
        ("adaln_zero", 13_368_842, 13.4),
        ("adaln", 11_193_866, 11.2),
        ("ada_rms_norm", 11_193_866, 11.2),
        ("additive", 9_027_082, 9.0),
        ("lora_cond", 7_057_674, 7.1),
    ],
)
def test_dp_t_with_vectors_is_the_papers(conditioning: ConditioningName, total: int, millions: float) -> None:
    made = transformer(conditioning)
    assert sum(count(module) for module in made) == total
    assert round(total / 1e6, 1) == millions


def test_dp_t_with_cross_attention_is_the_papers_and_its_keys_and_values_can_change_sides() -> None:
    """8.43 M frozen and 0.56 M trained: the paper trains the 10 x 256 action positions, which are in our backbone."""
    backbone, conditioning = transformer("cross_attn", paper_key_values=True)
    assert count(backbone) - 2560 == 8_433_418
    assert count(conditioning) + 2560 == 564_224
    assert count(backbone) + count(conditioning) == 8_997_642
    ours = transformer("cross_attn")
    key_values = 8 * 2 * (256 + 1) * 256
    assert count(ours[0]) == count(backbone) - key_values
    assert count(ours[1]) == count(conditioning) + key_values


def test_dp_t_with_a_prefix_is_the_papers_and_ours_adds_its_keys_and_values() -> None:
    backbone, conditioning = transformer("prefix", paper_key_values=True)
    assert count(backbone) + count(conditioning) == 6_888_202
    ours = transformer("prefix")
    assert count(ours[0]) == count(backbone)
    assert isinstance(ours[1], TokenConditioning)
    assert count(ours[1]) == count(conditioning) + 8 * 2 * (256 + 1) * 256


def test_dp_t_film_lacks_the_papers_idle_weights() -> None:
    """The paper's 13.3 M allocate a cross-attention and a FiLM of self-attention in each block, and use neither."""
    made = build(HeadConfig(head="dp_t_film", size="paper", conditioning="film", paper_film=True, horizon=10))
    ours = sum(count(module) for module in made)
    cross_attention, film = 8 * 4 * (256 + 1) * 256, 8 * (530 + 1) * 2 * 256
    assert ours == 9_027_082
    assert round((ours + cross_attention + film) / 1e6, 1) == 13.3


@pytest.mark.parametrize(
    ("config", "shared", "own"),
    [
        (HeadConfig(size="small"), 1_625_354, 1_224_960),
        (HeadConfig(size="paper"), 4_778_250, 2_014_464),
        (HeadConfig(head="dp_t", size="paper", conditioning="lora_cond"), 6_853_642, 570_880),
        (HeadConfig(head="dp_c", size="paper"), 244_028_554, 11_488_512),
    ],
)
def test_what_a_server_holds_of_policies_once_and_for_each(config: HeadConfig, shared: int, own: int) -> None:
    """The table of docs/policies.md: once time has had its share, no columns for it are kept."""
    with torch.device("meta"):
        backbone = build_backbone(config, 10)
        conditioning = stage2_conditioning(config, backbone, 40, None)
        conditioning.drop_time()
    assert (count(backbone), count(conditioning)) == (shared, own)
