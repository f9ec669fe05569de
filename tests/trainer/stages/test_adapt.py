import json
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from shared.errors import CheckpointError, ConfigError, TrainingError
from tests.shared.example import HEADER as DATASET_HEADER
from tests.trainer.example import RANGE, make_dataset, make_demonstrations, training
from trainer import tensor_file
from trainer.config import AdaptConfig, Gates, HeadConfig, Mode, PretrainConfig
from trainer.data.demonstrations.episode import Demonstrations
from trainer.deployment.policy import Policy
from trainer.stages.adapt import adapt
from trainer.stages.pretrain import pretrain
from trainer.training.backbone_files import BACKBONE_KIND, pack_backbone
from trainer.training.checkpoint import KIND, load_checkpoint, read_info, save_checkpoint

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


def test_a_finished_stage_1_is_a_checkpoint_and_a_backbone(stage1: Path) -> None:
    head, info = load_checkpoint(stage1)
    assert (info.stage, info.condition_dim, info.robot, info.rate_hz) == (1, 48, "twolink", 20.0)
    assert (info.device, info.action_label) == ("cpu", "command")
    assert info.stage1 is not None
    assert (info.stage1.dataset_id, info.stage1.condition) == ("a" * 64, "joint_position")
    assert 0 < info.seconds == info.stage1.seconds
    assert info.basis is not None
    assert tensor_file.sha256(pack_backbone(head.backbone, info.head, info.basis)) == info.backbone
    # The basis is kept with the backbone, under its hash.
    kept = tensor_file.read(stage1 / "backbones" / f"{info.backbone}.safetensors", BACKBONE_KIND)[1]
    assert kept["motion_basis"] == info.motion_basis
    assert info.limits is not None
    assert info.limits.velocity.tolist() == DATASET_HEADER.robot.limits.velocity.tolist()
    assert sorted(path.name for path in stage1.iterdir()) == [
        "backbones",
        "checkpoints",
        "config.json",
        "metrics.jsonl",
    ]
    # The training state stays: from it, the run can be lengthened.
    written = sorted(path.name for path in (stage1 / "checkpoints").iterdir())
    assert written == ["step-00000003.safetensors", "training.safetensors"]
    last = json.loads((stage1 / "metrics.jsonl").read_text().splitlines()[-1])
    errors = {"position_mm", "slow_position_mm", "fast_position_mm", "rotation_deg", "gripper_accuracy"}
    motion = {"jerk_m_per_s3", "acceleration_m_per_s2", "rotation_jerk_rad_per_s3", "rotation_acceleration_rad_per_s2"}
    beside = {f"{whose}_{name}" for whose in ("chunk", "demonstration") for name in motion}
    assert set(last) == {"step", "validation_loss"} | errors | beside


@pytest.mark.parametrize("mode", get_args(Mode))
def test_each_mode_leaves_its_backbone_as_it_was(stage1: Path, tmp_path: Path, mode: Mode) -> None:
    path = adapt(tmp_path, make_demonstrations(), config(mode), stage1=stage1)
    head, info = load_checkpoint(path)
    stored = {name.split(".")[0] for name in load_file(path)}
    first = read_info(stage1)
    pretrained = mode in ("decoupled", "pretrained_body", "finetune")
    assert info.stage1 == (first.stage1 if pretrained else None)
    # Every mode projects onto the same directions: Stage 1's.
    assert info.motion_basis == first.motion_basis
    if mode in ("normal", "finetune"):
        assert info.backbone is None
        assert stored == {"backbone", "conditioning"}
        assert not (tmp_path / "backbones").exists()
        return
    assert info.backbone is not None
    frozen = load_file(tmp_path / "backbones" / f"{info.backbone}.safetensors")
    changed = {name for name, value in head.backbone.state_dict().items() if not torch.equal(value, frozen[name])}
    if mode in ("random_body", "pretrained_body"):
        maps = ("input_map.", "final_norm.", "output_head.")
        assert changed == {name for name in frozen if name.startswith(maps)}
    else:
        assert not changed
        assert stored == {"conditioning"}
        packed = pack_backbone(head.backbone, info.head, first.basis if pretrained else None)
        assert tensor_file.sha256(packed) == info.backbone
    assert (info.backbone == first.backbone) == pretrained


def test_finetune_starts_from_stage_1_and_random_gates_as_asked(
    stage1: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A learning rate that moves nothing shows what a run starts from; none so small can be asked for.
    monkeypatch.setattr("trainer.training.optimization.learning_rate", lambda config, step, peak: 1e-30)
    still = replace(config(), training=training(1))
    first = load_checkpoint(stage1)[0]
    started = load_checkpoint(
        adapt(tmp_path / "f", make_demonstrations(), replace(still, mode="finetune"), stage1=stage1)
    )
    for name, weight in first.backbone.state_dict().items():
        assert torch.equal(weight, started[0].backbone.state_dict()[name]), name
    gates = {}
    for start in get_args(Gates):
        wanted = replace(still, mode="random_body", gates=start)
        head = load_checkpoint(adapt(tmp_path / start, make_demonstrations(), wanted, stage1=stage1))[0]
        shift, scale, gates[start] = head.conditioning.projection.bias.view(4, 3, 256).unbind(1)
        assert max(shift.abs().max(), scale.abs().max()) < 1e-29
    assert (gates["open"] == 1).all()
    assert gates["closed"].abs().max() < 1e-29


def test_the_basis_is_stage_1s_or_the_demonstrations_or_none(stage1: Path, tmp_path: Path) -> None:
    first = read_info(stage1).basis
    assert first is not None
    own = read_info(adapt(tmp_path / "own", make_demonstrations(), config("normal"), action_range=WIDE)).basis
    assert own is not None
    # Straight moves at one speed and one repeated step at their ends; Stage 1's rows are steps at random.
    assert (own.kept, first.kept) == (5, 16)
    assert np.abs(own.directions - first.directions).max() > 1e-3
    given = read_info(
        adapt(tmp_path / "given", make_demonstrations(), config("normal"), action_range=WIDE, basis=first)
    )
    assert given.motion_basis == first.to_json()
    more = read_info(adapt(tmp_path / "more", make_demonstrations(), replace(config(), directions=9), stage1=stage1))
    assert more.basis is not None
    assert (more.basis.kept, more.basis.directions.tolist()) == (9, first.directions.tolist())
    none = adapt(tmp_path / "none", make_demonstrations(), replace(config(), directions=0), stage1=stage1)
    assert read_info(none).basis is None
    assert Policy.load(none).directions == 0
    with pytest.raises(ConfigError, match="directions is 17; it must be 0"):
        replace(config(), directions=17)


def test_demonstrations_that_move_too_fast_for_the_basis_are_named(
    stage1: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    demonstrations = make_demonstrations()
    rng = np.random.default_rng(0)
    shaken = [
        replace(one, actions=one.actions + np.pad(0.05 * rng.normal(size=(len(one.actions), 3)), [(0, 0), (0, 7)]))
        for one in demonstrations.episodes
    ]
    adapt(tmp_path / "smooth", demonstrations, config(), stage1=stage1)
    assert not caplog.records
    fast = replace(
        demonstrations, episodes=tuple(replace(one, actions=one.actions.astype(np.float32)) for one in shaken)
    )
    info = read_info(adapt(tmp_path / "fast", fast, replace(config(), directions=4), stage1=stage1))
    (said,) = (record.getMessage() for record in caplog.records)
    assert said.startswith(
        "the demonstrations of reach move faster than 4 directions of the motion basis can carry: from"
    )
    assert "100 % of their windows" in said
    assert said.endswith("--directions 16 would carry them")
    assert info.demonstrated is not None
    assert info.demonstrated["jerk_m_per_s3"] > 1000


def test_a_checkpoint_of_the_first_release_samples_as_it_did(stage1: Path, tmp_path: Path) -> None:
    path = adapt(tmp_path, make_demonstrations(), replace(config(), directions=4), stage1=stage1)
    seen = np.random.default_rng(0).normal(size=(2, 2, 9)).astype(np.float32)
    without, smooth = (Policy.load(path, precision="fp32", directions=n)(seen) for n in (0, None))
    tensors, metadata = tensor_file.read(path, KIND)
    for name in ("motion_basis", "demonstrated", "joint_limits"):
        del metadata[name]
    tensor_file.write(path, tensors, {"kind": KIND, **metadata})
    old = Policy.load(path, precision="fp32")
    assert old.directions == 0
    assert np.array_equal(old(seen), without)
    assert np.abs(smooth - without).max() > 1e-4
    with pytest.raises(ConfigError, match="directions is 3, but this checkpoint has no motion basis"):
        Policy.load(path, directions=3)
    metadata["motion_basis"] = {"action": "ee_pose"}
    tensor_file.write(path, tensors, {"kind": KIND, **metadata})
    with pytest.raises(CheckpointError, match="written by another release"):
        read_info(path)


def test_all_directions_are_no_basis_and_the_answer_goes_on_from_its_prefix(stage1: Path, tmp_path: Path) -> None:
    path = adapt(tmp_path, make_demonstrations(), replace(config(), directions=5), stage1=stage1)
    seen = np.random.default_rng(0).normal(size=(3, 2, 9)).astype(np.float32)
    none, whole = (Policy.load(path, precision="fp32", directions=n) for n in (0, 16))
    assert np.abs(none(seen) - whole(seen)).max() < 1e-5
    policy = Policy.load(path, precision="fp32")
    free = policy.predict(seen)
    # Of the second robot alone: it stood still.
    prefix = np.full((3, 2, 10), np.nan, np.float32)
    prefix[1] = [0.1, 0.2, 0.5, 1, 0, 0, 0, 1, 0, -1]
    held = policy.predict(seen, prefix=prefix)
    assert np.array_equal(held[[0, 2]], free[[0, 2]])
    gap = np.abs(free[1, 0, :3] - prefix[1, 1, :3]).max()
    assert gap > 0.1
    # The answer's first action is the prefix's last.
    assert np.abs(held[1, 0, :3] - prefix[1, 1, :3]).max() < 0.02 * gap
    assert held[1, 0, -1] == -1
    for shape in ((3, 0, 10), (3, 17, 10), (2, 3, 10), (3, 3, 9)):
        with pytest.raises(ConfigError, match=r"the prefix has shape .*, expected \(3, 1 to 16, 10\)"):
            policy.predict(seen, prefix=np.zeros(shape, np.float32))


def test_a_finished_run_returns_at_once_and_a_changed_one_is_refused(stage1: Path, tmp_path: Path) -> None:
    path = adapt(tmp_path, make_demonstrations(), config(), stage1=stage1)
    before = path.stat().st_mtime_ns
    assert adapt(tmp_path, make_demonstrations(), config(), stage1=stage1) == path
    assert path.stat().st_mtime_ns == before
    with pytest.raises(ConfigError, match=r"holds another run: config\.training\.steps is 2, there it is 3"):
        adapt(tmp_path, make_demonstrations(), config(steps=2), stage1=stage1)
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
    with pytest.raises(ConfigError, match="5 of 6 demonstrations of reach leave action_range: y is"):
        adapt(tmp_path, demonstrations, config("normal"), action_range=narrow)
    with pytest.raises(ConfigError, match="backbone has conditioning 'adaln_zero', this run asks for 'film'"):
        adapt(tmp_path, demonstrations, replace(config(), head=HeadConfig(conditioning="film")), stage1=stage1)
    with pytest.raises(ConfigError, match="backbone has prediction_type 'epsilon', this run asks for 'flow'"):
        adapt(tmp_path, demonstrations, replace(config(), head=HeadConfig(prediction_type="flow")), stage1=stage1)
    joints = make_demonstrations(action="joint_position")
    with pytest.raises(ConfigError, match="actions of reach are 'joint_position', the head's 'ee_pose'; pass --action"):
        adapt(tmp_path, joints, config(), stage1=stage1)
    held_out = replace(demonstrations, episodes=demonstrations.episodes[4:5])
    with pytest.raises(TrainingError, match="every demonstration is held out"):
        adapt(tmp_path / "x", held_out, config(), stage1=stage1)
    policy = adapt(tmp_path / "y", demonstrations, config(), stage1=stage1)
    with pytest.raises(ConfigError, match="not a Stage-1 checkpoint"):
        adapt(tmp_path / "z", demonstrations, config(), stage1=policy)
    with pytest.raises(CheckpointError, match="holds no checkpoint yet"):
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


def test_demonstrations_outside_the_range_are_dropped_where_asked(
    stage1: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given = make_demonstrations()

    def moved(*far: int) -> Demonstrations:
        episodes = [
            replace(episode, actions=episode.actions + np.float32(2 * (index in far)) * np.eye(10, dtype=np.float32)[0])
            for index, episode in enumerate(given.episodes)
        ]
        return replace(given, episodes=tuple(episodes))

    with pytest.raises(ConfigError, match=r"1 of 6 demonstrations of reach leave action_range: x is .*--drop-outside"):
        adapt(tmp_path, moved(2), config(), stage1=stage1)
    dropping = replace(config(), drop_outside=True)
    adapt(tmp_path / "some", moved(2), dropping, stage1=stage1)
    assert "1 of 6 demonstrations leave the action range and are left out" in caplog.text
    data = json.loads((tmp_path / "some" / "config.json").read_text())["data"]
    assert (data["dropped"], data["demonstrations"]["demonstrations"]) == (1, 5)
    with pytest.raises(ConfigError, match="3 of 6 demonstrations of reach leave action_range"):
        adapt(tmp_path / "half", moved(0, 1, 2), dropping, stage1=stage1)
