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
from tests.trainer.example import make_dataset
from trainer import tensor_file
from trainer.checkpoint import KIND
from trainer.ranks import Ranks

ARGUMENTS = (
    "--size tiny --steps 20 --batch-size 8 --compile off --precision fp32 --device cpu --log-every 2 "
    "--checkpoint-every 10 --no-tensorboard --validation-windows 8 --validation-share 0.3"
)


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_two_processes_have_the_loss_curve_of_one(tmp_path: Path) -> None:
    make_dataset(tmp_path / "data")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for name, launcher in (("one", []), ("two", torchrun)):
        command = [sys.executable, *launcher, "-m", "trainer", "pretrain", "--data", str(tmp_path / "data")]
        command += ["--out", str(tmp_path / name), *ARGUMENTS.split()]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=250)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("20 steps in") == 1
    one, two = lines(tmp_path / "one"), lines(tmp_path / "two")
    assert [line["step"] for line in one] == [line["step"] for line in two]
    for name in ("loss", "validation_loss"):
        curves = [[line[name] for line in run if name in line] for run in (one, two)]
        assert max(abs(a - b) for a, b in zip(*curves, strict=True)) < 1e-5
    paths = [tmp_path / name / "checkpoints" / "step-00000020.safetensors" for name in ("one", "two")]
    first, second = (tensor_file.read(path, KIND)[0] for path in paths)
    assert all(torch.allclose(value, second[name], atol=1e-5) for name, value in first.items())


def test_a_batch_that_can_not_be_shared_is_refused() -> None:
    ranks = Ranks()
    ranks.check(7)
    ranks.count = 2
    ranks.check(8)
    with pytest.raises(ConfigError, match="batches of 7 can't be shared by 2 processes; use a multiple"):
        ranks.check(7)
