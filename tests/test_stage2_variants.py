"""Variants of Stage 2 that see the same batches and are measured alike: benchmarks.stage2_variants, small."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.stage2_variants import VARIANTS, Batches, trained
from docs.behind import LEVELS
from shared.dataset import Dataset
from tests.trainer.data.copies.example import DEMONSTRATIONS, RANGE, make_copies
from tests.trainer.example import training
from trainer.config import AdaptConfig, HeadConfig, PretrainConfig
from trainer.stages.adaptation import Adaptation
from trainer.stages.batches_with_copies import batch_parts
from trainer.stages.pretrain import pretrain
from trainer.stages.pretrained import Stage1

STEPS = 3
HEAD = HeadConfig(size="tiny")
CONFIG = AdaptConfig("normal", HEAD, training(STEPS), validation_windows=16)


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_copies(tmp_path_factory.mktemp("copies") / "dataset")


@pytest.fixture(scope="module")
def task(copies: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Adaptation:
    first = PretrainConfig(HEAD, training(2), condition="ee_pose", validation_windows=0)
    run = pretrain(tmp_path_factory.mktemp("stage1"), copies, first, action_range=RANGE)
    return Adaptation.checked(DEMONSTRATIONS, CONFIG, Stage1.load(run, None), None, None, None)


@pytest.fixture(scope="module")
def batches(copies: Dataset, task: Adaptation, tmp_path_factory: pytest.TempPathFactory) -> Batches:
    source = task.with_copies(copies, frozenset(), tmp_path_factory.mktemp("decoded"), torch.device("cpu"))
    return Batches(source, STEPS, batch_parts(CONFIG)[0])


def test_a_variant_is_the_same_training_each_time_and_trains_what_it_says(task: Adaptation, batches: Batches) -> None:
    named = {one.name: one for one in VARIANTS}
    rows = {
        name: trained(named[name], task, batches, CONFIG.training)
        for name in ("normal", "decoupled", "pretrained_body", "decoupled, blocks trained", "finetune")
    }
    again = trained(named["decoupled"], task, batches, CONFIG.training)
    assert again | {"train_seconds": 0} == rows["decoupled"] | {"train_seconds": 0}
    weights = {name: row["trained_parameters"] for name, row in rows.items()}
    assert weights["decoupled"] < weights["pretrained_body"] < weights["normal"] == weights["finetune"]
    assert weights["decoupled"] < weights["decoupled, blocks trained"] < weights["normal"]
    for row in rows.values():
        for windows in ("copies", "held_out"):
            each = np.repeat([row[windows][name] for name in LEVELS], [len(level) for level in LEVELS.values()])
            assert row[windows]["all"] == pytest.approx(each.mean(), rel=1e-9)
    # What is measured on is the same for all, and no batch of the training.
    assert len({row["held_out"]["gripper_windows"] for row in rows.values()}) == 1
    longer = trained(replace(named["decoupled"], rate=3.0), task, batches, CONFIG.training)
    assert longer["learning_rate"] == pytest.approx(3 * CONFIG.training.learning_rate)
