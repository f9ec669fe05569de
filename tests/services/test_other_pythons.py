"""The services, installed into clean environments of other Pythons than the tested one, and used there."""

import hashlib
import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from headstart.commands import COMMANDS
from shared.motions_file import write_motions
from tests.interpreters import clean_environment, copied_packages
from tests.pages import ROOT
from tests.services.example import command
from tests.services.synthesis.everything import ROWS, bodies, hashes
from tests.stacking import motions

pytestmark = [pytest.mark.install, pytest.mark.timeout(2400)]

BODY = {"robot": "so101", "count": 30, "seed": 5, "shard_rows": 10, "workspace": {"kind": "reachable"}}
VERSIONS = """
import importlib.metadata, json
print(json.dumps({one.metadata["name"]: one.version for one in importlib.metadata.distributions()}))
"""
EVERYTHING = """
import json, sys
from pathlib import Path
from services.synthesis.pipeline import plan_shards, synthesize
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.motions_file import read_motions
from shared.records import content_hash
of = read_motions(Path(sys.argv[1]))
find = {of.content_sha256: of}.get
requests = {name: TrajectoryRequest.parse(body, motions=find) for name, body in json.load(sys.stdin).items()}
print(json.dumps({name: content_hash(synthesize(plan_shards(one)[0]).table) for name, one in requests.items()}))
"""
STREAM = """
import json, sys
from headstart_client import Client
with Client(sys.argv[1]) as client:
    job = client.submit(json.load(sys.stdin))
    rows = [row for batch in client.stream(job["id"]) for row in batch["trajectory_id"].to_pylist()]
print(json.dumps(sorted(rows)))
"""


class Installed:
    """Headstart's services in an environment of their own."""

    def __init__(self, version: str, folder: Path) -> None:
        self.python, pip = clean_environment(version, folder / "clean")
        self.folder, source = folder, copied_packages(folder / "source")
        wanted = [f"{source}[services]", str(source / "packages" / "headstart-client")]
        subprocess.run([*pip, "install", "-c", str(source / "constraints.txt"), *wanted], check=True)
        subprocess.run([*pip, "check"], check=True)

    def run(self, *arguments: str | Path, told: Any = None) -> "subprocess.CompletedProcess[str]":
        """Its Python, which sees nothing of the checkout; a warning is an error."""
        given = [str(self.python), "-I", "-W", "error", *map(str, arguments)]
        return subprocess.run(
            given,
            cwd=self.folder,
            env=_outside(),
            input=json.dumps(told),
            capture_output=True,
            text=True,
            check=False,
        )

    def said(self, code: str, *arguments: str | Path, told: Any = None) -> Any:
        """What a program of JSON says."""
        done = self.run("-c", code, *arguments, told=told)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    @contextmanager
    def serving(self) -> Iterator[str]:
        """A service with Ray, by its URL."""
        ready, log = self.folder / "url", self.folder / "serve.log"
        given = [
            "serve",
            "--data",
            "data",
            "--port",
            "0",
            "--engine",
            "ray",
            "--workers",
            "1",
            "--ready-file",
            str(ready),
        ]
        with log.open("w") as file:
            started = [str(self.python), "-I", "-m", "headstart", *given]
            process = subprocess.Popen(started, cwd=self.folder, env=_outside(), stderr=file)
        try:
            deadline = time.monotonic() + 300
            while not ready.exists():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
            yield ready.read_text().strip()
        finally:
            process.terminate()
            assert process.wait(60) == 0, log.read_text()


@pytest.fixture(scope="module", params=["3.12", "3.13"])
def installed(request: pytest.FixtureRequest) -> Iterator[Installed]:
    """Removed afterwards: it is 1.9 GB."""
    with tempfile.TemporaryDirectory() as folder:
        yield Installed(request.param, Path(folder))


def test_constraints_hold_and_nothing_is_missing(installed: Installed) -> None:
    tested = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    tested = {_plain(name): version for name, version in tested.items()}
    found = {_plain(name): version for name, version in installed.said(VERSIONS).items()}
    ours = {"headstart", "headstart-client"}
    assert {name: version for name, version in found.items() if name not in ours} == {
        name: tested.get(name) for name in found.keys() - ours
    }
    doctor = installed.run("-m", "headstart", "doctor", "--json")
    (services,) = (part for part in json.loads(doctor.stdout)["parts"] if part["name"] == "services")
    assert (services["missing"], services["unfit"], doctor.stderr) == ([], [], "")


def test_commands_help_or_say_what_they_need(installed: Installed) -> None:
    for one in COMMANDS:
        if one.program == "services":
            done = installed.run("-m", "headstart", one.name, "--help")
            assert (done.returncode, done.stderr) == (0, ""), one.name
            assert f"headstart {one.name}" in done.stdout
    done = installed.run("-m", "headstart", "pretrain", "--help")
    assert (done.returncode, done.stdout) == (2, "")
    assert "which is not installed: pip install 'headstart[trainer]'" in done.stderr


def test_the_same_rows(installed: Installed) -> None:
    """Of every workspace, family and goal, as here."""
    of = motions(3)
    write_motions(of, installed.folder / "motions.parquet")
    told = bodies(ROWS, of.content_sha256)
    assert installed.said(EVERYTHING, installed.folder / "motions.parquet", told=told) == hashes(ROWS)


def test_the_same_files(installed: Installed, tmp_path: Path) -> None:
    """To the byte, whatever makes them; the audit finds nothing, and a service streams all rows."""
    request = tmp_path / "request.json"
    request.write_text(json.dumps(BODY))
    given = ["generate", "--request", str(request), "--out"]
    made = command(*given, str(tmp_path / "here"), "--engine", "inline")
    _, error = made.communicate(timeout=300)
    assert made.returncode == 0, error
    here = _files(tmp_path / "here")
    assert len(here) == 3
    for engine in ("inline", "process"):
        done = installed.run("-m", "headstart", *given, engine, "--engine", engine)
        assert done.returncode == 0, done.stderr
        assert _files(installed.folder / engine) == here
    audit = installed.run("-m", "headstart", "audit", "inline")
    assert audit.returncode == 0, audit.stdout
    assert re.search(r"sealed: 3 of 3 shards, 30 rows; looked at .* of 30 rows in .*: 0 violations", audit.stdout)
    with installed.serving() as url:
        assert installed.said(STREAM, url, told=BODY) == list(range(30))
    (streamed,) = {path.parents[1] for path in (installed.folder / "data").rglob("shard-*.parquet")}
    assert _files(streamed) == here


def _files(dataset: Path) -> dict[str, str]:
    """The sha256 of the files of shards, by their names."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (dataset / "shards").iterdir()}


def _outside() -> dict[str, str]:
    """The variables of this process but those that lead into the checkout, or set the services up."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("HEADSTART_", "PYTHON"))}


def _plain(name: str) -> str:
    """A package's name as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()
