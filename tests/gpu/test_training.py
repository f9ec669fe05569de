"""Gradient steps on the device against those on the CPU, compiled, by NCCL, resumed."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.pages import ROOT
from tests.trainer.example import HEADS, RANGE, Windows, make_dataset, make_demonstrations, random_windows, training
from tests.trainer.policies import seen_by_a_camera
from tests.trainer.training.test_fake_gpu import OBS_DIM, make_head
from trainer import tensor_file
from trainer.config import AdaptConfig, Precision, TrainingConfig
from trainer.data.batch_source import Batch
from trainer.progress import silent
from trainer.stages.adapt import adapt
from trainer.training.loop import TrainingLoop
from trainer.training.run_folder import RunFolder
from trainer.training.training_state import KIND

# Convolutions multiply in TF32 on a GPU, whose steps are 1e-3.
LIKE_THE_CPU: dict[Precision, float] = {"fp32": 0.01, "bf16": 0.05}


def losses(name: str, device: str, folder: Path, config: TrainingConfig) -> list[float]:
    """Of some real steps, forward and backward, from the same weights on every device."""
    torch.manual_seed(0)
    head = make_head(name, "normal").train().to(device)
    known = random_windows(32, 2 * OBS_DIM)
    source = Windows(Batch(known.actions.to(device), known.condition.to(device)), config.batch_size)
    loop = TrainingLoop(head, source, config, RunFolder(folder), silent)
    made = []
    for _ in range(config.steps):
        made.append(loop.gradient_step(source.next(lambda text: None)))
        loop.step += 1
    assert {weight.device.type for weight in loop.weights.values()} == {torch.device(device).type}
    return [float(loss) for loss in made]


@pytest.mark.parametrize("precision", LIKE_THE_CPU)
@pytest.mark.parametrize("name", HEADS)
def test_steps_are_those_of_the_cpu_but_for_rounding(
    name: str, precision: Precision, device: str, tmp_path: Path
) -> None:
    config = training(4, precision=precision, learning_rate=1e-3, warmup_steps=0)
    on_cpu = losses(name, "cpu", tmp_path, replace(config, precision="fp32"))
    assert losses(name, device, tmp_path, config) == pytest.approx(on_cpu, rel=LIKE_THE_CPU[precision])


@pytest.mark.parametrize("name", ["dp_mlp-adaln_zero", "dp_c-film", "dp_t-cross_attn"])
def test_compiled_steps_are_the_same_but_for_rounding(name: str, device: str, tmp_path: Path) -> None:
    config = training(3, learning_rate=1e-3, warmup_steps=0)
    plain = losses(name, device, tmp_path, config)
    assert losses(name, device, tmp_path, replace(config, compile="on")) == pytest.approx(plain, rel=0.01)


def test_one_rank_by_itself_reduces_by_the_devices_own_way(device: str, tmp_path: Path) -> None:
    make_dataset(tmp_path / "data")
    arguments = f"pretrain --data {tmp_path}/data --size tiny --steps 6 --batch-size 8 --compile off --device {device}"
    arguments += " --precision fp32 --log-every 1 --no-tensorboard --validation-windows 4 --validation-share 0.3"
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "1"]
    found = []
    for launcher, run in (([], "alone"), (torchrun, "rank")):
        command = [sys.executable, *launcher, "-m", "trainer", *arguments.split(), "--out", str(tmp_path / run)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=250)
        assert done.returncode == 0, done.stderr
        lines = [json.loads(line) for line in (tmp_path / run / "metrics.jsonl").read_text().splitlines()]
        found.append([line["loss"] for line in lines if "loss" in line])
    assert len(found[0]) == 6
    assert found[1] == pytest.approx(found[0], rel=1e-3)


class _StopError(Exception):
    pass


@pytest.mark.parametrize("seen", [False, True])
def test_resumed_it_is_the_run_without_a_break_to_the_bit(
    seen: bool, device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demonstrations = seen_by_a_camera(make_demonstrations()) if seen else make_demonstrations()
    settings = training(6, device=device, deterministic=True, log_every=1, checkpoint_every=3, batch_size=4)
    config = AdaptConfig(mode="normal", head=HEADS["dp_t-cross_attn"], training=settings, validation_windows=2)

    def trained(name: str) -> tuple[list[float], dict[str, torch.Tensor]]:
        adapt(tmp_path / name, demonstrations, config, action_range=RANGE)
        lines = [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        tensors, _ = tensor_file.read(RunFolder(tmp_path / name).training_state, KIND)
        return [line["loss"] for line in lines if "loss" in line], dict(tensors)

    whole = trained("whole")
    step = TrainingLoop.gradient_step

    def broken(loop: TrainingLoop, batch: Batch) -> torch.Tensor:
        if loop.step == 4:
            raise _StopError
        return step(loop, batch)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingLoop, "gradient_step", broken)
        with pytest.raises(_StopError):
            trained("broken")
    resumed = trained("broken")
    assert len(whole[0]) == 6
    assert resumed[0] == whole[0]
    assert all(np.array_equal(value.numpy(), whole[1][name].numpy()) for name, value in resumed[1].items())
