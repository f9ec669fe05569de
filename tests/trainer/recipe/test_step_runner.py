"""Steps are real processes here, so each test gives the trainer's own command line something small to do."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from trainer.recipe.step_runner import Step, StepError, run_steps


def _console() -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    return Console(file=text, width=200), text


def _step(folder: Path, name: str, needs: tuple[str, ...] = ()) -> Step:
    """A step that asks for a command that doesn't exist: it fails before anything is imported."""
    return Step(name, ("nonsense",), folder / f"{name}.done", needs)


def test_a_failing_step_is_named_with_its_log_and_last_words(tmp_path: Path) -> None:
    console, _ = _console()
    with pytest.raises(StepError, match=r"step 'one' ended with code 2; its log is .*one\.log"):
        run_steps([_step(tmp_path, "one")], tmp_path / "logs", 1, console)
    assert "nonsense" in (tmp_path / "logs" / "one.log").read_text()


def test_done_steps_are_skipped_and_what_needs_a_failed_one_never_starts(tmp_path: Path) -> None:
    console, text = _console()
    (tmp_path / "one.done").touch()
    steps = [_step(tmp_path, "one"), _step(tmp_path, "two", ("one",)), _step(tmp_path, "three", ("two",))]
    with pytest.raises(StepError, match="step 'two'"):
        run_steps(steps, tmp_path / "logs", 2, console)
    assert "one: done earlier" in text.getvalue()
    assert not (tmp_path / "logs" / "three.log").exists()
    run_steps(steps[:1], tmp_path / "logs", 1, console)


_PARENT = """
import sys
from pathlib import Path
from rich.console import Console
from trainer.recipe.step_runner import Step, run_steps
folder = Path(sys.argv[1])
target = folder / "d.hdf5"
step = Step("long", ("demonstrate", "--task", "lift", "--successes", "500", "--out", str(target)), target)
try:
    run_steps([step], folder / "logs", 1, Console())
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_an_interrupt_ends_every_step_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", _PARENT, str(tmp_path)], stdout=subprocess.DEVNULL)
    progress_file = tmp_path / "logs" / "long.progress.json"
    deadline = time.monotonic() + 120
    while not progress_file.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    state = json.loads(progress_file.read_text())
    assert 0 < state["done"] < state["total"] == 500
    parent.send_signal(signal.SIGINT)
    assert parent.wait(60) == 130
    assert not [name for name in os.listdir(tmp_path) if "hdf5" in name]
