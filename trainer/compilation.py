"""torch.compile where it helps, and a way back where training can't have it."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec

import torch
from torch import Tensor, nn

from shared.errors import ConfigError

_log = logging.getLogger(__name__)

_P = ParamSpec("_P")
_MOST_COMPILED = 64
_FOR_INFERENCE = {
    "freezing": True,
    "max_autotune": True,
    "max_autotune_gemm_backends": "CPP,ATEN",
    "max_autotune_report_choices_stats": False,
}
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


def compiled_for_inference(function: Callable[_P, Tensor]) -> Callable[_P, Tensor]:
    """A function compiled at its first call, for tensors of those shapes: the weights that it reads are its constants.

    Products, too, are compiled, where what that gives is measured to be faster than torch's own: of the few rows of one
    robot's window, those take longer to start than to compute. The first call raises ConfigError where there is no
    compiler.
    """
    candidate: Callable[_P, Tensor] | None = None

    @wraps(function)
    def call(*arguments: _P.args, **named: _P.kwargs) -> Tensor:
        nonlocal candidate
        if candidate is not None:
            return candidate(*arguments, **named)
        with _compiling_for_inference():
            try:
                candidate = torch.compile(function, dynamic=False)
                return candidate(*arguments, **named)
            except Exception as error:  # the compiler's stack raises many kinds
                reason = str(error).strip().splitlines() or [type(error).__name__]
                raise ConfigError(f"the policy can't be compiled: {reason[0]}; leave --compile-for out") from error

    return call


@contextmanager
def _compiling_for_inference() -> Iterator[None]:
    with warnings.catch_warnings():
        # Of the compiler's own code. Importing it takes seconds that only those who compile should wait.
        warnings.simplefilter("ignore")
        from torch._dynamo import config as dynamo
        from torch._inductor import config as inductor
        from torch._inductor import select_algorithm

        # Else it prints what it measured.
        select_algorithm.PRINT_AUTOTUNE = False
        # The limit is on all networks of a kind together; beyond it they would silently not be compiled.
        limit = dynamo.patch(recompile_limit=_MOST_COMPILED, fail_on_recompile_limit_hit=True)
        with limit, inductor.patch(_FOR_INFERENCE):
            yield
