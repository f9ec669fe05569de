"""Copies of networks whose fixed matrices lie in the type that they are multiplied in."""

import copy
from collections.abc import Iterable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

_Network = TypeVar("_Network", bound=nn.Module)


def compute_copy(
    network: _Network, dtype: torch.dtype, trained: Iterable[Tensor] = (), copies: dict[int, Any] | None = None
) -> _Network:
    """A copy whose convolutions and linear layers lie in `dtype` once and for all.

    These are Linear, Conv1d and ConvTranspose1d with their biases, which autocast would convert at every call. All else
    stays in its own type, the cameras' Conv2d too, which autocast goes on converting. So under autocast the copy
    computes bit for bit the same. Converting takes a tenth of a decoupled step of dp_c, and a quarter of a policy's
    single observation.

    Args:
        network: to copy.
        dtype: that autocast multiplies in.
        trained: weights that are not copied but shared, and stay in their own type.
        copies: what earlier calls have copied into the same type, which this one shares and adds to.
    """
    # What deepcopy takes for copied already: it is never copied in its own type, which is twice as large.
    copies = {} if copies is None else copies
    copies.update((id(weight), weight) for weight in trained)
    for part in network.modules():
        if isinstance(part, nn.Linear | nn.Conv1d | nn.ConvTranspose1d):
            for weight in part.parameters(recurse=False):
                if id(weight) not in copies:
                    converted = weight.detach().to(dtype, copy=True)
                    copies[id(weight)] = nn.Parameter(converted, requires_grad=weight.requires_grad)
    return copy.deepcopy(network, copies)
