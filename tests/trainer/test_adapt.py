import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from shared.errors import CheckpointError, ConfigError, TrainingError
from tests.trainer.example import RANGE, make_dataset, make_demonstrations, training
from trainer import tensor_file
from trainer.adapt import adapt
from trainer.checkpoint import KIND, load_checkpoint, pack_backbone, read_info, save_checkpoint
from trainer.config import AdaptConfig, HeadConfig, Mode, PretrainConfig
from trainer.policy import Policy
from trainer.pretrain import pretrain

WIDE = {
    "position": {"min": [-1.0, -1.0, -1.0], "max": [1.0, 1.0, 2.0]},
    "joint_position": {"min": [-3.0] * 2, "max": [3.0] * 2},
}


@pytest.fixture(scope="module")
def stage1(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stage1")
    config = PretrainConfig(training=training(3), validation_share=0.2, validation_windows=8)
    pretrain(folder / "run", make_dataset(folder / "dataset"), config, action_range=WIDE)
    return folder / "run"


def config(mode: Mode = "decoupled", steps: int = 3) -> AdaptConfig:
    return AdaptConfig(mode=mode, training=training(steps), validation_windows=8)


def test_a_finished_stage_1_is_a_checkpoint_and_a_backbone(stage1: Path, tmp_path: Path) -> None:
    head, info = load_checkpoint(stage1)
    assert (info.stage, info.condition_dim, info.robot, info.rate_hz) == (1, 48, "twolink", 20.0)
    assert (info.device, info.action_label) == ("cpu", "command")
    assert info.stage1 is not None
    assert (info.stage1.dataset_id, info.stage1.condition) == ("a" * 64, "joint_position")
    assert 0 < info.seconds == info.stage1.seconds
    assert tensor_file.sha256(pack_backbone(head.backbone, info.head)) == info.backbone
    assert sorted(path.name for path in stage1.iterdir()) == [
        "backbones",
        "checkpoints",
        "config.json",
        "metrics.jsonl",
    ]
    assert [path.name for path in (stage1 / "checkpoints").iterdir()] == ["step-00000003.safetensors"]
    last = json.loads((stage1 / "metrics.jsonl").read_text().splitlines()[-1])
    assert set(last) == {"step", "validation_loss", "position_mm", "rotation_deg", "gripper_accuracy"}


@pytest.mark.parametrize("mode", ["normal", "decoupled", "random_frozen", "random_body"])
def test_each_mode_leaves_its_backbone_as_it_was(stage1: Path, tmp_path: Path, mode: Mode) -> None:
    path = adapt(tmp_path, make_demonstrations(), config(mode), stage1=stage1)
    head, info = load_checkpoint(path)
    stored = {name.split(".")[0] for name in load_file(path)}
    first = read_info(stage1)
    if mode == "normal":
        assert info.backbone is None
        assert stored == {"backbone", "conditioning"}
        return
    assert info.backbone is not None
    frozen = load_file(tmp_path / "backbones" / f"{info.backbone}.safetensors")
    changed = {name for name, value in head.backbone.state_dict().items() if not torch.equal(value, frozen[name])}
    if mode == "random_body":
        maps = ("input_map.", "final_norm.", "output_head.")
        assert changed == {name for name in frozen if name.startswith(maps)}
    else:
        assert not changed
        assert stored == {"conditioning"}
        assert tensor_file.sha256(pack_backbone(head.backbone, info.head)) == info.backbone
    assert (info.backbone == first.backbone) == (mode == "decoupled")
    assert info.stage1 == (first.stage1 if mode == "decoupled" else None)


def test_a_finished_run_returns_at_once_and_a_changed_one_is_refused(stage1: Path, tmp_path: Path) -> None:
    path = adapt(tmp_path, make_demonstrations(), config(), stage1=stage1)
    before = path.stat().st_mtime_ns
    assert adapt(tmp_path, make_demonstrations(), config(), stage1=stage1) == path
    assert path.stat().st_mtime_ns == before
    with pytest.raises(ConfigError, match=r"holds another run: config\.training\.steps is 4, there it is 3"):
        adapt(tmp_path, make_demonstrations(), config(steps=4), stage1=stage1)
    with pytest.raises(ConfigError, match=r"data\.demonstrations\.demonstrations is 5, there it is 6"):
        adapt(tmp_path, make_demonstrations(5), config(), stage1=stage1)


def test_demonstrations_of_another_robot_or_rate_need_a_flag(stage1: Path, tmp_path: Path) -> None:
    other = replace(make_demonstrations(), robot="panda")
    with pytest.raises(ConfigError, match=r"robot 'panda', Stage 1 was trained on 'twolink'.*--other-robot"):
        adapt(tmp_path, other, config(), stage1=stage1)
    adapt(tmp_path / "robot", other, replace(config(), other_robot=True), stage1=stage1)
    slow = replace(make_demonstrations(), rate_hz=10.0)
    with pytest.raises(ConfigError, match="at 10 Hz, Stage 1 was trained at 20 Hz; pass --resample"):
        adapt(tmp_path, slow, config(), stage1=stage1)
    path = adapt(tmp_path / "rate", slow, replace(config(), resample=True), stage1=stage1)
    assert read_info(path).rate_hz == 20.0


def test_what_can_not_be_trained_is_said(stage1: Path, tmp_path: Path) -> None:
    demonstrations = make_demonstrations()
    with pytest.raises(ConfigError, match="mode decoupled needs Stage 1's checkpoint"):
        adapt(tmp_path, demonstrations, config(), action_range=RANGE)
    with pytest.raises(ConfigError, match="there is no action range"):
        adapt(tmp_path, demonstrations, config("normal"))
    with pytest.raises(ConfigError, match="a backbone is Stage 1's: give --stage1"):
        adapt(tmp_path, demonstrations, config("normal"), backbone=stage1 / "backbones", action_range=RANGE)
    narrow = {"position": {"min": [-1, -0.1, 0], "max": [1, 0.1, 2]}}
    with pytest.raises(ConfigError, match="the demonstrations of reach leave action_range: y is"):
        adapt(tmp_path, demonstrations, config("normal"), action_range=narrow)
    with pytest.raises(ConfigError, match="backbone has conditioning 'adaln_zero', this run asks for 'film'"):
        adapt(tmp_path, demonstrations, replace(config(), head=HeadConfig(conditioning="film")), stage1=stage1)
    joints = make_demonstrations(action="joint_position")
    with pytest.raises(ConfigError, match="actions of reach are 'joint_position', the head's 'ee_pose'; pass --action"):
        adapt(tmp_path, joints, config(), stage1=stage1)
    held_out = replace(demonstrations, episodes=demonstrations.episodes[4:5])
    with pytest.raises(TrainingError, match="every demonstration is held out"):
        adapt(tmp_path / "x", held_out, config(), stage1=stage1)
    policy = adapt(tmp_path / "y", demonstrations, config(), stage1=stage1)
    with pytest.raises(ConfigError, match="not a Stage-1 checkpoint"):
        adapt(tmp_path / "z", demonstrations, config(), stage1=policy)
    with pytest.raises(CheckpointError, match="no finished checkpoint"):
        adapt(tmp_path / "z", demonstrations, config(), stage1=tmp_path)


def test_a_checkpoint_without_its_backbone_says_what_to_do(stage1: Path, tmp_path: Path) -> None:
    path = adapt(tmp_path, make_demonstrations(), config(), stage1=stage1)
    backbone = next((tmp_path / "backbones").iterdir())
    moved = backbone.rename(tmp_path / "elsewhere.safetensors")
    with pytest.raises(CheckpointError, match="this backbone is missing; give its file with --backbone"):
        Policy.load(path)
    Policy.load(path, backbone=moved)
    content = bytearray(moved.read_bytes())
    content[-1] ^= 1
    other = tmp_path / "other.safetensors"
    other.write_bytes(content)
    with pytest.raises(CheckpointError, match="is not backbone"):
        Policy.load(path, backbone=other)


def test_a_checkpoint_that_does_not_say_its_device_is_of_another_release(stage1: Path, tmp_path: Path) -> None:
    path = adapt(tmp_path, make_demonstrations(), config(), stage1=stage1)
    assert read_info(path).device == "cpu"
    tensors, metadata = tensor_file.read(path, KIND)
    del metadata["device"]
    tensor_file.write(path, tensors, {"kind": KIND, **metadata})
    with pytest.raises(CheckpointError, match=r"written by another release \(KeyError\('device'\)\)"):
        read_info(path)


def test_a_checkpoint_of_another_shape_is_named(stage1: Path, tmp_path: Path) -> None:
    path = adapt(tmp_path, make_demonstrations(), config(), stage1=stage1)
    weights = load_file(path)
    broken = tmp_path / "checkpoints" / "broken.safetensors"
    save_checkpoint(broken, replace(read_info(path), condition_dim=7), weights)
    with pytest.raises(
        CheckpointError, match=r"'conditioning\.encoder\.layers\.0\.weight' is \(512, 18\), expected \(512, 14\)"
    ):
        Policy.load(broken)
    with pytest.raises(CheckpointError, match="Stage-1 checkpoint, which sees no observations"):
        Policy.load(stage1)


def test_a_policy_answers_in_metres_the_same_alone_and_in_a_batch(stage1: Path, tmp_path: Path) -> None:
    demonstrations = make_demonstrations()
    policy = Policy.load(adapt(tmp_path, demonstrations, config(), stage1=stage1), precision="fp32")
    observations = np.random.default_rng(0).normal(size=(5, 2, 9)).astype(np.float32)
    actions = policy(observations)
    assert actions.shape == (5, 8, 10)
    assert actions.dtype == np.float32
    assert (np.abs(actions[..., :2]) <= 1 + 1e-6).all()
    assert (actions[..., 2] >= -1 - 1e-6).all()
    assert np.abs(policy(observations[3:4])[0] - actions[3]).max() < 1e-5
    assert np.array_equal(policy(observations), actions)
    assert np.abs(actions[0] - actions[1]).max() > 1e-3
    reseeded = Policy.load(tmp_path, precision="fp32", seed=1)(observations)
    assert np.abs(reseeded - actions).max() > 1e-3
    with pytest.raises(ConfigError, match=r"observations have shape \(5, 2, 8\)"):
        policy(observations[..., :8])


def test_the_policys_noise_is_normal(stage1: Path, tmp_path: Path) -> None:
    policy = Policy.load(adapt(tmp_path, make_demonstrations(), config(), stage1=stage1))
    noise = policy._noise(np.arange(500), 0).reshape(-1)
    assert abs(noise.mean()) < 0.02
    assert abs(noise.std() - 1) < 0.02
    assert abs((noise**4).mean() - 3) < 0.2
    assert abs((np.abs(noise) < 0.6745).mean() - 0.5) < 0.01
