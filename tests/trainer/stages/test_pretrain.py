import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from shared.errors import ConfigError, DatasetCancelledError
from tests.shared.example import HEADER
from tests.trainer.example import make_dataset, training
from trainer.__main__ import main
from trainer.config import PretrainConfig
from trainer.data.motion_basis import read_basis
from trainer.stages.pretrain import pretrain
from trainer.training.checkpoint import load_checkpoint

CONFIG = PretrainConfig(training=training(8, log_every=2), validation_share=0.2, validation_windows=8)


def test_stopped_by_sigterm_and_started_again_it_ends_with_the_same_weights(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "dataset")
    whole, _ = load_checkpoint(pretrain(tmp_path / "whole", dataset, CONFIG))

    def stop(done: int, total: int, note: str = "") -> None:
        if done == 4:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        pretrain(tmp_path / "parts", dataset, CONFIG, progress=stop)
    assert (tmp_path / "parts" / "checkpoints" / "training.safetensors").exists()
    parts, info = load_checkpoint(pretrain(tmp_path / "parts", dataset, CONFIG))
    assert all(torch.equal(value, parts.state_dict()[name]) for name, value in whole.state_dict().items())
    assert info.step == 8
    backbones = [next((tmp_path / name / "backbones").iterdir()).name for name in ("whole", "parts")]
    assert backbones == [f"{info.backbone}.safetensors"] * 2


def test_without_a_condition_and_with_another_range(tmp_path: Path) -> None:
    wide = {"position": {"min": [-2.0] * 3, "max": [2.0] * 3}}
    config = replace(CONFIG, condition="none", training=training(2))
    _, info = load_checkpoint(pretrain(tmp_path / "run", make_dataset(tmp_path), config, action_range=wide))
    assert info.condition_dim == 0
    assert info.action_range == HEADER.action_range | wide
    with pytest.raises(ConfigError, match=r"action_range\.position\.max is \[1\.0, 1\.0, 1\.0\], there it is \[2\.0"):
        pretrain(tmp_path / "run", make_dataset(tmp_path), config)


def test_a_range_of_positions_alone_leaves_that_of_the_joints(tmp_path: Path) -> None:
    wide = {"position": {"min": [-2.0] * 3, "max": [2.0] * 3}}
    config = replace(CONFIG, training=training(2))
    _, info = load_checkpoint(pretrain(tmp_path / "run", make_dataset(tmp_path), config, action_range=wide))
    assert info.condition_dim == 48
    assert info.action_range == {"position": wide["position"], "joint_position": HEADER.action_range["joint_position"]}


def test_a_dataset_whose_job_was_cancelled_is_said(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "dataset", shards=1)
    dataset.set_state("cancelled")
    with pytest.raises(DatasetCancelledError, match=f"cancelled after 1 shards|{HEADER.dataset_id[:12]}"):
        pretrain(tmp_path / "run", dataset, CONFIG)


def test_the_basis_command_learns_what_stage_1_learns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = make_dataset(tmp_path / "dataset")
    config = replace(CONFIG, training=training(20))
    # The share that is held out is the default's.
    _, info = load_checkpoint(pretrain(tmp_path / "run", dataset, replace(config, validation_share=0.02)))
    out = tmp_path / "new" / "basis.json"
    monkeypatch.setattr("sys.argv", ["trainer", "basis", "--data", str(tmp_path / "dataset"), "--out", str(out)])
    assert main() == 0
    basis = read_basis(out)
    assert basis.to_json() == info.motion_basis
    assert capsys.readouterr().out == f"{basis.kept} of 16 directions carry {basis.windows:,} windows: {out}\n"
    assert [path.name for path in out.parent.iterdir()] == ["basis.json"]


def test_stage_1_without_a_basis_says_so(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "dataset")
    _, none = load_checkpoint(pretrain(tmp_path / "none", dataset, replace(CONFIG, directions=0)))
    _, four = load_checkpoint(pretrain(tmp_path / "four", dataset, replace(CONFIG, directions=4)))
    assert none.motion_basis is None
    assert four.basis is not None
    assert four.basis.kept == 4
    with pytest.raises(ConfigError, match=r"directions is -1; it must be 0 \(no motion basis\) to the horizon, 16"):
        replace(CONFIG, directions=-1)
