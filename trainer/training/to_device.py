"""From the CPU to the training device, in one copy that the program does not wait for."""

from math import prod

import torch
from torch import Tensor

_ALIGNMENT = 16


def send(device: torch.device, *tensors: Tensor) -> tuple[Tensor, ...]:
    """Tensors of the CPU, of any types, on `device`.

    To a GPU they go together, by way of pinned memory: each copy has a cost of its own, and one from other memory would
    make the program wait for the device.
    """
    if device.type == "cpu" or not tensors:
        return tensors
    sizes = [-(-value.nbytes // _ALIGNMENT) * _ALIGNMENT for value in tensors]
    joined = torch.empty(sum(sizes), dtype=torch.uint8, pin_memory=device.type == "cuda")
    for part, value in zip(torch.split(joined, sizes), tensors, strict=True):
        part[: value.nbytes].view(value.dtype).copy_(value.reshape(-1))
    parts = torch.split(joined.to(device, non_blocking=True), sizes)
    return tuple(
        part[: value.nbytes].view(value.dtype)[: prod(value.shape)].view(value.shape)
        for part, value in zip(parts, tensors, strict=True)
    )
