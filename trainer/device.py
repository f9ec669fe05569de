"""What to compute on, in which precision, and whether compiling is worth it."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from shared.errors import ConfigError
from trainer.config import Precision, Switch

# On a CPU compiling costs 10 to 18 s and saves about 15 % of a step of 90 to 130 ms, more beside another busy process.
_STEPS_WORTH_COMPILING = {"cuda": 1000, "cpu": 1500}


def choose_device(name: str) -> torch.device:
    """A torch device from its name; "auto" takes CUDA, then MPS, then the CPU. Raises ConfigError if it isn't there.

    A GPU's has its number: tensors say "cuda:0" of themselves, which is not equal to "cuda".
    """
    if name == "auto":
        backend = "mps" if torch.backends.mps.is_available() else "cpu"
        name = "cuda" if torch.cuda.is_available() else backend
    try:
        device = torch.device(name)
        device = torch.empty(1, device=device).device
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device {name!r} can't be used here: {str(error).splitlines()[0]}") from error
    return device


def computes_bf16(device: torch.device) -> bool:
    """Whether the hardware multiplies in bf16, rather than emulating it."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16"))
    return False


def compute_dtype(device: torch.device, precision: Precision) -> torch.dtype:
    """What matrices are multiplied in."""
    half = precision == "bf16" or (precision == "auto" and computes_bf16(device))
    return torch.bfloat16 if half else torch.float32


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """bf16 autocast, or nothing."""
    dtype = compute_dtype(device, precision)
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)


def finish(device: torch.device) -> None:
    """Returns once a device has done what it was given: a GPU computes behind the program, a CPU has nothing left."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


@contextmanager
def deterministic_algorithms(on: bool) -> Iterator[None]:
    """While entered, and where `on`, a GPU adds numbers in the same order every time; before its first product.

    An operation that can't, raises RuntimeError. A CPU needs none of it.
    """
    if not on:
        yield
        return
    # cuBLAS takes the first that is set when it begins.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def worth_compiling(switch: Switch, device: torch.device, steps: int) -> bool:
    """Whether to compile a run of so many steps."""
    if switch != "auto":
        return switch == "on"
    worth = _STEPS_WORTH_COMPILING.get(device.type)
    return worth is not None and steps >= worth
