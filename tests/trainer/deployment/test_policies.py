"""Policies of one frozen backbone share it, and answer as each does alone."""

import gc
import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch

from shared.errors import ConfigError
from tests.trainer.adapters import make_adapters
from tests.trainer.example import HEADS, RANGE, make_dataset, make_demonstrations, training
from tests.trainer.policies import ROOT
from tests.trainer.wide_head import add_wide_head, make_wide_policies
from trainer.config import CONDITIONINGS, AdaptConfig, Mode, Precision, PretrainConfig
from trainer.deployment.policies import load_policies
from trainer.deployment.policy import Policy
from trainer.model import backbones
from trainer.model.frozen_backbones import FrozenBackbones
from trainer.stages.adapt import adapt
from trainer.stages.pretrain import pretrain
from trainer.training.backbone_files import load_backbone
from trainer.training.checkpoint import load_checkpoint

WIDE = {
    "position": {"min": [-1.0, -1.0, -1.0], "max": [1.0, 1.0, 2.0]},
    "joint_position": {"min": [-3.0] * 2, "max": [3.0] * 2},
}
SEEN = np.random.default_rng(0).uniform(-1, 1, (2, 2, 9)).astype(np.float32)


def tensor_bytes() -> int:
    """Of all tensors on the CPU that Python knows, each storage once; packed weights have none of their own."""
    gc.collect()
    sizes = dict[tuple[str, int], int]()
    for each in gc.get_objects():
        if type(each) not in (torch.Tensor, torch.nn.Parameter) or each.device.type != "cpu":
            continue
        if each.is_mkldnn:
            sizes["packed", id(each)] = each.numel() * each.element_size()
        else:
            storage = each.untyped_storage()
            sizes["plain", storage.data_ptr()] = storage.nbytes()
    return sum(sizes.values())


def cost(paths: list[Path], precision: Precision = "fp32") -> int:
    """Bytes of the weights that policies loaded together hold."""
    before = tensor_bytes()
    policies = load_policies({path.name: path for path in paths}, partial(Policy.load, precision=precision))
    return tensor_bytes() - before if policies else 0


@pytest.mark.parametrize("mode", ["random_frozen", "random_body"])
@pytest.mark.parametrize("name", ["dp_mlp-adaln_zero", "dp_c-film", "dp_t-cross_attn", "dp_t-lora_cond"])
def test_they_answer_bit_for_bit_as_each_alone(name: str, mode: Mode, tmp_path: Path) -> None:
    config = AdaptConfig(mode=mode, head=HEADS[name], training=training(1))
    adapt(tmp_path / "run", make_demonstrations(), config, action_range=RANGE)
    paths = make_adapters(tmp_path / "run", tmp_path, 3)
    precisions: tuple[Precision, ...] = ("fp32", "bf16")
    for precision in precisions:
        load = partial(Policy.load, precision=precision)
        together = load_policies({path.name: path for path in (*paths, tmp_path / "run")}, load)
        alone = [load(path)(SEEN) for path in paths]
        for _ in range(2):
            for path, expected in zip(paths, alone, strict=True):
                assert np.array_equal(together[path.name](SEEN), expected)
        assert np.array_equal(together["run"](SEEN), load(tmp_path / "run")(SEEN))
        assert np.abs(alone[0] - alone[1]).max() > 0.01


@pytest.mark.parametrize("mode", ["random_frozen", "random_body"])
def test_each_more_costs_its_own_weights_alone(mode: Mode, tmp_path: Path) -> None:
    config = AdaptConfig(mode=mode, head=HEADS["dp_mlp-adaln_zero"], training=training(1))
    adapt(tmp_path / "run", make_demonstrations(), config, action_range=RANGE)
    paths = make_adapters(tmp_path / "run", tmp_path, 4)
    one, two, four = cost(paths[:1]), cost(paths[:2]), cost(paths)
    own = two - one
    assert four - two == 2 * own
    backbone = load_checkpoint(paths[0])[0].backbone
    held = sum(weight.nbytes for weight in backbone.parameters())
    maps = sum(weight.nbytes for part in backbone.maps for weight in part.parameters())
    # Twice: each map is a linear layer or none, and those lie as they are and packed.
    assert one - own >= held - (2 * maps if mode == "random_body" else 0) > 0


def test_what_was_needed_for_loading_is_freed(low_dim_run: Path, tmp_path: Path) -> None:
    """A policy that shares costs what one costs that does not."""
    (path,) = make_adapters(low_dim_run, tmp_path, 1)
    before = tensor_bytes()
    policy = Policy.load(path, precision="fp32")
    alone = tensor_bytes() - before
    assert policy.n_obs_steps == 2
    assert cost([path]) == alone


def test_fifty_on_one_large_backbone_cost_less_than_two(tmp_path: Path) -> None:
    with patch.dict(backbones._BACKBONES), patch.dict(CONDITIONINGS):
        add_wide_head()
        paths = make_wide_policies(tmp_path, 50)
        load, before = partial(Policy.load, precision="fp32"), tensor_bytes()
        alone = load(paths[0])
        one, seen = tensor_bytes() - before, SEEN[..., :5]
        together = load_policies({path.name: path for path in paths}, load)
        fifty = tensor_bytes() - before - one
        assert 100e6 < one < fifty < 2 * one
        assert np.array_equal(together["task-00"](seen), alone(seen))
        assert np.array_equal(together["task-49"](seen), load(paths[49])(seen))
    assert one < _resident(paths) < 2 * one


def _resident(paths: list[Path]) -> int:
    """By how many bytes a process of their own grows. Freed memory goes back at once, not when malloc likes."""
    command = [sys.executable, "-m", "tests.trainer.wide_head", *map(str, paths)]
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=240, check=True)
    return int(done.stdout)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Runs of two backbones."""
    folder = tmp_path_factory.mktemp("two")
    for name in ("dp_mlp-adaln_zero", "dp_t-prefix"):
        config = AdaptConfig(mode="random_frozen", head=HEADS[name], training=training(1))
        adapt(folder / name, make_demonstrations(), config, action_range=RANGE)
    return folder / "dp_mlp-adaln_zero", folder / "dp_t-prefix"


def test_of_several_backbones_each_is_read_once(two: tuple[Path, Path], tmp_path: Path) -> None:
    paths = [path for run in two for path in make_adapters(run, tmp_path / run.name, 3)]
    with patch("trainer.training.checkpoint.load_backbone", wraps=load_backbone) as loaded:
        policies = load_policies({str(path): path for path in paths})
    assert [call.args[2] for call in loaded.call_args_list] == [load_checkpoint(run)[1].backbone for run in two]
    for path in paths:
        assert np.array_equal(policies[str(path)](SEEN), Policy.load(path)(SEEN))


def test_runs_that_see_another_number_of_steps_share_stage_1s_backbone(tmp_path: Path) -> None:
    head = HEADS["dp_mlp-adaln_zero"]
    data = make_dataset(tmp_path / "data")
    stage1 = pretrain(tmp_path / "stage1", data, PretrainConfig(head, training(1)), action_range=WIDE)
    for name, wanted in (("two", head), ("three", replace(head, n_obs_steps=3, n_action_steps=4, dropout=0.1))):
        config = AdaptConfig("decoupled", wanted, training(1))
        adapt(tmp_path / name, make_demonstrations(), config, stage1=stage1)
    held = FrozenBackbones()
    heads = [load_checkpoint(tmp_path / name, None, held)[0] for name in ("two", "three")]
    assert heads[0].backbone is heads[1].backbone
    seen = np.zeros((1, 3, 9), np.float32)
    together = load_policies({name: tmp_path / name for name in ("two", "three")})
    assert np.array_equal(together["three"](seen), Policy.load(tmp_path / "three")(seen))


def test_a_setting_that_one_does_not_take_names_it(two: tuple[Path, Path]) -> None:
    load = partial(Policy.load, directions=40)
    with pytest.raises(ConfigError, match=r"^policy 'b': .*40"):
        load_policies({"b": two[0], "c": two[1]}, load)
