import numpy as np
import torch
from torch import nn

from tests.trainer.model.backbones import reference as ref
from trainer.model.backbones.modulation import AdaNorm, AdditiveResidual, FilmResidual, Residual
from trainer.model.backbones.transformer import SIZES, FeedForward

WIDTH = SIZES["tiny"].width


class Drawn:
    """A feed-forward layer, x and three modulation vectors, as torch and as numpy see them."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.layer = FeedForward(SIZES["tiny"], 0.0)
        self.tensors = torch.randn(3, 16, WIDTH), *torch.randn(3, 3, 1, WIDTH)
        self.x, self.a, self.b, self.c = (ref.values(tensor) for tensor in self.tensors)

    def mlp(self, x: np.ndarray) -> np.ndarray:
        return ref.linear(self.layer.down, ref.gelu(ref.linear(self.layer.up, x)))

    def difference(self, residual: Residual | AdaNorm, expected: np.ndarray) -> float:
        """Of x and what is added to it."""
        out = residual(self.tensors[0], self.layer, self.tensors[1 : 1 + residual.vectors])
        return float(np.abs(ref.values(out) - (self.x + expected)).max())


def with_drawn_norm(residual: Residual) -> Residual:
    nn.init.normal_(residual.norm.weight)
    nn.init.normal_(residual.norm.bias)
    return residual


def test_residuals_after_the_sublayer_against_numpy() -> None:
    drawn = Drawn()
    for residual, scale, shift in [
        (Residual(WIDTH), 1.0, 0.0),
        (FilmResidual(WIDTH), 1 + drawn.a, drawn.b),
        (FilmResidual(WIDTH, paper_form=True), drawn.a, drawn.b),
        (AdditiveResidual(WIDTH), 1.0, drawn.a),
    ]:
        with_drawn_norm(residual)
        normed = drawn.mlp(ref.layer_norm(drawn.x, residual.norm))
        assert drawn.difference(residual, scale * normed + shift) < 1e-5


def test_adaptive_norms_against_numpy() -> None:
    drawn = Drawn()
    modulated = drawn.mlp((1 + drawn.b) * ref.layer_norm(drawn.x) + drawn.a)
    assert drawn.difference(AdaNorm(gated=False), modulated) < 1e-5
    assert drawn.difference(AdaNorm(gated=True), drawn.c * modulated) < 1e-5
    modulated = drawn.mlp((1 + drawn.b) * ref.root_mean_square_norm(drawn.x) + drawn.a)
    assert drawn.difference(AdaNorm(gated=False, root_mean_square=True), modulated) < 1e-5
