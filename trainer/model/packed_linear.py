"""Linear layers for inference on a CPU, whose weights lie as oneDNN multiplies them.

torch.nn.Linear brings its weights into that order at every call, which for the few rows of one robot's window takes as
long as the product.
"""

import torch
from torch import Tensor, nn

from trainer.device import computes_bf16
from trainer.model.backbones.perceptron import Perceptron


class PackedLinear(nn.Module):
    """A frozen linear layer on a CPU. The result is torch.nn.Linear's, or the GELU of it."""

    def __init__(self, layer: nn.Linear, rows: int, *, gelu: bool = False) -> None:
        """Takes a layer in the type to multiply in, and the usual number of input rows."""
        super().__init__()
        # Looked up once: at every call that takes a fifth of the product's time.
        self._multiply = torch.ops.mkldnn._linear_pointwise.default
        self._then = "gelu" if gelu else "none"
        # As in torch.nn.Linear: low-rank attention multiplies by parts of the weight.
        self.weight = layer.weight.detach()
        self.bias = None if layer.bias is None else layer.bias.detach()
        self._packed = torch.ops.mkldnn._reorder_linear_weight(self.weight, rows)

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) to (..., outputs)."""
        x = x.to(self.weight.dtype)
        out: Tensor = self._multiply(x, self._packed, self.bias, self._then, [], "none")
        return out

    # Nothing hooks into it, and looking for hooks takes as long as a small operation.
    __call__ = forward


PackedLayers = dict[tuple[int, int, bool], PackedLinear]
"""Layers by the ids of the weight and the bias that they were made of, and whether they take the GELU of it."""


def pack_linear(module: nn.Module, rows: int, packed: PackedLayers | None = None) -> None:
    """Replaces every linear layer in a module, on a CPU and where torch has oneDNN; else changes nothing.

    The GELU of a Perceptron is taken into the layer before it. No other is: nothing else says that it is used once.
    Layers of the same weights as one in `packed` are that one, and new ones are added to it: then these weights must
    stay in memory as long as it does.
    """
    packed = {} if packed is None else packed
    for name, part in module.named_children():
        if type(part) is nn.Linear and _can_be_packed(part.weight):
            gelu = isinstance(module, Perceptron) and part is module.up
            key = id(part.weight), id(part.bias), gelu
            if key not in packed:
                packed[key] = PackedLinear(part, rows, gelu=gelu)
            setattr(module, name, packed[key])
            if gelu:
                module.activation = nn.Identity()
        else:
            pack_linear(part, rows, packed)


def _can_be_packed(weight: Tensor) -> bool:
    """Whether oneDNN multiplies by it; it does not emulate bf16, as torch.nn.Linear does."""
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    return weight.dtype == torch.float32 or (weight.dtype == torch.bfloat16 and computes_bf16(weight.device))
