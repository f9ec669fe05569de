"""Pythons other than the one that the tests run in."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pages import ROOT


def python_of(version: str) -> str:
    """A Python of that version, of pyenv or on the path; where there is none, the test is skipped."""
    versions = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    found = str(versions[-1]) if versions else shutil.which(f"python{version}")
    # A shim of pyenv is there for versions that are not.
    if found is None or subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode:
        pytest.skip(f"there is no Python {version} here")
    return found


def clean_environment(version: str, folder: Path) -> tuple[Path, list[str]]:
    """An environment with nothing in it, in `folder`: its Python, and the start of a command of pip that fills it."""
    subprocess.run([python_of(version), "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    return python, [sys.executable, "-m", "pip", "--python", str(python), "--quiet", "--disable-pip-version-check"]


def copied_packages(folder: Path) -> Path:
    """What pip installs Headstart from, outside the checkout, which a build would leave files in."""
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("headstart", "shared", "services", "trainer", "packages"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("pyproject.toml", "constraints.txt", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    return folder
