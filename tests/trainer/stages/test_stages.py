"""Every head and conditioning through both stages, to a policy that answers: what no part's own test can show."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from shared.dataset import Dataset
from tests.trainer.example import HEADS, make_dataset, make_demonstrations, training
from trainer.config import (
    AdaptConfig,
    HeadConfig,
    PredictionType,
    PretrainConfig,
    Stage1Condition,
    default_sampling_steps,
)
from trainer.deployment.policy import Policy
from trainer.stages.adapt import adapt
from trainer.stages.pretrain import pretrain
from trainer.training.checkpoint import load_checkpoint, read_info

WIDE = {
    "position": {"min": [-1.0, -1.0, -1.0], "max": [1.0, 1.0, 2.0]},
    "joint_position": {"min": [-3.0] * 2, "max": [3.0] * 2},
}
OBSERVATIONS = np.random.default_rng(0).normal(size=(3, 2, 9)).astype(np.float32)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_dataset(tmp_path_factory.mktemp("dataset"))


def stage1(folder: Path, dataset: Dataset, head: HeadConfig, condition: Stage1Condition = "joint_position") -> Path:
    config = PretrainConfig(
        head=head, training=training(2), condition=condition, validation_share=0.2, validation_windows=4
    )
    return pretrain(folder, dataset, config, action_range=WIDE)


def stage2(folder: Path, head: HeadConfig, stage1: Path) -> Path:
    demonstrations = make_demonstrations(action=head.action)
    config = AdaptConfig(head=head, training=training(3), validation_windows=4)
    return adapt(folder, demonstrations, config, stage1=stage1)


def check_round_trip(folder: Path, dataset: Dataset, head: HeadConfig, action_dim: int) -> None:
    first = stage1(folder / "stage1", dataset, head)
    path = stage2(folder / "stage2", head, first)
    # Stage 2 holds its conditioning alone; the backbone is Stage 1's to the bit.
    assert {name.split(".")[0] for name in load_file(path)} == {"conditioning"}
    assert read_info(path).backbone == read_info(first).backbone
    loaded, info = load_checkpoint(path)
    backbone = load_checkpoint(first)[0].backbone.state_dict()
    assert all(torch.equal(value, backbone[name]) for name, value in loaded.backbone.state_dict().items())
    assert info.head == head
    policy = Policy.load(path, precision="fp32")
    answers = policy(OBSERVATIONS)
    assert answers.shape == (3, 8, action_dim)
    assert np.isfinite(answers).all()
    assert np.abs(policy(OBSERVATIONS[1:2])[0] - answers[1]).max() < 1e-5


@pytest.mark.parametrize("name", HEADS)
def test_from_trajectories_to_a_policy(name: str, tmp_path: Path, dataset: Dataset) -> None:
    check_round_trip(tmp_path, dataset, HEADS[name], 10)


@pytest.mark.parametrize("name", ["dp_mlp-adaln_zero", "dp_c-film", "dp_t-cross_attn", "dp_t_film-film"])
def test_with_joint_actions(name: str, tmp_path: Path, dataset: Dataset) -> None:
    check_round_trip(tmp_path, dataset, replace(HEADS[name], action="joint_position"), 3)


@pytest.mark.parametrize("condition", ["ee_pose", "endpoints", "none"])
@pytest.mark.parametrize("name", ["dp_mlp-adaln_zero", "dp_t-prefix"])
def test_from_every_stage_1_condition(name: str, condition: Stage1Condition, tmp_path: Path, dataset: Dataset) -> None:
    first = stage1(tmp_path / "stage1", dataset, HEADS[name], condition)
    load_checkpoint(first)
    policy = Policy.load(stage2(tmp_path / "stage2", HEADS[name], first))
    assert policy(OBSERVATIONS).shape == (3, 8, 10)


@pytest.mark.parametrize("prediction_type", ["v_prediction", "sample", "flow"])
def test_other_predictions(prediction_type: PredictionType, tmp_path: Path, dataset: Dataset) -> None:
    head = replace(HEADS["dp_mlp-adaln_zero"], prediction_type=prediction_type)
    check_round_trip(tmp_path, dataset, head, 10)
    policy = Policy.load(tmp_path / "stage2")
    assert policy.info.head.prediction_type == prediction_type
    assert policy.sampling_steps == default_sampling_steps(prediction_type)


def test_sampling_by_ddpm_is_the_same_alone_and_in_a_batch(tmp_path: Path, dataset: Dataset) -> None:
    head = HEADS["dp_mlp-adaln_zero"]
    path = stage2(tmp_path / "stage2", head, stage1(tmp_path / "stage1", dataset, head))
    policy = Policy.load(path, precision="fp32", sampling_steps=100, stochastic=True)
    answers = policy(OBSERVATIONS)
    assert np.array_equal(policy(OBSERVATIONS), answers)
    assert np.abs(policy(OBSERVATIONS[1:2])[0] - answers[1]).max() < 1e-5
    assert np.abs(Policy.load(path, precision="fp32", sampling_steps=100)(OBSERVATIONS) - answers).max() > 1e-3
