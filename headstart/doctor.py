"""`headstart doctor`: what is installed here, what is missing and how to get it, and what this machine has."""

import importlib.util
import json
import os
import platform
import shutil
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any, NamedTuple

from packaging.requirements import Requirement

from shared.errors import ConfigError

PARTS = {
    "services": "make trajectories and serve them",
    "trainer": "pretrain, adapt, serve and export policies",
    "hub": "fetch from the Hugging Face Hub, and push to it",
    "simulation": "record demonstrations and roll policies out",
}
"""The extras of this package, and what each is for."""
_TOLD = ("ray", "pin", "ruckig", "torch", "mujoco", "robosuite")
"""Packages whose versions matter most when something is asked about."""


class Part(NamedTuple):
    """One extra.

    Attributes:
        name: of the extra.
        purpose: what it is for.
        missing: packages of it that are not installed.
        unfit: packages of it whose installed version it does not allow, each as "name version (needs ...)".
    """

    name: str
    purpose: str
    missing: tuple[str, ...]
    unfit: tuple[str, ...]


def run(arguments: Sequence[str]) -> int:
    """Prints the findings; `--json` for programs. Returns 0, or 1 if something is missing."""
    if unknown := [argument for argument in arguments if argument != "--json"]:
        raise ConfigError(f"headstart doctor takes --json alone, not {unknown[0]!r}")
    found = findings()
    if "--json" in arguments:
        print(json.dumps(found, indent=1))
    else:
        print("\n".join(_lines(found)))
    return 0 if all(not part["missing"] and not part["unfit"] for part in found["parts"]) else 1


def findings() -> dict[str, Any]:
    """What there is: `python`, `parts`, `packages`, `machine` and `tools`."""
    return {
        "headstart": version("headstart"),
        "python": f"{platform.python_version()} ({sys.executable})",
        "parts": [part(name)._asdict() for name in PARTS],
        "packages": {name: _version(name) for name in _TOLD},
        "machine": _machine(),
        "tools": {name: shutil.which(name) is not None for name in ("docker", "chromium", "make")},
    }


def part(name: str) -> Part:
    """What of an extra is here."""
    missing, unfit = [], []
    for text in requires("headstart") or ():
        requirement = Requirement(text)
        if requirement.marker is None or not requirement.marker.evaluate({"extra": name}):
            continue
        installed = _version(requirement.name)
        if installed is None:
            missing.append(requirement.name)
        elif not requirement.specifier.contains(installed, prereleases=True):
            unfit.append(f"{requirement.name} {installed} (needs {requirement.specifier})")
    if name == "simulation" and importlib.util.find_spec("robosuite") is None:
        # Installed apart: its dependencies would pull NumPy below 2.
        missing.append("robosuite")
    return Part(name, PARTS[name], tuple(missing), tuple(unfit))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _machine() -> dict[str, Any]:
    """Cores, memory, room on the disk, and the GPUs that PyTorch sees; None for those without PyTorch."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(pages / 1e9, 1),
        "free_disk_gb": round(shutil.disk_usage(Path.cwd()).free / 1e9, 1),
        "gpus": _gpus(),
    }


def _gpus() -> list[str] | None:
    try:
        import torch
    except ImportError:
        return None
    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]


def _lines(found: dict[str, Any]) -> list[str]:
    """The findings for people."""
    machine, lines = found["machine"], [f"headstart {found['headstart']}, Python {found['python']}", ""]
    for one in found["parts"]:
        lacks = [*(f"{name} is missing" for name in one["missing"]), *one["unfit"]]
        lines.append(f"{'ok     ' if not lacks else 'MISSING'} {one['name']:<11}{one['purpose']}")
        lines += [f"          {text}" for text in lacks]
        if lacks:
            lines.append(f"          make setup, or: {_cure(one)}")
    said = ", ".join(f"{name} {text}" for name, text in found["packages"].items() if text)
    gpus = "not known without torch" if machine["gpus"] is None else ", ".join(machine["gpus"]) or "none"
    absent = [name for name, there in found["tools"].items() if not there]
    return [
        *lines,
        "",
        f"packages: {said or 'none'}",
        f"machine: {machine['cores']} cores, {machine['memory_gb']} GB of memory, "
        f"{machine['free_disk_gb']} GB free on this disk; GPU: {gpus}",
        f"not on the path: {', '.join(absent)}" if absent else "docker, chromium and make are on the path",
    ]


def _cure(one: dict[str, Any]) -> str:
    """The command that installs what a part lacks."""
    if one["missing"] == ("robosuite",):
        return "pip install --no-deps robosuite"
    return f"pip install 'headstart[{one['name']}]'"
