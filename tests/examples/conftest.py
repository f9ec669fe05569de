"""The examples as their page runs them, small; each is run once, and those that need what it made share it."""

import contextlib
import io
import re
import runpy
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from tests.pages import ROOT, commands, free_port, runnable, running

PAGE = "examples/README.md"

Run = Callable[..., str]
"""Runs an example in the folder that all of them share, with further arguments. Returns what it printed."""


def command_of(example: str) -> list[str]:
    """The words of the page's command that runs an example, from its path on."""
    (line,) = (line for line in commands(PAGE) if f"examples/{example}_" in line)
    words = shlex.split(line)
    assert words[0] == ".venv/bin/python"
    return words[1:]


def masked(text: str) -> str:
    """Without its numbers."""
    return re.sub(r"-?\d[\d.,]*", "#", text)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where they run."""
    return tmp_path_factory.mktemp("examples")


@pytest.fixture(scope="session")
def run(folder: Path) -> Run:
    def run_example(example: str, *smaller: object) -> str:
        script, *arguments = command_of(example)
        said = io.StringIO()
        words = [script, *arguments, *map(str, smaller)]
        with patch("sys.argv", words), contextlib.chdir(folder), contextlib.redirect_stdout(said):
            runpy.run_path(str(ROOT / script), run_name="__main__")
        return said.getvalue()

    return run_example


@pytest.fixture(scope="session")
def generated(run: Run) -> str:
    """A tiny dataset in try/data."""
    return run("01", "--count", 40, "--engine", "inline")


@pytest.fixture(scope="session")
def pretrained(run: Run, generated: str) -> str:
    """A tiny backbone in try/stage1."""
    return run("04", "--steps", 4)


@pytest.fixture(scope="session")
def adapted(run: Run, pretrained: str) -> str:
    """A policy in try/policy/run."""
    return run("05", "--steps", 3)


@pytest.fixture(scope="session")
def rolled_out(run: Run, pretrained: str) -> str:
    """Two demonstrations in try/lift/lift.hdf5, and a policy of them."""
    return run("06", "--demonstrations", 2, "--steps", 3, "--rollouts", 2, "--episode-limit", 9)


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the service that the page starts, in a folder of its own."""
    port, folder = free_port(), tmp_path_factory.mktemp("service")
    (serve,) = (line for line in commands(PAGE) if " serve " in line)
    with running(runnable(serve).replace("8000", str(port)), folder, f"http://127.0.0.1:{port}/readyz"):
        yield f"http://127.0.0.1:{port}"
