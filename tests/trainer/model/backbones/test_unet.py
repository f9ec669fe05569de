import numpy as np
import pytest
import torch

from tests.trainer.model.backbones import reference as ref
from trainer.config import HeadConfig
from trainer.model.backbones import build_backbone
from trainer.model.backbones.unet import AdaLnZeroBlock, ConvBlock, FilmBlock


def reference_convblock(
    block: ConvBlock, x: np.ndarray, scale: np.ndarray | None = None, shift: np.ndarray | None = None
) -> np.ndarray:
    normed = ref.group_norm(block.norm, ref.convolution(block.convolution, x))
    if scale is not None and shift is not None:
        normed = scale[..., None] * normed + shift[..., None]
    return ref.mish(normed)


@pytest.mark.parametrize("paper_form", [True, False])
@pytest.mark.parametrize("inputs", [10, 32])
def test_film_block_against_numpy(inputs: int, paper_form: bool) -> None:
    torch.manual_seed(0)
    block = FilmBlock(inputs, 32, paper_form=paper_form)
    x, modulation = torch.randn(3, inputs, 16), torch.randn(3, 64)
    gamma, beta = np.split(ref.values(modulation), 2, axis=1)
    hidden = reference_convblock(block.first, ref.values(x))
    hidden = (gamma if paper_form else 1 + gamma)[..., None] * hidden + beta[..., None]
    skip = ref.values(x) if inputs == 32 else ref.convolution(block.skip, ref.values(x))
    expected = reference_convblock(block.second, hidden) + skip
    assert np.abs(ref.values(block(x, modulation)) - expected).max() < 1e-5


def test_adaln_zero_block_against_numpy() -> None:
    torch.manual_seed(0)
    block = AdaLnZeroBlock(10, 32)
    x, modulation = torch.randn(3, 10, 16), torch.randn(3, 96)
    shift, scale, gate = np.split(ref.values(modulation), 3, axis=1)
    hidden = reference_convblock(block.first, ref.values(x), 1 + scale, shift)
    expected = gate[..., None] * reference_convblock(block.second, hidden)
    expected = expected + ref.convolution(block.skip, ref.values(x))
    assert np.abs(ref.values(block(x, modulation)) - expected).max() < 1e-5


@pytest.mark.parametrize("horizon", [4, 8, 16])
def test_every_step_sees_every_other(horizon: int) -> None:
    torch.manual_seed(0)
    config = HeadConfig(head="dp_c", size="tiny", conditioning="film", horizon=horizon, n_obs_steps=1, n_action_steps=1)
    backbone = build_backbone(config, 10)
    signals = [torch.randn(1, width) for width in backbone.signal_widths]
    x = torch.randn(1, horizon, 10, requires_grad=True)
    out = backbone(x, signals)
    assert out.shape == (1, horizon, 10)
    out[0, 0].sum().backward()
    assert x.grad is not None
    assert (x.grad[0].abs().sum(-1) > 0).all()
