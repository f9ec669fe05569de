"""The package by itself, installed into clean environments of the oldest and the newest Python that it is for."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interpreters import clean_environment
from tests.pages import ROOT
from tests.services.example import RunningService, running_service

pytestmark = [pytest.mark.install, pytest.mark.timeout(900)]

MOST_BYTES = 40_000_000
"""Of the package's wheel and those of all that it needs: what is fetched. Unpacked, NumPy alone is larger."""
HEAVY = {"torch", "ray", "pinocchio", "pyarrow", "pydantic", "services", "trainer", "shared"}
WITHOUT_DATA = """
import importlib.metadata, json, sys
import headstart_client
from headstart_client import ArmLimits, Client, Executor, PolicyClient, Runner
limits = ArmLimits.from_robot(Client(sys.argv[1]).robot("so101"))
executor = Executor(limits, (limits.lower + limits.upper) / 2, rate_hz=100, policy_rate_hz=20)
try:
    headstart_client.generate
except ModuleNotFoundError as error:
    print(json.dumps([str(error), executor.tick(0.0).position.shape,
                      sorted(one.metadata["name"].lower() for one in importlib.metadata.distributions())]))
"""
WITH_DATA = """
import json, sys
from headstart_client import generate
rows = generate("so101", 30, url=sys.argv[1], folder=sys.argv[2], progress=False, seed=3)
loaded = sorted(set(sys.modules) & set(sys.argv[3:]))
print(json.dumps([len(rows.table()), rows[29]["joint_position"].shape[1], loaded]))
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A real one, for both Pythons."""
    data = tmp_path_factory.mktemp("install") / "data"
    with running_service(data, "--engine", "process", "--workers", "1") as running:
        yield running


def said(python: Path, code: str, *arguments: str) -> Any:
    """What a program of JSON says, in a clean environment."""
    done = subprocess.run(
        [python, "-I", "-W", "error", "-c", code, *arguments], cwd="/", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("version", ["3.10", "3.13"])
def test_it_installs_alone_and_small(version: str, service: RunningService, tmp_path: Path) -> None:
    python, pip = clean_environment(version, tmp_path / "clean")
    # Built outside the checkout, which a build would leave files in.
    package = shutil.copytree(ROOT / "packages" / "headstart-client", tmp_path / "package")
    wheels = tmp_path / "wheels"
    subprocess.run([*pip, "wheel", "--wheel-dir", wheels, package], check=True)
    assert sum(file.stat().st_size for file in wheels.iterdir()) < MOST_BYTES
    subprocess.run([*pip, "install", "--no-index", "--find-links", wheels, "headstart-client"], check=True)
    problem, shape, names = said(python, WITHOUT_DATA, service.url)
    assert "pip install 'headstart-client[data]'" in problem
    assert shape == [5]
    assert not HEAVY & set(names)
    subprocess.run([*pip, "install", f"{package}[data]"], check=True)
    assert said(python, WITH_DATA, service.url, str(tmp_path / "rows"), *HEAVY - {"pyarrow"}) == [30, 5, []]
