"""Two processes of torchrun (gloo) against one."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from shared.errors import ConfigError
from tests.trainer.demonstrations.written import LIFT, unpack_lift
from tests.trainer.example import make_dataset
from trainer import tensor_file
from trainer.checkpoint import KIND
from trainer.ranks import Ranks

PRETRAIN = (
    "pretrain --data {folder}/data --size tiny --steps 20 --batch-size 8 --compile off --precision fp32 --device cpu "
    "--log-every 2 --checkpoint-every 10 --no-tensorboard --validation-windows 8 --validation-share 0.3"
)
ADAPT = (
    "adapt --demos {folder}/lift.hdf5 --mapping {folder}/mapping.json --action-range {folder}/range.json --mode normal "
    "--size tiny --steps 3 --batch-size 4 --compile off --precision fp32 --device cpu --log-every 1 --no-tensorboard"
)


def train(folder: Path, command: str, processes: int) -> Path:
    """Runs a command of the trainer, in whose text {folder} is the folder. Returns the run's."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    launcher, run = torchrun if processes > 1 else [], folder / f"run-{processes}"
    arguments = [word.format(folder=folder) for word in command.split()]
    done = subprocess.run(
        [sys.executable, *launcher, "-m", "trainer", *arguments, "--out", str(run)],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=250,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(" steps in ") == 1
    return run


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_two_processes_have_the_loss_curve_of_one(tmp_path: Path) -> None:
    make_dataset(tmp_path / "data")
    runs = [train(tmp_path, PRETRAIN, processes) for processes in (1, 2)]
    one, two = (lines(run) for run in runs)
    assert [line["step"] for line in one] == [line["step"] for line in two]
    for name in ("loss", "validation_loss"):
        curves = [[line[name] for line in run if name in line] for run in (one, two)]
        assert max(abs(a - b) for a, b in zip(*curves, strict=True)) < 1e-5
    paths = [run / "checkpoints" / "step-00000020.safetensors" for run in runs]
    first, second = (tensor_file.read(path, KIND)[0] for path in paths)
    assert all(torch.allclose(value, second[name], atol=1e-5) for name, value in first.items())


def test_two_processes_that_share_pictures_learn_as_one(tmp_path: Path) -> None:
    unpack_lift(tmp_path)
    (tmp_path / "range.json").write_text(json.dumps({"position": {"min": [0.2, -0.4, -0.2], "max": [0.8, 0.4, 0.5]}}))
    seen = {"cameras": ["obs/agentview_image"], "image_size": [48, 48]}
    (tmp_path / "mapping.json").write_text(json.dumps(LIFT | {"observation": seen}))
    runs = [train(tmp_path, ADAPT, processes) for processes in (1, 2)]
    curves = [[line["loss"] for line in lines(run) if "loss" in line] for run in runs]
    assert len(curves[0]) == 3
    assert max(abs(a - b) for a, b in zip(*curves, strict=True)) < 1e-5


def test_a_batch_that_can_not_be_shared_is_refused() -> None:
    ranks = Ranks()
    ranks.check(7)
    ranks.count = 2
    ranks.check(8)
    with pytest.raises(ConfigError, match="batches of 7 can't be shared by 2 processes; use a multiple"):
        ranks.check(7)
