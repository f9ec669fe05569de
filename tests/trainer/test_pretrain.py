import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from shared.errors import ConfigError, DatasetCancelledError
from tests.shared.example import HEADER
from tests.trainer.example import make_dataset, training
from trainer.checkpoint import load_checkpoint
from trainer.config import PretrainConfig
from trainer.pretrain import pretrain

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
