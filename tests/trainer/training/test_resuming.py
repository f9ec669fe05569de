"""`python -m trainer pretrain`, killed without warning, and the questions it asks about the run that it finds."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from shared.dataset import Dataset
from shared.errors import ConfigError, HeadstartError
from tests import warm
from tests.shared.example import OTHER, example_table
from tests.trainer.example import RANGE, make_dataset, make_demonstrations
from trainer import tensor_file
from trainer.commands import pretrain as pretrain_command
from trainer.config import AdaptConfig, HeadConfig, PretrainConfig, TrainingConfig
from trainer.data.motion_basis import MOST_WINDOWS
from trainer.data.trajectories.joined_datasets import JoinedDatasets
from trainer.stages.adapt import adapt
from trainer.stages.pretrain import pretrain
from trainer.training.checkpoint import KIND, read_info
from trainer.training.run_folder import RunFolder
from trainer.training.training_summary import training_summary

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
    start = [warm.python("trainer"), "-m", "trainer", "pretrain", "--data", str(data), "--out", str(out)]
    return [*start, *ARGUMENTS.split(), "--no-tensorboard", "--validation-windows", "8", *more]


def lines(run: Path) -> list[dict[str, Any]]:
    clock = ("steps_per_s", "windows_per_s", "data_wait")
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines() if line.endswith("}")]
    return [{key: value for key, value in row.items() if key not in clock} for row in rows]


def assert_same(a: Path, b: Path) -> None:
    first, second = (tensor_file.read(path, KIND)[0] for path in (a, b))
    assert first.keys() == second.keys()
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def wait_for_training_state(run: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while not (run / "checkpoints" / "training.safetensors").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_two_joined_datasets_of_which_one_grows_and_the_run_is_killed(tmp_path: Path) -> None:
    make_dataset(tmp_path / "data")
    finished = make_dataset(tmp_path / "finished", header=OTHER)
    growing = make_dataset(tmp_path / "growing", 5, OTHER)
    whole = pretrain(tmp_path / "whole", JoinedDatasets.of([Dataset(tmp_path / "data"), finished], [3, 1]), CONFIG)
    run, environment = tmp_path / "run", {**os.environ, "OMP_NUM_THREADS": "1"}
    joined = command(tmp_path / "data", run, "--data", str(growing.root), "--weights", "6,2")
    process = subprocess.Popen(joined, env=environment)
    wait_for_training_state(run, process)
    process.send_signal(warm.KILL)
    process.wait(60)
    # It got no further than the shard that is missing: a batch has one window of the second, whose first block has 40.
    assert 10 <= lines(run)[-1]["step"] <= 40
    growing.publish(5, example_table(5, OTHER.rows_in(5), OTHER), 8, {})
    growing.set_state("sealed")
    subprocess.run([*joined, "--resume"], env=environment, check=True, capture_output=True)
    assert_same(whole, RunFolder(run).checkpoint(STEPS))
    assert lines(tmp_path / "whole") == lines(run)
    settings, info = json.loads((run / "config.json").read_text()), read_info(run)
    assert settings["data"] == {
        "datasets": [{"dataset_id": "a" * 64, "share": 0.75}, {"dataset_id": "b" * 64, "share": 0.25}],
        "action_range": {
            "position": {"min": [-1.5] * 3, "max": [1.0] * 3},
            "joint_position": {"min": [-3.0] * 2, "max": [4.0] * 2},
        },
    }
    assert info.action_range == settings["data"]["action_range"]
    assert info.stage1 is not None
    assert info.stage1.shares == {"a" * 64: 0.75, "b" * 64: 0.25}
    assert training_summary(run)["stage1"] == info.stage1.to_json()
    assert (info.robot, info.basis.windows if info.basis else 0) == ("twolink", MOST_WINDOWS)
    other = subprocess.run(
        [*command(tmp_path / "data", run, "--data", str(growing.root)), "--resume"], capture_output=True, text=True
    )
    assert other.returncode == 2
    assert "holds another run: data.datasets is" in other.stderr


def test_killed_and_resumed_with_another_number_of_threads_it_ends_bit_equal(tmp_path: Path) -> None:
    make_dataset(tmp_path / "data")
    whole = pretrain(tmp_path / "whole", Dataset(tmp_path / "data"), CONFIG)
    killed = tmp_path / "killed"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command(tmp_path / "data", killed), env=environment)
    wait_for_training_state(killed, process)
    process.send_signal(warm.KILL)
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
    assert sorted(run.path.rglob("*")) == before
    (run.path / "decoded").mkdir()
    other = replace(short, condition="none", training=replace(short.training, steps=2))
    pretrain_command.run((str(data.root),), run.path, other, overwrite=True)
    after = {str(path.relative_to(run.path)) for path in run.path.rglob("*")}
    backbone = read_info(run.path).backbone
    assert after == {
        "notes.txt", "config.json", "metrics.jsonl", "checkpoints", "checkpoints/step-00000002.safetensors",
        "checkpoints/training.safetensors", "backbones", f"backbones/{backbone}.safetensors",
    }  # fmt: skip


def test_a_run_stays_where_the_one_to_replace_it_can_not_begin(tmp_path: Path) -> None:
    data, run = make_dataset(tmp_path / "data"), tmp_path / "run"
    short = replace(CONFIG, training=replace(CONFIG.training, steps=3))
    stage1 = pretrain(tmp_path / "stage1", data, short).parents[1]
    joints = replace(short, head=replace(short.head, action="joint_position"))
    demonstrations = make_demonstrations()
    adapting = AdaptConfig(head=short.head, training=short.training, mode="normal")
    pretrain(run, data, short)
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}

    def refused(message: str, begin: Callable[..., Path], *args: Any, **settings: Any) -> None:
        with pytest.raises(HeadstartError, match=message):
            begin(run, *args, **settings, overwrite=True)
        assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before

    nowhere = replace(short, training=replace(short.training, device="cuda:99"))
    refused("device 'cuda:99' can't be used", pretrain, data, nowhere)
    refused("has no trajectory to train on", pretrain, data, replace(short, validation_share=0.9999))
    wrong = {"joint_position": {"min": [0.0], "max": [1.0]}}
    refused("'joint_position' is of 1 joints, the dataset's arm has 2", pretrain, data, joints, action_range=wrong)
    refused("there is no action range", adapt, demonstrations, adapting)
    refused("the actions of reach", adapt, demonstrations, replace(adapting, head=joints.head), action_range=RANGE)
    refused("holds no checkpoint yet", adapt, demonstrations, adapting, stage1=tmp_path / "data")
    held_out = replace(demonstrations, episodes=demonstrations.episodes[4:5])
    refused("every demonstration is held out", adapt, held_out, adapting, action_range=RANGE)
    refused("of robot 'panda'", adapt, replace(demonstrations, robot="panda"), adapting, stage1=stage1)
    refused("10 Hz", adapt, replace(demonstrations, rate_hz=10.0), adapting, stage1=stage1)
    refused(
        "would remove .*, which this run begins with; choose another --out", adapt, demonstrations, adapting, stage1=run
    )


def test_a_closed_terminal_saves_and_nohup_keeps_it_going(tmp_path: Path) -> None:
    make_dataset(tmp_path / "data")
    for launcher, code in ((["nohup"], 0), ([], 130)):
        run = tmp_path / f"code-{code}"
        process = subprocess.Popen([*launcher, *command(tmp_path / "data", run)], stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 120
        while not (run / "checkpoints" / "training.safetensors").exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGHUP)
        _, told = process.communicate(timeout=120)
        assert process.returncode == code, told
        assert RunFolder(run).checkpoint(STEPS).exists() == (code == 0)
        assert ("--resume goes on from here" in told) == (code == 130)
