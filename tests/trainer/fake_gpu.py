"""A GPU that is pretended: tensors without numbers that know their device, in a torch without CUDA too.

What would mix devices, or read a number off the device, is an error here. Copies to it are counted.
"""

import ctypes
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from trainer.model.diffusion import kept_variance, sampling_steps

DEVICE = torch.device("cuda:0")

_GUARD = """
#include <c10/core/impl/DeviceGuardImplInterface.h>
static c10::impl::NoOpDeviceGuardImpl<c10::DeviceType::CUDA> guard;
static c10::impl::DeviceGuardImplRegistrar registrar(c10::DeviceType::CUDA, &guard);
"""
"""A torch without CUDA has none, and does not compute shapes for a device without."""


def load_guard(folder: Path) -> None:
    """Makes torch know the device. Skips the test where there is no compiler for that."""
    if torch.backends.cuda.is_built():  # type: ignore[no-untyped-call]
        torch._C._ensureCUDADeviceGuardSet()
        return
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("needs a C++ compiler")
    (folder / "guard.cpp").write_text(_GUARD)
    root = Path(torch.__file__).parent
    words = ["-shared", "-fPIC", "-std=c++20", f"-I{root}/include", f"-L{root}/lib", "guard.cpp", "-lc10", "-oguard.so"]
    subprocess.run([compiler, *words], cwd=folder, check=True)
    ctypes.CDLL(str(folder / "guard.so"))


class Copies(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what is copied to the device.

    Attributes:
        count: of copies since the beginning.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        if function in (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default):
            source = args[1] if function is torch.ops.aten.copy_.default else args[0]
            self.count += made.device.type == "cuda" and source.device.type == "cpu"
        return made


@contextmanager
def pretended(monkeypatch: pytest.MonkeyPatch) -> Iterator[Copies]:
    """Everything inside computes on the pretended GPU where it says so."""

    def numbers(value: FakeTensor, **settings: Any) -> NDArray[Any]:
        assert value.device.type == "cpu", "read off the GPU without saying so"
        dtype = torch.empty(0, dtype=value.dtype, device="meta").dtype
        return np.zeros(tuple(value.shape), str(dtype).removeprefix("torch."))

    def deep_copy(value: FakeTensor, memo: dict[int, Any]) -> torch.Tensor:
        if id(value) not in memo:
            copied = value.detach().clone()
            is_parameter = isinstance(value, nn.Parameter)
            memo[id(value)] = nn.Parameter(copied, requires_grad=value.requires_grad) if is_parameter else copied
        made: torch.Tensor = memo[id(value)]
        return made

    # Made before: what is kept of them must not be of the pretended kind.
    kept_variance(), sampling_steps()
    with monkeypatch.context() as patch, FakeTensorMode(allow_non_fake_inputs=True), Copies() as copies:
        patch.setattr(torch.cuda, "is_available", lambda: True)
        patch.setattr(torch.cuda, "is_bf16_supported", lambda *args, **settings: True)
        patch.setattr(torch.cuda, "mem_get_info", lambda device=None: (2**30, 2**30))
        patch.setattr(torch.accelerator, "synchronize", lambda device=None: None)
        patch.setattr(FakeTensor, "numpy", numbers, raising=False)
        patch.setattr(FakeTensor, "__deepcopy__", deep_copy, raising=False)
        patch.setattr(FakeTensor, "backward", _differentiated, raising=False)
        patch.setattr(nn.Module, "to", _moved)
        yield copies


def _differentiated(loss: FakeTensor) -> None:
    """A gradient for every weight that the loss depends on, as torch's own engine, which asks for a real device."""
    functions, seen = [loss.grad_fn], set[Any]()
    while functions:
        function = functions.pop()
        if function is None or function in seen:
            continue
        seen.add(function)
        functions += [before for before, _ in function.next_functions]
        if hasattr(function, "variable"):
            function.variable.grad = torch.zeros_like(function.variable)


def _moved(module: nn.Module, device: torch.device) -> nn.Module:
    """As nn.Module.to, which can't exchange tensors without numbers."""
    for part in module.modules():
        for name, parameter in list(part._parameters.items()):
            if parameter is not None and parameter.device != device:
                moved = nn.Parameter(torch.empty_like(parameter, device=device), requires_grad=parameter.requires_grad)
                part._parameters[name] = moved
        for name, buffer in list(part._buffers.items()):
            if buffer is not None and buffer.device != device:
                part._buffers[name] = torch.empty_like(buffer, device=device)
    return module
