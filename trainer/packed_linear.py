"""Linear layers for inference on a CPU, whose weights lie as oneDNN multiplies them.

torch.nn.Linear brings its weights into that order at every call, which for the few rows of one robot's window takes as
long as the product.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn


class PackedLinear(nn.Module):
    """A frozen linear layer on a CPU. The result is torch.nn.Linear's, or the GELU of it."""

    def __init__(self, layer: nn.Linear, rows: int, *, gelu: bool = False) -> None:
        """Takes a layer in the type to multiply in, and the usual number of input rows."""
        super().__init__()
        # Looked up once: at every call that takes a fifth of the product's time.
        self._multiply = torch.ops.mkldnn._linear_pointwise.default
        self._then = "gelu" if gelu else "none"
        # Low-rank attention multiplies by parts of it.
        self.weight = layer.weight.detach()
        self._bias = None if layer.bias is None else layer.bias.detach()
        self._packed = torch.ops.mkldnn._reorder_linear_weight(self.weight, rows)

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) to (..., outputs)."""
        x = x.to(self.weight.dtype)
        out: Tensor = self._multiply(x, self._packed, self._bias, self._then, [], "none")
        return out


def pack_linear(module: nn.Module, rows: int) -> None:
    """Replaces every linear layer in a module, on a CPU and where torch has oneDNN; else changes nothing.

    A GELU that is declared right after a linear layer is taken into it: modules name their parts in the order in which
    they use them.
    """
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return
    for (name, part), (after, follower) in pairwise([*module.named_children(), ("", None)]):
        if type(part) is nn.Linear and part.weight.device.type == "cpu":
            gelu = isinstance(follower, nn.GELU) and follower.approximate == "none"
            setattr(module, name, PackedLinear(part, rows, gelu=gelu))
            if gelu:
                setattr(module, after, nn.Identity())
        elif part is not None:
            pack_linear(part, rows)
