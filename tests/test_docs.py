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

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "docs/recipe.md")

ELSEWHERE = {
    "make train-decoupled": "tests/test_recipe.py, with PRESET=tiny",
    "make test": ".ci/run",
    "docker compose up --build --detach": "tests/test_compose.py",
}


def _commands(page: str) -> list[str]:
    """The commands of a page's sh blocks, continuation lines joined."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    joined = "\n".join(blocks).replace("\\\n", " ")
    return [line.strip() for line in joined.splitlines() if line.strip() and not line.startswith("#")]


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
def test_every_command_of_readme_and_recipe_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    port = _free_port()
    commands = [command for page in PAGES for command in _commands(page)]
    assert {command for command in commands if command in ELSEWHERE} == set(ELSEWHERE)
    own = [command for command in commands if command not in ELSEWHERE]
    own = [command.replace(".venv/bin/python", sys.executable).replace("8000", str(port)) for command in own]
    serve = next(command for command in own if " serve " in command)
    curls = [command for command in own if command.startswith("curl")]
    assert len(curls) == 2
    with _serving(serve, tmp_path, port):
        job = json.loads(_run(curls[0], tmp_path))
        listed = json.loads(_run(curls[1], tmp_path))
        assert job["id"] in json.dumps(listed)
    for command in own:
        if command != serve and command not in curls:
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
        assert re.search(rf"\b{target}\b", text)
