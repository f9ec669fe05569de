"""The last maps of a conditioning, from time and features to what the backbone's blocks are given.

Of Stage 1's, Stage 2 keeps what does not depend on the condition (`kept`): the bias, and the columns that read the
encoded time. The columns that read features start at zero.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Projection(nn.Linear):
    """One Linear to every block's signal."""

    def part(self, x: Tensor, columns: slice, *, bias: bool) -> Tensor:
        """What these of its inputs, given as x (batch, columns), add to its output."""
        return F.linear(x, self.weight[:, columns], self.bias if bias else None)

    def drop(self, columns: int) -> None:
        """Lets go of so many first inputs, which are not given any more."""
        self.weight = _without(self.weight, columns)

    def start_at_zero(self) -> None:
        """Weights and bias to zero: the output is zero, and the first gradient moves it."""
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)

    def kept(self, time_columns: int) -> dict[str, Tensor]:
        """What Stage 2 starts from, of a projection whose first so many inputs are the encoded time."""
        return {"bias": _copy(self.bias), "time": _copy(self.weight[:, :time_columns])}

    @torch.no_grad()
    def start_from(self, kept: Mapping[str, Tensor]) -> None:
        """Starts with what `kept` gave, and zero in every other column."""
        self.start_at_zero()
        self.bias.copy_(kept["bias"])
        self.weight[:, : kept["time"].shape[1]] = kept["time"]


class LowRankProjection(nn.Module):
    """Projects to a few numbers for each vector, then to the vector. `weight` and `bias` are the second map's."""

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

    def drop(self, columns: int) -> None:
        """As `Projection.drop`."""
        self.down.weight = _without(self.down.weight, columns)

    def start_at_zero(self) -> None:
        """As `Projection.start_at_zero`; the first map keeps its weights, or no gradient would reach either."""
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)

    def kept(self, time_columns: int) -> dict[str, Tensor]:
        """As `Projection.kept`: the first map's time columns and bias, and all of the second map."""
        down = {"down_bias": _copy(self.down.bias), "time": _copy(self.down.weight[:, :time_columns])}
        return {"bias": _copy(self.bias), "weight": _copy(self.weight), **down}

    @torch.no_grad()
    def start_from(self, kept: Mapping[str, Tensor]) -> None:
        """As `Projection.start_from`; the gradient reaches the other columns by way of the second map."""
        self.bias.copy_(kept["bias"])
        self.weight.copy_(kept["weight"])
        self.down.bias.copy_(kept["down_bias"])
        self.down.weight.zero_()
        self.down.weight[:, : kept["time"].shape[1]] = kept["time"]


def _without(weight: Tensor, columns: int) -> nn.Parameter:
    kept = weight.detach()[:, columns:].clone(memory_format=torch.contiguous_format)
    return nn.Parameter(kept, requires_grad=weight.requires_grad)


def _copy(values: Tensor) -> Tensor:
    return values.detach().clone()
