import numpy as np
import pytest
import torch

from tests.trainer.model.backbones import reference as ref
from trainer.config import HeadConfig
from trainer.model.backbones import build_backbone
from trainer.model.backbones.mlp import SIZES, AdaLnZeroBlock, FilmBlock, PerStepLinear
from trainer.model.backbones.time_encoder import TimeEncoder, frequencies_of, sinusoids


def reference_mlp(
    block: AdaLnZeroBlock | FilmBlock, x: np.ndarray, film: tuple[np.ndarray, np.ndarray] | None
) -> np.ndarray:
    hidden = ref.gelu(ref.linear(block.up, x))
    if film is not None:
        hidden = film[0][:, None] * hidden + film[1][:, None]
    return ref.linear(block.down, hidden)


def modulated(block: AdaLnZeroBlock | FilmBlock, x: torch.Tensor, modulation: torch.Tensor) -> np.ndarray:
    """Of vectors as a conditioning makes them, before what is neutral is added."""
    vectors = modulation[:, None].chunk(len(block.neutral), dim=-1)
    out = block(x, *(vector + neutral for vector, neutral in zip(vectors, block.neutral, strict=True)))
    return np.asarray(out.detach().numpy())


def test_adaln_zero_block_against_numpy() -> None:
    torch.manual_seed(0)
    block = AdaLnZeroBlock(SIZES["small"], dropout=0.0).double()
    x, modulation = torch.randn(3, 16, 256).double(), torch.randn(3, 768).double()
    shift, scale, gate = np.split(modulation.numpy(), 3, axis=1)
    normed = (1 + scale[:, None]) * ref.layer_norm(x.numpy()) + shift[:, None]
    expected = x.numpy() + gate[:, None] * reference_mlp(block, normed, None)
    assert np.abs(modulated(block, x, modulation) - expected).max() < 1e-10
    assert np.abs(modulated(block.float(), x.float(), modulation.float()) - expected).max() < 1e-5


@pytest.mark.parametrize("paper_form", [True, False])
def test_film_block_against_numpy(paper_form: bool) -> None:
    torch.manual_seed(0)
    block = FilmBlock(SIZES["small"], dropout=0.0, paper_form=paper_form).double()
    x, modulation = torch.randn(3, 16, 256).double(), torch.randn(3, 1024).double()
    gamma, beta = np.split(modulation.numpy(), 2, axis=1)
    film = (gamma if paper_form else 1 + gamma, beta)
    expected = ref.layer_norm(x.numpy() + reference_mlp(block, x.numpy(), film))
    assert np.abs(modulated(block, x, modulation) - expected).max() < 1e-10


def test_a_zero_modulation_leaves_adaln_zero_the_identity() -> None:
    block = AdaLnZeroBlock(SIZES["small"], dropout=0.0)
    x = torch.randn(2, 16, 256)
    assert np.array_equal(modulated(block, x, torch.zeros(2, 768)), x.numpy())


def test_each_step_has_its_own_input_map_of_unit_variance() -> None:
    torch.manual_seed(0)
    mapping = PerStepLinear(16, 10, 256)
    assert mapping.weight.std().item() == pytest.approx(1, abs=0.02)
    assert mapping.bias.std().item() == pytest.approx(1, abs=0.05)
    x = torch.randn(2, 16, 10)
    step = x[:, 5] @ mapping.weight[5] + mapping.bias[5]
    assert torch.allclose(mapping(x)[:, 5], step, atol=1e-5)


def test_steps_do_not_mix_within_the_backbone() -> None:
    torch.manual_seed(0)
    backbone = build_backbone(HeadConfig(), 10)
    modulations = [torch.randn(1, width) for width in backbone.signal_widths]
    x = torch.randn(1, 16, 10)
    changed = x.clone()
    changed[:, 7] += 1
    difference = (backbone(x, modulations) - backbone(changed, modulations)).abs().amax(dim=(0, 2))
    assert (difference[torch.arange(16) != 7] == 0).all()
    assert difference[7] > 0.01


def test_time_encoding_is_the_usual_sinusoid() -> None:
    table = sinusoids(torch.arange(100), frequencies_of(256)).double().numpy()
    frequencies = 10_000 ** (-np.arange(128) / 127)
    assert np.abs(table[:, :128] - np.sin(np.arange(100)[:, None] * frequencies)).max() < 1e-4
    assert np.abs(table[:, 128:] - np.cos(np.arange(100)[:, None] * frequencies)).max() < 1e-4
    assert TimeEncoder(256)(torch.tensor([0, 99])).shape == (2, 256)
