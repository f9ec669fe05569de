"""What is saved while a run trains: beside it, seldom enough, and such that a kill at any moment leaves a policy."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from shared.dataset import Dataset
from shared.errors import ConfigError, TrainingError
from tests.pages import ROOT
from tests.trainer.example import HEADS, make_dataset, make_demonstrations, training
from tests.trainer.training.test_loop import make_loop
from trainer import tensor_file
from trainer.config import AdaptConfig, Mode, PretrainConfig
from trainer.stages.adapt import adapt
from trainer.stages.pretrain import pretrain
from trainer.training.checkpoint import load_checkpoint, read_info
from trainer.training.kept_policies import best_policy, held_out_error
from trainer.training.optimization import learning_rate
from trainer.training.run_folder import RunFolder
from trainer.training.saving import Saver

CONFIG = PretrainConfig(
    HEADS["dp_mlp-adaln_zero"], training(8, checkpoint_every=1, log_every=1), validation_share=0.2, validation_windows=8
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_dataset(tmp_path_factory.mktemp("saving"))


def steps(run: Path) -> list[int]:
    return [int(path.stem.removeprefix("step-")) for path in RunFolder(run).policies()]


def lines(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_the_last_policies_and_the_best_are_kept_each_with_its_backbone(data: Dataset, tmp_path: Path) -> None:
    pretrain(tmp_path, data, CONFIG)
    errors = {int(line["step"]): line["position_mm"] for line in lines(tmp_path) if "position_mm" in line}
    assert len(errors) == 8
    best = min(errors, key=errors.__getitem__)
    assert steps(tmp_path) == sorted({7, 8, best})
    found = best_policy(RunFolder(tmp_path))
    assert found == RunFolder(tmp_path).checkpoint(best)
    for step in steps(tmp_path):
        _, info = load_checkpoint(RunFolder(tmp_path).checkpoint(step))
        assert (info.step, held_out_error(info.held_out)) == (step, errors[step])
    named = {read_info(path).backbone for path in RunFolder(tmp_path).policies()}
    assert {path.stem for path in (tmp_path / "backbones").iterdir()} == named


def test_a_finished_run_is_lengthened_by_the_longer_ones_schedule(data: Dataset, tmp_path: Path) -> None:
    short = replace(CONFIG, training=replace(CONFIG.training, steps=3))
    pretrain(tmp_path, data, short)
    before = [line for line in lines(tmp_path) if "loss" in line]
    pretrain(tmp_path, data, CONFIG)
    after = [line for line in lines(tmp_path) if "loss" in line]
    assert after[:3] == before
    assert [line["step"] for line in after] == list(range(1, 9))
    assert [line["learning_rate"] for line in after[3:]] == [
        learning_rate(CONFIG.training, step, CONFIG.training.learning_rate) for step in range(3, 8)
    ]
    content = json.loads((tmp_path / "config.json").read_text())
    assert content["lengthened"] == [{"from": 3, "to": 8}]
    assert content["config"]["training"]["steps"] == 8
    assert read_info(tmp_path).step == 8
    with pytest.raises(ConfigError, match=r"config\.training\.steps is 3, there it is 8"):
        pretrain(tmp_path, data, short)
    # What changes nothing of what is learned may be set anew; what does, may not.
    longer = replace(CONFIG.training, steps=9)
    with pytest.raises(ConfigError, match=r"config\.training\.learning_rate is 0\.01, there it is 0\.001"):
        pretrain(tmp_path, data, replace(CONFIG, training=replace(longer, learning_rate=0.01)))
    RunFolder(tmp_path).training_state.unlink()
    with pytest.raises(ConfigError, match="finished at step 8 and its training state is gone, so it can't be"):
        pretrain(tmp_path, data, replace(CONFIG, training=longer))
    assert pretrain(tmp_path, data, replace(CONFIG, training=replace(CONFIG.training, keep=5))).exists()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_saving_stands_still_for_no_more_than_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, written = Clock(), list[float]()
    monkeypatch.setattr("trainer.training.saving.monotonic", clock)
    saver = Saver(0.05, 600)

    def take() -> Callable[[], None]:
        clock.now += 2
        return lambda: written.append(clock.now)

    def states() -> tuple[bool, bool]:
        return saver.may_save, saver.is_due

    assert states() == (True, False)
    saver.save(take)
    saver.wait()
    assert written == [2.0]
    found = []
    for seconds in (39, 1, 560):
        clock.now += seconds
        found.append(states())
    assert found == [(False, False), (True, False), (True, True)]
    saver.close()


def test_what_goes_wrong_while_writing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise TrainingError("the disk is full")

    monkeypatch.setattr("trainer.training.loop.save_training_state", fail)
    loop = make_loop(tmp_path, training(9, checkpoint_every=3))
    with pytest.raises(TrainingError, match="the disk is full"):
        loop.run()
    assert loop.step < 9


def test_the_file_is_safetensors_own_to_the_byte() -> None:
    from safetensors.torch import save

    values = torch.arange(-6, 6)
    tensors = {
        "b": values.float().view(3, 4), "a": values.to(torch.bfloat16), "c.ä": values.bool(),
        "d": values.to(torch.uint8),
        "e": values.half(), "f": values.double(), "g": values.to(torch.int8), "h": values.to(torch.int16),
        "i": values.to(torch.int32), "j": values, "none": torch.zeros(0, 3), "one": torch.tensor(2.0),
        "turned": values.float().view(3, 4).T,
    }  # fmt: skip
    metadata = {"kind": "example", "words": 'ä "quoted"\n'}
    expected = save(
        {name: value.contiguous() for name, value in tensors.items()},
        metadata={"headstart": json.dumps(metadata, sort_keys=True)},
    )
    assert tensor_file.pack(tensors, metadata) == expected


KILLED = """
import os, random, signal, sys, time
from dataclasses import replace
from pathlib import Path
import torch
import torch._dynamo  # training imports it late: here it is once, not in each child
from shared.dataset import Dataset
from tests.trainer.training.test_saving import CONFIG
from trainer.training.checkpoint import load_checkpoint
from trainer.stages.pretrain import pretrain
from trainer.training.run_folder import RunFolder

data, run = Dataset(Path(sys.argv[1])), RunFolder(Path(sys.argv[2]))
config = replace(CONFIG, training=replace(CONFIG.training, steps=1_000_000, checkpoint_every=2, threads=1))
torch.set_num_threads(1)
drawn, loaded = random.Random(0), set()
for _ in range(20):
    child = os.fork()
    if not child:
        pretrain(run.path, data, config)
        os._exit(1)
    # The newest: that an old one is removed says nothing of a new one.
    before = run.policies()[-1:]
    while run.policies()[-1:] == before:
        assert os.waitpid(child, os.WNOHANG) == (0, 0)
        time.sleep(0.001)
    time.sleep(drawn.uniform(0, 0.05))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    for policy in run.policies():
        loaded.add(load_checkpoint(policy)[1].step)
assert len(loaded) >= 20, loaded
print(len(loaded))
"""


def test_killed_at_any_moment_it_leaves_policies_that_load(data: Dataset, tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", KILLED, str(data.root), str(tmp_path / "run")]
    done = subprocess.run(arguments, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_a_new_run_begins_with_a_policys_weights(data: Dataset, tmp_path: Path) -> None:
    wide = {"position": {"min": [-1.0] * 3, "max": [1.0, 1.0, 2.0]}}
    wide |= {"joint_position": {"min": [-3.0] * 2, "max": [3.0] * 2}}
    short = replace(CONFIG, training=training(2))
    first = pretrain(tmp_path / "first", data, short, action_range=wide)
    # A learning rate that moves hardly anything shows what a run begins with.
    still = replace(short, training=training(1, learning_rate=1e-8))
    second = pretrain(tmp_path / "second", data, still, init_from=tmp_path / "first")
    _assert_near(first, second)
    assert read_info(second).action_range == read_info(first).action_range
    given = AdaptConfig("decoupled", CONFIG.head, training(2), validation_windows=4)
    demonstrations = make_demonstrations()
    policy = adapt(tmp_path / "policy", demonstrations, given, stage1=first)
    slow = replace(given, training=still.training)
    others = make_demonstrations(4)
    modes: tuple[Mode, ...] = ("decoupled", "finetune")
    for mode in modes:
        begun = adapt(tmp_path / mode, others, replace(slow, mode=mode), init_from=policy)
        _assert_near(policy, begun)
        ours, theirs = read_info(begun), read_info(policy)
        assert (ours.observation_scaling, ours.action_range) == (theirs.observation_scaling, theirs.action_range)
        assert (ours.stage1, ours.motion_basis, ours.mode) == (theirs.stage1, theirs.motion_basis, mode)
        assert ours.backbone == (theirs.backbone if mode == "decoupled" else None)
    with pytest.raises(ConfigError, match="trained in mode decoupled, this run's is normal; use the same, or finetune"):
        adapt(tmp_path / "wrong", others, replace(slow, mode="normal"), init_from=policy)
    with pytest.raises(ConfigError, match="begins with a whole policy; leave --stage1"):
        adapt(tmp_path / "wrong", others, slow, init_from=policy, stage1=first)
    with pytest.raises(ConfigError, match="is a Stage-1 checkpoint; give it as --stage1"):
        adapt(tmp_path / "wrong", others, slow, init_from=first)
    with pytest.raises(ConfigError, match="is no Stage-1 checkpoint"):
        pretrain(tmp_path / "wrong", data, still, init_from=policy)


def _assert_near(first: Path, second: Path) -> None:
    ours, theirs = (load_checkpoint(path)[0].state_dict() for path in (first, second))
    assert ours.keys() == theirs.keys()
    assert all((value - theirs[name]).abs().max() < 1e-6 for name, value in ours.items())
