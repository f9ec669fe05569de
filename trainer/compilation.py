"""torch.compile where it helps, and a way back where it can't."""

import logging
from collections.abc import Callable

import torch
from torch import Tensor, nn

_log = logging.getLogger(__name__)

Forward = Callable[[Tensor, Tensor, Tensor, tuple[Tensor, ...]], Tensor]


def compiled(head: nn.Module, try_out: Callable[[Forward], Tensor]) -> Forward:
    """The head compiled, or the head itself, with one message, where compiling fails.

    Args:
        head: to compile.
        try_out: makes a loss with the forward it is given; compiling happens at the first call, and backward's at
            the first backward.
    """
    candidate: Forward
    try:
        candidate = torch.compile(head)
        try_out(candidate).backward()  # type: ignore[no-untyped-call]
    except Exception as error:  # the compiler's stack raises many kinds
        reason = str(error).strip().splitlines() or [type(error).__name__]
        _log.warning("torch.compile can't be used here (%s); training goes on without it", reason[0])
        torch._dynamo.reset()
        candidate = head
    head.zero_grad(set_to_none=True)
    return candidate
