import numpy as np
import pytest
import torch
from torch import Tensor

from tests.trainer.example import HEADS
from tests.trainer.model.backbones import reference as ref
from trainer.config import HeadConfig
from trainer.model.backbones import Backbone, build_backbone
from trainer.model.backbones.transformer import DpT, ModulatedBlock

DP_T = [name for name, config in HEADS.items() if config.head in ("dp_t", "dp_t_film")]


def draw_signals(config: HeadConfig, backbone: Backbone) -> list[Tensor]:
    shape = (2, 3) if config.attends_to_tokens else (2,)
    return [torch.randn(*shape, width) for width in backbone.signal_widths]


@pytest.mark.parametrize("name", DP_T)
def test_a_step_depends_on_itself_and_those_before(name: str) -> None:
    torch.manual_seed(0)
    backbone = build_backbone(HEADS[name], 10)
    signals = draw_signals(HEADS[name], backbone)
    x = torch.randn(2, 16, 10)
    changed = x.clone()
    changed[:, 7] += 1
    difference = (backbone(x, signals) - backbone(changed, signals)).abs().amax(dim=(0, 2))
    assert (difference[:7] == 0).all()
    assert (difference[7:] > 0).all()


@pytest.mark.parametrize("name", DP_T)
def test_every_block_listens_to_its_signal(name: str) -> None:
    torch.manual_seed(0)
    config = HEADS[name]
    backbone = build_backbone(config, 10)
    signals = [signal.requires_grad_() for signal in draw_signals(config, backbone)]
    backbone(torch.randn(2, 16, 10), signals).square().sum().backward()
    for signal in signals:
        assert signal.grad is not None
        assert (signal.grad.abs().amax(dim=-1) > 0).all()


def test_dp_t_film_modulates_the_feed_forward_alone_and_film_both() -> None:
    film, both = (build_backbone(HEADS[name], 10) for name in ("dp_t_film-film", "dp_t-film"))
    assert film.signal_widths == (128, 128)
    assert both.signal_widths == (256, 256)
    assert isinstance(film, DpT)
    block = film.blocks[0]
    assert isinstance(block, ModulatedBlock)
    torch.manual_seed(0)
    x, modulation = torch.randn(2, 16, 64), torch.randn(2, 128)
    gamma, beta = np.split(ref.values(modulation)[:, None], 2, axis=-1)
    attended = ref.values(block.attention_residual(x, block.attention))
    feed_forward, norm = block.feed_forward, block.residual.norm
    assert isinstance(norm, torch.nn.LayerNorm)
    hidden = ref.gelu(ref.linear(feed_forward.up, ref.layer_norm(attended, norm)))
    expected = attended + (1 + gamma) * ref.linear(feed_forward.down, hidden) + beta
    assert np.abs(ref.values(block(x, modulation)) - expected).max() < 1e-5


def test_weights_are_drawn_as_the_papers() -> None:
    torch.manual_seed(0)
    backbone = build_backbone(HeadConfig(head="dp_t", size="paper"), 10)
    for name, weight in backbone.named_parameters():
        if name.endswith("bias"):
            assert (weight == 0).all(), name
        elif "norm" not in name:
            assert weight.std().item() == pytest.approx(0.02, rel=0.1), name
