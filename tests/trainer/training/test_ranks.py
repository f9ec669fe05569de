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
from tests.pages import ROOT
from tests.trainer.data.demonstrations.written import LIFT, unpack_lift
from tests.trainer.example import make_dataset, training
from trainer import tensor_file
from trainer.training.checkpoint import KIND
from trainer.training.ranks import ALONE, Ranks
from trainer.training.run_folder import RunFolder

PRETRAIN = (
    "pretrain --data {folder}/data --size tiny --steps 20 --batch-size 8 --compile off --precision fp32 --device cpu "
    "--log-every 2 --checkpoint-every 10 --no-tensorboard --validation-windows 8 --validation-share 0.3"
)
ADAPT = (
    "adapt --demos {folder}/lift.hdf5 --mapping {folder}/mapping.json --action-range {folder}/range.json --mode normal "
    "--size tiny --steps 3 --batch-size 4 --compile off --precision fp32 --device cpu --log-every 1 --no-tensorboard"
)


def start(folder: Path, command: str, processes: int, run: Path, *script: str) -> subprocess.CompletedProcess[str]:
    """A command of the trainer, in whose text {folder} is the folder, or a script that is given it."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    launcher = torchrun if processes > 1 else []
    arguments = [word.format(folder=folder) for word in command.split()]
    return subprocess.run(
        [sys.executable, *launcher, *(script or ("-m", "trainer")), *arguments, "--out", str(run)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=250, cwd=ROOT,
    )  # fmt: skip


def train(folder: Path, command: str, processes: int) -> Path:
    """Runs a command of the trainer to its end. Returns the run's folder."""
    run = folder / f"run-{processes}"
    done = start(folder, command, processes, run)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(" steps in ") == 1
    return run


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same run by one process and by two, beside its data."""
    folder = tmp_path_factory.mktemp("pretrained")
    make_dataset(folder / "data")
    return train(folder, PRETRAIN, 1), train(folder, PRETRAIN, 2)


def test_two_processes_have_the_loss_curve_of_one(pretrained: tuple[Path, Path]) -> None:
    runs = pretrained
    one, two = (lines(run) for run in runs)
    assert [line["step"] for line in one] == [line["step"] for line in two]
    for name in ("loss", "validation_loss"):
        curves = [[line[name] for line in run if name in line] for run in (one, two)]
        assert max(abs(a - b) for a, b in zip(*curves, strict=True)) < 1e-5
    paths = [run / "checkpoints" / "step-00000020.safetensors" for run in runs]
    first, second = (tensor_file.read(path, KIND)[0] for path in paths)
    assert all(torch.allclose(value, second[name], atol=1e-5) for name, value in first.items())


def test_two_processes_that_accumulate_have_the_losses_of_one_that_does_not(pretrained: tuple[Path, Path]) -> None:
    run = pretrained[0].parent / "accumulated"
    done = start(run.parent, f"{PRETRAIN} --accumulate 2", 2, run)
    assert done.returncode == 0, done.stderr
    one, two = ([line["loss"] for line in lines(path) if "loss" in line] for path in (pretrained[0], run))
    assert len(one) == 10
    assert two == pytest.approx(one, rel=1e-6)


def test_a_signal_to_one_of_two_processes_stops_both_before_a_step_and_loses_nothing(
    pretrained: tuple[Path, Path],
) -> None:
    whole = pretrained[1]
    folder, run = whole.parent, RunFolder(whole.parent / "stopped")
    script = str(Path(__file__).parents[1] / "signalled_rank.py")
    resumed = f"{PRETRAIN} --resume"
    # While rank 1 makes the fifth batch; then rank 0 is inside the sixth step, where rank 1 waits for its gradients.
    for command, signalled, step in ((PRETRAIN, "1:5:SIGINT:next", 4), (resumed, "0:2:SIGTERM:step", 6)):
        stopped = start(folder, command, 2, run.path, script, signalled)
        assert stopped.returncode != 0
        assert "with --resume goes on from here" in stopped.stderr
        assert tensor_file.read(run.training_state, "training state")[1]["step"] == step
    ended = start(folder, resumed, 2, run.path)
    assert ended.returncode == 0, ended.stderr
    losses = [[(line["step"], line["loss"]) for line in lines(path) if "loss" in line] for path in (whole, run.path)]
    assert losses[0] == losses[1]
    ends = [tensor_file.read(RunFolder(path).checkpoint(20), KIND)[0] for path in (whole, run.path)]
    assert ends[0].keys() == ends[1].keys()
    assert all(torch.equal(value, ends[1][name]) for name, value in ends[0].items())


def test_two_processes_that_share_pictures_learn_as_one(tmp_path: Path) -> None:
    unpack_lift(tmp_path)
    (tmp_path / "range.json").write_text(json.dumps({"position": {"min": [0.2, -0.4, -0.2], "max": [0.8, 0.4, 0.5]}}))
    seen = {"cameras": ["obs/agentview_image"], "image_size": [48, 48]}
    (tmp_path / "mapping.json").write_text(json.dumps(LIFT | {"observation": seen}))
    runs = [train(tmp_path, ADAPT, processes) for processes in (1, 2)]
    curves = [[line["loss"] for line in lines(run) if "loss" in line] for run in runs]
    assert len(curves[0]) == 3
    assert max(abs(a - b) for a, b in zip(*curves, strict=True)) < 1e-5


def test_what_several_processes_can_not_do_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    ALONE.check(training(1, batch_size=7))
    with monkeypatch.context() as environment:
        environment.setenv("WORLD_SIZE", "2")
        Ranks(0, 2).check(training(1, batch_size=8, accumulate=4))
        with pytest.raises(ConfigError, match="batches of 7 can't be shared by 2 processes; use a --batch-size that"):
            Ranks(0, 2).check(training(1, batch_size=7))
        with pytest.raises(ConfigError, match=r"by 2 processes and accumulated in 3 equal parts; .* multiple of 6"):
            Ranks(0, 2).check(training(1, batch_size=8, accumulate=3))
        with pytest.raises(ConfigError, match="torchrun started 2 processes, 1 of which train"):
            ALONE.check(training(1))
    with pytest.raises(ConfigError, match="device 'cuda:1' is one GPU, and there are 2 processes; pass --device cuda"):
        Ranks(1, 2, 1).device("cuda:1")
    assert Ranks(1, 2, 1).device("cpu") == torch.device("cpu")


def test_each_rank_takes_the_gpu_of_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("trainer.training.ranks.choose_device", torch.device)
    for name in ("auto", "cuda"):
        assert Ranks(5, 8, 1).device(name) == torch.device("cuda:1")
