"""What a GPU would be asked for; the tests that need one are in tests/gpu."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.pages import ROOT
from tests.trainer.example import Windows, random_windows, training
from tests.trainer.training.test_fake_gpu import OBS_DIM, make_head
from trainer.data.batch_source import Batch
from trainer.device import deterministic_algorithms
from trainer.progress import silent
from trainer.training.loop import TrainingLoop
from trainer.training.run_folder import RunFolder


def test_the_tests_for_a_gpu_are_skipped_in_one_line() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "HEADSTART_TEST_DEVICE"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.gpu"],
        cwd=ROOT,
        env=environment | {"CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = done.stdout.splitlines()
    assert "no GPU" in line


def test_deterministic_algorithms_are_asked_for_while_it_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    asked: list[bool] = []

    class Watched(Windows):
        def next(self, tell: object) -> Batch:
            asked.append(torch.are_deterministic_algorithms_enabled())
            return super().next(lambda text: None)

    weights = {}
    for on in (False, True):
        torch.manual_seed(0)
        head = make_head("dp_c-film")
        # On a CPU it changes nothing.
        config = training(2, deterministic=on)
        source = Watched(random_windows(16, 2 * OBS_DIM), config.batch_size)
        (tmp_path / str(on)).mkdir()
        TrainingLoop(head, source, config, RunFolder(tmp_path / str(on)), silent).run()
        weights[on] = head.state_dict()
    assert asked == [False, False, True, True]
    assert not torch.are_deterministic_algorithms_enabled()
    # cuBLAS asks for it.
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert all(torch.equal(value, weights[True][name]) for name, value in weights[False].items())


def test_what_is_deterministic_is_not_compiled_unless_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(
        "trainer.training.gradient_steps.worth_compiling", lambda switch, device, steps: asked.append(switch)
    )
    for on in (False, True):
        config = training(1, deterministic=on, compile="auto")
        source = Windows(random_windows(16, 2 * OBS_DIM), config.batch_size)
        folder = RunFolder(tmp_path / str(on))
        folder.path.mkdir()
        TrainingLoop(make_head("dp_mlp-film"), source, config, folder, silent).run()
    assert asked == ["auto", "off"]


def test_what_it_changes_is_put_back_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")

    def fail() -> None:
        with deterministic_algorithms(True):
            assert torch.are_deterministic_algorithms_enabled()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert not torch.are_deterministic_algorithms_enabled()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"
