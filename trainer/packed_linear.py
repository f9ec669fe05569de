"""Linear layers for inference on a CPU, whose weights lie as oneDNN multiplies them.

torch.nn.Linear brings its weights into that order at every call, which for the few rows of one robot's window takes as
long as the product.
"""

import torch
from torch import Tensor, nn


class PackedLinear(nn.Module):
    """A frozen linear layer on a CPU. The result is torch.nn.Linear's."""

    def __init__(self, layer: nn.Linear, rows: int) -> None:
        """Takes a layer in the type to multiply in, and the usual number of input rows."""
        super().__init__()
        # Low-rank attention multiplies by parts of it.
        self.weight = layer.weight.detach()
        self._bias = None if layer.bias is None else layer.bias.detach()
        self._packed = torch.ops.mkldnn._reorder_linear_weight(self.weight, rows)

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) to (..., outputs)."""
        x = x.to(self.weight.dtype)
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._packed, self._bias, "none", [], "")
        return out


def pack_linear(module: nn.Module, rows: int) -> None:
    """Replaces every linear layer in a module, on a CPU and where torch has oneDNN; else changes nothing."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return
    for name, part in module.named_children():
        if type(part) is nn.Linear and part.weight.device.type == "cpu":
            setattr(module, name, PackedLinear(part, rows))
        else:
            pack_linear(part, rows)
