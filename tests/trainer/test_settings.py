"""Bad settings on the command line: named before anything is touched, so that a run to be overwritten survives."""

import sys
from pathlib import Path

import pytest
import torch

from shared.errors import TrainingError
from tests.trainer.example import HEADS, make_dataset, training
from tests.trainer.training.test_loop import make_loop
from trainer.__main__ import main
from trainer.commands import pretrain
from trainer.config import PretrainConfig
from trainer.training.backbone_files import save_backbone
from trainer.training.checkpoint import load_checkpoint, save_checkpoint
from trainer.training.run_folder import RunFolder
from trainer.training.threads import available_threads, with_threads

BAD = [
    ("--average-power", "-1"),
    ("--average-power", "nan"),
    ("--betas", "1 1"),
    ("--learning-rate", "nan"),
    ("--warmup-steps", "-5"),
    ("--weight-decay", "-0.1"),
    ("--validation-windows", "-1"),
    ("--windows-per-row", "0"),
    ("--batch-size", "0"),
    ("--clip-norm", "inf"),
    ("--threads", "0"),
    ("--max-wait", "nan"),
    ("--cache-gb", "nan"),
    ("--weights", "3,1"),
    ("--weights", "0"),
    ("--weights=-1", ""),
    ("--weights", "inf"),
    ("--weights", "much"),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished one, beside its data."""
    folder = tmp_path_factory.mktemp("settings")
    make_dataset(folder / "data")
    config = PretrainConfig(HEADS["dp_mlp-adaln_zero"], training(2), validation_windows=4)
    pretrain.run((str(folder / "data"),), folder / "run", config)
    return folder / "run"


@pytest.mark.parametrize(("option", "value"), BAD)
def test_a_bad_setting_is_named_and_the_finished_run_survives(
    option: str, value: str, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    arguments = ["pretrain", "--data", str(run.parent / "data"), "--out", str(run), "--overwrite"]
    monkeypatch.setattr(sys, "argv", ["trainer", *arguments, option, *value.split()])
    assert main() == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert option.lstrip("-").partition("=")[0].replace("-", "_") in said.replace("-", "_").partition(" is ")[0]
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def test_what_is_not_finite_is_never_published(run: Path, tmp_path: Path) -> None:
    head, info = load_checkpoint(run)
    weights = dict(head.named_parameters())
    with torch.no_grad():
        weights["backbone.blocks.0.up.weight"][0, 0] = float("inf")
    with pytest.raises(TrainingError, match=r"'blocks\.0\.up\.weight' holds numbers that are not finite, so .*"):
        save_backbone(tmp_path, head.backbone.state_dict(), info.head)
    with pytest.raises(TrainingError, match=r"'backbone\.blocks\.0\.up\.weight' holds numbers that are not finite"):
        save_checkpoint(tmp_path / "policy.safetensors", info, weights)
    assert not list(tmp_path.iterdir())
    # The last step's update, which no later loss would tell of.
    loop = make_loop(tmp_path / "run", training(3))
    update = loop.average.update

    def overflow() -> None:
        update()
        if loop.average.updates == 3:
            with torch.no_grad():
                loop.weights["conditioning.projection.bias"][0] = float("nan")

    loop.average.update = overflow  # type: ignore[method-assign]
    with pytest.raises(TrainingError, match=r"'weights/conditioning\.projection\.bias' holds numbers that are not"):
        loop.run()
    assert not loop.folder.training_state.exists()


def test_threads_are_the_cores_shared_by_what_runs_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(12)))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert available_threads() == 12
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    # torchrun's own, which says nothing of the machine.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert available_threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert available_threads() == 2
    monkeypatch.delenv("LOCAL_WORLD_SIZE")
    assert available_threads() == 2
    # A run that is gone on with keeps its own, so that it stays the same to the bit.
    config = PretrainConfig(training=training(2))
    (tmp_path / "config.json").write_text('{"config": {"training": {"threads": 5}}}')
    assert with_threads(config, RunFolder(tmp_path), overwrite=False).training.threads == 5
    assert with_threads(config, RunFolder(tmp_path), overwrite=True).training.threads == 2
    assert with_threads(config, RunFolder(tmp_path / "none"), overwrite=False).training.threads == 2
