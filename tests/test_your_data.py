"""docs/your-data.md: every command is run in its order, on a data set that LeRobot wrote; every mapping is read."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from shared.client import Client
from tests.pages import ROOT, blocks, runnable
from tests.services.example import running_service
from tests.trainer.data.demonstrations.written import unpack_lerobot
from trainer.data.demonstrations.mapping.mapping_file import parse_mapping

PAGE = "docs/your-data.md"

# A test has seconds where a user has minutes.
SHORTER = (
    (r'"count": \d+', '"count": 48, "shard_rows": 16'),
    (r"--steps \d+", "--steps 2 --batch-size 2 --compile off"),
)


def shorter(text: str) -> str:
    for pattern, replacement in SHORTER:
        text = re.sub(pattern, replacement, text)
    return runnable(text)


def run(command: list[str], folder: Path, **more: str) -> str:
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "HOME": str(folder)} | more
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=800)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.timeout(900)
def test_every_command_works_in_its_order(tmp_path: Path) -> None:
    (unpack_lerobot("v3.0", tmp_path) / "poses").rename(tmp_path / "my-demonstrations")
    (tmp_path / "my-mapping.toml").write_text(blocks(PAGE, "toml")[0])
    (tmp_path / "request.json").write_text(shorter(blocks(PAGE, "json")[0]))
    commands = [shorter(block.replace("\\\n", " ")).strip() for block in blocks(PAGE, "sh")]
    assert len(commands) == 6
    with running_service(tmp_path / "service", "--engine", "process", "--workers", "1") as service:
        Client(service.url).wait_ready()
        said = [run(["bash", "-c", command], tmp_path, HEADSTART_URL=service.url) for command in commands[:2]]
    said += [run(["bash", "-c", command], tmp_path) for command in commands[2:]]
    assert "observation.state [8]" in said[0]
    assert "2 questions are marked CAN'T TELL" in said[1]
    check_proposal(tmp_path)
    assert "3 demonstrations of 'pick up the block' by panda at 20 Hz" in said[2]
    assert "checked: every assumption of the mapping holds" in said[2].splitlines()
    assert "lag: what is observed follows commands after " in said[2]
    (snippet,) = blocks(PAGE, "python")
    seen = run([sys.executable, "-c", snippet + "\nprint(actions.shape)"], tmp_path).splitlines()
    assert seen[0].startswith("{'observation.state': 8} {'observation.images.front': Camera(size=(64, 64)")
    assert seen[-1] == "(1, 8, 10)"


def check_proposal(folder: Path) -> None:
    """What is proposed is what the page has people write, and the lines that it shows are in the file."""
    proposed, written = (tomllib.loads((folder / f"{name}-mapping.toml").read_text()) for name in ("proposed", "my"))
    assert {**proposed, "action": proposed["action"] | {"mode": "absolute"}} == {
        **{key: value for key, value in written.items() if key != "observation"},
        "action": written["action"] | {"mode": "absolute"},
    }
    (shown,) = re.findall(
        r'^# commanded and observed.*?^# frame = "base"$', (ROOT / PAGE).read_text(), re.DOTALL | re.MULTILINE
    )
    assert shown in (folder / "proposed-mapping.toml").read_text()


def test_every_mapping_is_one() -> None:
    whole = 0
    for text in blocks(PAGE, "toml"):
        content = tomllib.loads(text)
        if "action" in content:
            state = next(tomllib.loads(other) for other in blocks(PAGE, "toml") if "actions_abs" in other)["state"]
            parse_mapping({"state": state} | content, "the page")
            whole += 1
        else:
            action = tomllib.loads(blocks(PAGE, "toml")[0])["action"]
            parse_mapping({"action": action | content}, "the page")
    assert whole == 4


def test_the_error_that_is_shown_is_the_one_that_comes(tmp_path: Path) -> None:
    (unpack_lerobot("v3.0", tmp_path) / "poses").rename(tmp_path / "my-demonstrations")
    wrong = blocks(PAGE, "toml")[0].replace("quat_xyzw", "quat_wxyz")
    (tmp_path / "my-mapping.toml").write_text(wrong)
    command = [sys.executable, "-m", "trainer", "inspect", "my-demonstrations", "--mapping", "my-mapping.toml"]
    environment = {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=800)
    assert done.returncode == 2
    (shown,) = re.findall(r"^error: .*?accept$", (ROOT / PAGE).read_text(), re.DOTALL | re.MULTILINE)
    assert done.stderr.split() == shown.split()


def test_the_request_is_at_the_demonstrations_rate() -> None:
    request = json.loads(blocks(PAGE, "json")[0])
    assert request["rate_hz"] == 20.0
    assert request["robot"] == "panda"
