"""What a run was made on, in words: speeds mean little without it."""

import os
import platform
from pathlib import Path

import torch


def describe_machine() -> str:
    """Cores, processor, accelerator and torch."""
    cores = len(os.sched_getaffinity(0))
    accelerator = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{cores} CPU cores ({_processor()}){accelerator}, torch {torch.__version__}"


def _processor() -> str:
    """The processor's name and its fastest arithmetic for networks; speeds here differ threefold by it."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    capabilities = torch.cpu.get_capabilities()
    fastest = next((key for key in ("amx_bf16", "avx512_bf16", "avx512_f", "avx2") if capabilities.get(key)), "")
    return f"{name}, {fastest}" if fastest else name
