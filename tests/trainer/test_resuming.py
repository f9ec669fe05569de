"""`python -m trainer pretrain`, killed without warning, and the questions it asks about the run that it finds."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from shared.dataset import Dataset
from shared.errors import ConfigError
from tests.trainer.example import make_dataset
from trainer import tensor_file
from trainer.checkpoint import KIND
from trainer.config import HeadConfig, PretrainConfig, TrainingConfig
from trainer.pretrain import pretrain
from trainer.run_folder import RunFolder

STEPS = 300
CONFIG = PretrainConfig(
    head=HeadConfig(size="tiny"),
    training=TrainingConfig(
        steps=STEPS, batch_size=4, compile="off", device="cpu", log_every=3, checkpoint_every=10, tensorboard=False
    ),
    validation_windows=8,
)
ARGUMENTS = "--size tiny --steps 300 --batch-size 4 --compile off --device cpu --log-every 3 --checkpoint-every 10"


def command(data: Path, out: Path, *more: str) -> list[str]:
    start = [sys.executable, "-m", "trainer", "pretrain", "--data", str(data), "--out", str(out)]
    return [*start, *ARGUMENTS.split(), "--no-tensorboard", "--validation-windows", "8", *more]


def lines(run: Path) -> list[dict[str, Any]]:
    clock = ("steps_per_s", "windows_per_s", "data_wait")
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines() if line.endswith("}")]
    return [{key: value for key, value in row.items() if key not in clock} for row in rows]


def assert_same(a: Path, b: Path) -> None:
    first, second = (tensor_file.read(path, KIND)[0] for path in (a, b))
    assert first.keys() == second.keys()
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_killed_and_resumed_with_another_number_of_threads_it_ends_bit_equal(tmp_path: Path) -> None:
    make_dataset(tmp_path / "data")
    whole = pretrain(tmp_path / "whole", Dataset(tmp_path / "data"), CONFIG)
    killed = tmp_path / "killed"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command(tmp_path / "data", killed), env=environment)
    deadline = time.monotonic() + 120
    while not (killed / "checkpoints" / "training.safetensors").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    assert not RunFolder(killed).checkpoint(STEPS).exists(), "it had ended before it was killed"
    asked = subprocess.run(command(tmp_path / "data", killed), env=environment, capture_output=True, text=True)
    assert asked.returncode == 2
    assert "holds a run already" in asked.stderr
    assert "pass --resume to go on with it, or --overwrite" in asked.stderr
    resumed = command(tmp_path / "data", killed, "--resume", "--no-ahead")
    subprocess.run(resumed, env=environment, check=True, capture_output=True)
    assert_same(whole, RunFolder(killed).checkpoint(STEPS))
    assert lines(tmp_path / "whole") == lines(killed)


def test_an_overwritten_run_leaves_nothing_of_it_and_all_else(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data")
    short = replace(CONFIG, training=replace(CONFIG.training, steps=3))
    run = RunFolder(tmp_path / "run")
    run.claim(resume=False, overwrite=False)
    pretrain(run.path, data, short)
    (run.path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds a run already, which is finished: pass --resume"):
        run.claim(resume=False, overwrite=False)
    with pytest.raises(ConfigError, match="pass one of them"):
        run.claim(resume=True, overwrite=True)
    before = sorted(run.path.rglob("*"))
    run.claim(resume=True, overwrite=False)
    assert sorted(run.path.rglob("*")) == before
    run.claim(resume=False, overwrite=True)
    assert sorted(run.path.rglob("*")) == [run.path / "notes.txt"]
    pretrain(run.path, data, replace(short, condition="none"))
