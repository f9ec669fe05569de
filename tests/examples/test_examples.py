"""Every example of examples/README.md runs, small, and says what the page says it says."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import matplotlib.image
import pytest

from shared.dataset import Dataset
from shared.motions_file import motions_of
from tests.examples.conftest import PAGE, Run, command_of, masked
from tests.pages import ROOT, blocks, commands, free_port
from trainer.config import CONDITIONINGS
from trainer.data.demonstrations import read_demonstrations
from trainer.deployment.policy import Policy
from trainer.model import backbones
from trainer.training.checkpoint import read_info

EXAMPLES = sorted((ROOT / "examples").glob("[0-9]*.py"))


def shown(example: str) -> str:
    """What the page says that it prints."""
    return blocks(PAGE, "text")[[path.name[:2] for path in EXAMPLES].index(example)]


def says(example: str, said: str) -> None:
    """That what it printed is what the page shows, but for numbers."""
    assert masked(said) == masked(shown(example))


def test_01_generates(generated: str, folder: Path) -> None:
    says("01", generated)
    # However many are asked for, the first is the same.
    assert generated.splitlines()[1] == shown("01").splitlines()[1]
    dataset = Dataset(folder / "try" / "data")
    assert dataset.state().state == "sealed"
    assert dataset.totals().rows == 40


def test_02_draws_a_row(run: Run, generated: str, folder: Path) -> None:
    assert run("02") == shown("02")
    picture = matplotlib.image.imread(folder / "try" / "row.png")
    assert picture.shape[:2] == (840, 1100)
    assert picture.std() > 0.05


def test_03_trains_on_rows_as_they_come(run: Run, service: str) -> None:
    lines = run("03", "--service", service, "--count", 300).splitlines(keepends=True)
    says("03", lines[-1])
    seen = [int(line.split()[0]) for line in lines]
    assert seen == sorted(set(seen))
    assert (len(seen) >= 3, seen[-1]) == (True, 300)


def test_04_pretrains(pretrained: str, folder: Path) -> None:
    says("04", pretrained)
    info = read_info(folder / "try" / "stage1")
    assert (info.stage, info.robot, info.step) == (1, "panda", 4)


def test_05_adapts_to_a_lerobot_set(adapted: str, folder: Path) -> None:
    says("05", adapted)
    policy = Policy.load(folder / "try" / "policy" / "run")
    assert policy.info.mode == "decoupled"
    assert policy.info.backbone == read_info(folder / "try" / "stage1").backbone


def test_06_rolls_out(rolled_out: str, folder: Path) -> None:
    says("06", rolled_out)
    assert rolled_out == "0 of 2 rollouts of lift succeeded\n"
    assert len(read_demonstrations(folder / "try" / "lift" / "lift.hdf5").episodes) == 2


@pytest.fixture
def own_heads() -> Iterator[None]:
    """What the example adds is gone after it."""
    with patch.dict(backbones._BACKBONES), patch.dict(CONDITIONINGS):
        yield


def test_08_has_a_head_of_its_own(run: Run, generated: str, folder: Path, own_heads: None) -> None:
    says("08", run("08", "--steps", 2))
    assert read_info(folder / "try" / "own-head").head.head == "gru"


def test_09_serves_and_asks(run: Run, adapted: str) -> None:
    says("09", run("09", "--port", free_port()))


def test_10_makes_copies(run: Run, rolled_out: str, folder: Path) -> None:
    says("10", run("10", "--count", 4, "--engine", "inline"))
    motions = motions_of(Dataset(folder / "try" / "copies"))
    assert motions is not None
    assert (motions.task, len(motions.motions)) == ("lift", 2)


def test_11_keeps_the_limits(run: Run, generated: str) -> None:
    said = run("11")
    assert said == shown("11")
    assert " 0 beyond a limit" in said
    (off,) = re.findall(r"rests ([\d.]+) rad", said)
    assert float(off) < 0.03


def test_12_trains_on_windows_in_a_loop_of_its_own(run: Run, generated: str) -> None:
    said = run("12", "--steps", 30)
    says("12", said)
    # The same batches, so the same weights, whatever makes them.
    assert run("12", "--steps", 30, "--workers", 0) == said
    (off,) = re.findall(r"off by ([\d.]+) mm", said)
    assert 0 < float(off) < 500


def test_the_page_has_every_example_in_order_and_each_says_how_it_is_run() -> None:
    numbers = [path.name[:2] for path in EXAMPLES]
    lines = [line for line in commands(PAGE) if "examples/" in line]
    assert [re.findall(r"examples/(\d\d)_", line) for line in lines] == [[number] for number in numbers]
    assert len(blocks(PAGE, "text")) == len(numbers)
    for path in EXAMPLES:
        text = ast.get_docstring(ast.parse(path.read_text())) or ""
        assert "You learn " in text, path
        assert f"    python {' '.join(command_of(path.name[:2]))}\n" in f"{text}\n", path
        assert len(path.read_text().splitlines()) <= 90, path


def test_they_write_into_the_folder_they_are_given_alone(
    folder: Path, generated: str, pretrained: str, adapted: str, rolled_out: str
) -> None:
    assert [path.name for path in folder.iterdir()] == ["try"]
