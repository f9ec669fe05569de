"""torch.compile where it helps, and a way back where training can't have it."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType

import torch
from torch import Tensor, nn

from shared.errors import ConfigError

_log = logging.getLogger(__name__)

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


class RecompileError(Exception):
    """What is compiled does not fit how torch is set now."""


class CompiledForInference:
    """A function compiled at its first call, for tensors of those shapes: the weights that it reads are its constants.

    Products, too, are compiled, where what that gives is measured to be faster than torch's own: of the few rows of one
    robot's window, those take longer to start than to compute. What is compiled stays in memory until the process ends.
    """

    def __init__(self, function: Callable[..., Tensor]) -> None:
        """Compiles nothing yet."""
        self._function = function
        self._compiled: Callable[..., Tensor] | None = None

    def __call__(self, *arguments: Tensor) -> Tensor:
        """What the function gives. The first call raises ConfigError where there is no compiler."""
        if self._compiled is not None:
            return self._compiled(*arguments)
        with _compiling_for_inference():
            try:
                candidate = torch.compile(_by_itself(self._function), dynamic=False)
                out: Tensor = candidate(*arguments)
            except Exception as error:  # the compiler's stack raises many kinds
                reason = str(error).strip().splitlines() or [type(error).__name__]
                raise ConfigError(f"the policy can't be compiled: {reason[0]}; do without compile_for") from error
        self._compiled = candidate
        return out

    @contextmanager
    def only_once(self) -> Iterator[None]:
        """While entered, calls after the first raise RecompileError rather than compile again.

        They would where torch is set differently than at the first, as to another number of threads.
        """
        if self._compiled is None:
            yield
            return
        try:
            with torch.compiler.set_stance("fail_on_recompile"):
                yield
        except RuntimeError as error:
            if not str(error).startswith("Detected recompile"):
                raise
            raise RecompileError(str(error)) from error


def _by_itself(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A copy with code of its own: torch counts what it has compiled of one code, and stops at eight."""
    assert isinstance(function, FunctionType)
    code, closure = function.__code__.replace(), function.__closure__
    return FunctionType(code, function.__globals__, function.__name__, function.__defaults__, closure)


@contextmanager
def _compiling_for_inference() -> Iterator[None]:
    with warnings.catch_warnings():
        # Of the compiler's own code. Importing it takes seconds that only those who compile should wait.
        warnings.simplefilter("ignore")
        from torch._inductor import config as inductor
        from torch._inductor import select_algorithm

        # Else it prints what it measured.
        select_algorithm.PRINT_AUTOTUNE = False
        with inductor.patch(_FOR_INFERENCE):
            yield
