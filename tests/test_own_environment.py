"""docs/own-environment.md: every command is run in its order, in the page's environment and in others'."""

import json
import os
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import av
import pytest

from tests.pages import ROOT, blocks, commands, runnable
from tests.trainer.simulation.test_gymnasium_task import TOOL
from tests.trainer.simulation.test_with_cameras import drawable
from trainer.data.demonstrations.mapping.mapping_file import parse_tables
from trainer.simulation.environment_file import EnvironmentFile

pytestmark = pytest.mark.timeout(900)

PAGE = "docs/own-environment.md"

# A test has seconds where a user has minutes.
SHORTER = (
    (r"--successes \d+", "--successes 2 --first-seed 1"),
    (r"--episodes \d+", "--episodes 2"),
    (r"--steps \d+", "--size tiny --steps 2 --batch-size 2 --validation-windows 4 --compile off --no-tensorboard"),
)


def run(command: str, folder: Path, is_warm: bool = True) -> str:
    for pattern, shorter in SHORTER:
        command = re.sub(pattern, shorter, command)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    arguments = shlex.split(runnable(command, is_warm))
    done = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def of_task(task: str) -> list[str]:
    found = [command for command in commands(PAGE) if task in command]
    assert len(found) == 3
    return found


def check(folder: Path, task: str, said: str) -> None:
    result = json.loads((folder / "runs" / task / "result.json").read_text())
    assert (result["episodes"], result["first_seed"]) == (2, 100_000)
    assert "faults" not in result
    assert re.search(rf"^{result['successes']} of 2 rollouts of .* succeeded", said, re.MULTILINE)


def test_the_pages_own_task(tmp_path: Path) -> None:
    (tmp_path / "my_task.py").write_text(blocks(PAGE, "python")[0])
    said = [run(command, tmp_path) for command in of_task("reach")]
    assert said[0].split() == ["demonstrations:", "reach.hdf5", "mapping:", "reach.toml"]
    check(tmp_path, "reach", said[2])
    for seed in (100_000, 100_001):
        with av.open(str(tmp_path / "videos" / f"reach-{seed}.mp4")) as video:
            stream = video.streams.video[0]
            assert (stream.height, stream.width) == (240, 320)
            assert float(stream.average_rate or 0) == 20
            # Nothing was learned: each rollout goes on to its end, and is seen before its first step, too.
            assert sum(1 for _ in video.decode(stream)) == 41


@drawable
def test_gym_aloha(tmp_path: Path) -> None:
    """Joints and a camera, with the example's expert, in small pictures."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    example = tmp_path / "examples" / "tasks" / "aloha.toml"
    text = example.read_text().replace("gym_aloha:", "tests.trainer.simulation.small_aloha:")
    text = text.replace('"rgb_array"', '"rgb_array", visualization_width = 64, visualization_height = 48')
    example.write_text(text.replace("episode_limit = 300", "episode_limit = 110"))
    said = [run(command, tmp_path) for command in of_task("aloha")]
    check(tmp_path, "aloha", said[2])
    assert len(list((tmp_path / "videos").iterdir())) == 2


def test_a_task_of_robosuite(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    # Not warm: so that what each of the three imports by itself, in its own order, is seen to work.
    said = [run(command, tmp_path, is_warm=False) for command in of_task("milk")]
    check(tmp_path, "milk", said[2])


def test_the_mapping_on_the_page_is_the_examples() -> None:
    whole, part = map(tomllib.loads, blocks(PAGE, "toml"))
    assert whole == tomllib.loads((ROOT / "examples" / "tasks" / "aloha.toml").read_text())
    parse_tables(EnvironmentFile, TOOL | part, PAGE)


def test_every_command_is_one_of_a_task() -> None:
    assert sum(len(of_task(one)) for one in ("reach", "aloha", "milk")) == len(commands(PAGE))
