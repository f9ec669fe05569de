"""The last maps of a conditioning, from features to what the backbone's blocks are given."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Projection(nn.Linear):
    """One Linear to every block's signal. Stage 2 starts it with zero weights and Stage 1's bias."""

    def part(self, x: Tensor, columns: slice, *, bias: bool) -> Tensor:
        """What these of its inputs, given as x (batch, columns), add to its output."""
        return F.linear(x, self.weight[:, columns], self.bias if bias else None)

    def start_at_zero(self) -> None:
        """Weights and bias to zero: the output is zero, and the first gradient moves it."""
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)


class LowRankProjection(nn.Module):
    """To a few numbers for each vector, then from them to the vector. `weight` and `bias` are the second map's."""

    def __init__(self, inputs: int, vectors: int, width: int, rank: int = 16) -> None:
        super().__init__()
        self.down = nn.Linear(inputs, vectors * rank)
        self.weight = nn.Parameter(torch.empty(vectors, rank, width))
        self.bias = nn.Parameter(torch.zeros(vectors * width))
        nn.init.normal_(self.weight, std=rank**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs) to (batch, vectors * width)."""
        return self.part(x, slice(None), bias=True)

    def part(self, x: Tensor, columns: slice, *, bias: bool) -> Tensor:
        """As `Projection.part`."""
        low = F.linear(x, self.down.weight[:, columns], self.down.bias if bias else None)
        out = torch.einsum("bvr,vrw->bvw", low.view(-1, *self.weight.shape[:2]), self.weight).flatten(1)
        return out + self.bias if bias else out

    def start_at_zero(self) -> None:
        """As `Projection.start_at_zero`; the first map keeps its weights, or no gradient would reach either."""
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)
