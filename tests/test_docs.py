"""Every command in the documentation is run: here, in the order in which a reader meets it, or where ELSEWHERE says."""

import json
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "docs/audit.md", "docs/recipe.md", "docs/report.md")

ELSEWHERE = {
    "make train-decoupled": "tests/test_recipe.py, with PRESET=tiny",
    "make test": ".ci/run",
    ".venv/bin/torchrun --nproc-per-node 2 -m trainer pretrain --data data/example --out runs/shared": (
        "tests/trainer/test_ranks.py"
    ),
    "docker compose up --build --detach": "tests/test_compose.py",
    "export HEADSTART_API_KEY=$(docker compose exec -T service cat /data/api-key)": "tests/test_compose.py",
    "docker compose run --rm trainer make train-decoupled PRESET=tiny": "tests/test_compose.py",
}


def _commands(page: str) -> list[str]:
    """The commands of a page's sh blocks, continuation lines joined."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    joined = "\n".join(blocks).replace("\\\n", " ")
    return [line.strip() for line in joined.splitlines() if line.strip() and not line.startswith("#")]


def curl_lines(port: int) -> str:
    """README's REST lines as one script, for a service at `port`."""
    lines = [command for command in _commands("README.md") if command.startswith(("curl", "JOB="))]
    return "; ".join(["set -e", *lines]).replace("8000", str(port))


def check_curl_lines(folder: Path) -> None:
    """That what they fetched into `folder` is the 2,000 rows they asked for."""
    with pa.ipc.open_stream(folder / "rows.arrow") as stream:
        ids = stream.read_all().column("trajectory_id").to_pylist()
    assert ids == list(range(2000))
    shard = pq.read_table(folder / "shard-00000000.parquet")
    assert shard.column("trajectory_id").to_pylist() == list(range(500))


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def _serving(command: str, folder: Path, port: int) -> Iterator[None]:
    with (folder / "service.log").open("wb") as log:
        process = subprocess.Popen(command.split(), cwd=folder, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 120
            while time.monotonic() < deadline:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2):
                        break
                except (urllib.error.URLError, OSError):
                    assert process.poll() is None, (folder / "service.log").read_text()
                    time.sleep(0.2)
            yield
        finally:
            process.terminate()
            process.wait(60)


def _run(command: str, folder: Path) -> str:
    done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.timeout(600)
def test_every_command_of_the_pages_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("NO_PROXY", "localhost")
    port = _free_port()
    commands = [command for page in PAGES for command in _commands(page)]
    assert {command for command in commands if command in ELSEWHERE} == set(ELSEWHERE)
    own = [command for command in commands if command not in ELSEWHERE]
    own = [command.replace(".venv/bin/python", sys.executable).replace("8000", str(port)) for command in own]
    serve = next(command for command in own if " serve " in command)
    rest = [command for command in own if command.startswith(("curl", "JOB="))]
    with _serving(serve, tmp_path, port):
        _run(curl_lines(port), tmp_path)
    check_curl_lines(tmp_path)
    for command in own:
        if command != serve and command not in rest:
            _run(command, tmp_path)
    assert json.loads((tmp_path / "runs" / "example-lift" / "result.json").read_text())["episodes"] == 2


def test_links_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_make_help_names_every_target_of_the_readme() -> None:
    text = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("setup", "check", "fix", "test", "bench", "up", "down", "train-decoupled"):
        assert re.search(rf"^\s*(\x1b\[1m)?{target}\s", text, re.MULTILINE), target
