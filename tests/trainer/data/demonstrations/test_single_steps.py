"""Demonstrations of one step: described, and left out alike by what learns from motion."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.errors import DemonstrationError
from shared.summary_file import read_summary
from tests.trainer.data.demonstrations.example import RANGES
from tests.trainer.data.demonstrations.lerobot_example import episodes, write_lerobot
from tests.trainer.example import training
from trainer.commands import adapt, inspect, summarize
from trainer.config import AdaptConfig

MAPPING = {
    "observation": {"low_dim": ["observation.state"]},
    "action": {
        "space": "ee_pose",
        "position": {"columns": "action[0:3]"},
        "rotation": {"columns": "action[3:9]", "encoding": "rot6d"},
        "gripper": {"columns": "action[9]", "open": -1, "closed": 1},
    },
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With `set`, whose first episode has one step, its mapping and an action range."""
    tables = episodes(4)
    tables[0] = {name: values[:1] for name, values in tables[0].items()}
    write_lerobot(tmp_path / "set", tables)
    (tmp_path / "mapping.json").write_text(json.dumps(MAPPING))
    (tmp_path / "range.json").write_text(json.dumps(RANGES))
    return tmp_path


def run_summarize(folder: Path, count: int | None) -> None:
    summarize.run(folder / "set", folder / "summary.json", count, held_out=0.0, mapping=folder / "mapping.json")


def run_adapt(folder: Path, count: int | None) -> None:
    config = AdaptConfig(mode="normal", training=training(1))
    adapt.run(
        (folder / "set",),
        folder / "run",
        config,
        count=count,
        action_range=folder / "range.json",
        mapping=(folder / "mapping.json",),
    )


@pytest.mark.parametrize("run", [run_summarize, run_adapt])
def test_single_steps_are_left_out_and_said_to_be(
    folder: Path, capsys: pytest.CaptureFixture[str], run: Callable[[Path, int | None], None]
) -> None:
    run(folder, None)
    assert "left out: episode 0, of 1 step; a motion has 2 at least" in capsys.readouterr().out
    if run is run_summarize:
        assert read_summary(folder / "summary.json").demonstrations == 3


@pytest.mark.parametrize("run", [run_summarize, run_adapt])
def test_nothing_but_single_steps_is_no_motion(folder: Path, run: Callable[[Path, int | None], None]) -> None:
    with pytest.raises(
        DemonstrationError, match=r"set: episode 0 has 1 step; a motion has 2 at least, and no other is used"
    ):
        run(folder, 1)


def test_a_single_step_is_described(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inspect.run(folder / "set", folder / "mapping.json", 1, frames=folder / "frames")
    said = capsys.readouterr().out
    assert said.startswith("1 demonstrations of 'pick' by arm6 at 20 Hz, 0 s, 0 held out")
    assert "speed" not in said
