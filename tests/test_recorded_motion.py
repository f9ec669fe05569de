"""Stage 1 from recorded motion: the windows of generated trajectories, whatever file they came through."""

import json
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pytest
import torch

from services.export import Content, export_dataset
from shared.dataset import Dataset
from shared.errors import ConfigError, TrainingError
from shared.records import list_column
from shared.rotation import matrix_to_rot6d, rot6d_to_matrix, rotvec_to_matrix
from tests.pages import blocks, commands
from tests.shared.example import HEADER, OTHER, example_table
from tests.stacking import demonstrations as stacking
from tests.trainer.data.demonstrations.example import mapping, plain_columns, write_robomimic
from tests.trainer.data.demonstrations.written import unpack_lift
from tests.trainer.example import HEADS, make_dataset, make_demonstrations, training
from trainer.__main__ import main
from trainer.config import AdaptConfig, PretrainConfig
from trainer.data.batch_source import Batch
from trainer.data.demonstrations import read_demonstrations
from trainer.data.demonstrations.episode import Demonstrations
from trainer.data.demonstrations.mapping.mapping_file import parse_mapping
from trainer.data.normalization import ActionNormalizer
from trainer.data.resampling import resample
from trainer.data.trajectories.joined_batches import stage1_batches
from trainer.data.trajectories.joined_datasets import JoinedDatasets
from trainer.data.trajectories.recorded_motion import RecordedMotion
from trainer.stages.adapt import adapt
from trainer.stages.pretrain import pretrain
from trainer.training.checkpoint import read_info

PAGE = "docs/recorded-motion.md"
HEAD = HEADS["dp_mlp-adaln_zero"]
ROWS = replace(OTHER, shard_rows=16)
"""Few shards are mixed as one, whatever their size; those of recorded motion are larger."""
CONFIG = PretrainConfig(head=HEAD, training=training(6, log_every=2), validation_windows=8)


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Rows of random numbers, whose rotations are rotations."""
    dataset = Dataset.create(tmp_path_factory.mktemp("generated") / "dataset", ROWS)
    for index in range(ROWS.shards):
        table = example_table(index, ROWS.rows_in(index), ROWS)
        turns, ends = list_column(table, "ee_position")
        rotations = matrix_to_rot6d(rotvec_to_matrix(2 * turns.reshape(-1, 3).astype(np.float64)))
        items = pa.array(rotations.astype(np.float32).reshape(-1))
        place, offsets = table.schema.get_field_index("ee_rotation_6d"), pa.array((2 * ends).astype(np.int32))
        field = table.schema.field(place)
        table = table.set_column(place, field, pa.ListArray.from_arrays(offsets, items, type=field.type))
        dataset.publish(index, table, 8, {})
    dataset.set_state("sealed")
    return dataset


@pytest.fixture(scope="module")
def exported(generated: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its rows in robomimic's layout, with poses and joints as observed and poses as commanded."""
    path = tmp_path_factory.mktemp("exported") / "rows.hdf5"
    export_dataset(generated, path, "robomimic", Content(generated.header, "ee_pose", "command"))
    return path


def as_recorded(path: Path, space: str) -> Demonstrations:
    """The file's demonstrations with actions in a space; the other space is what is observed."""
    pose = {
        "position": {"columns": "obs/ee_position"},
        "rotation": {"columns": "obs/ee_rotation_6d", "encoding": "rot6d"},
    }
    joints = {"joint_position": {"columns": "obs/joint_position"}}
    gripper = {"columns": "obs/gripper", "open": -1, "closed": 1}
    content: dict[str, Any] = {
        "action": {"space": space, "gripper": gripper, **(pose if space == "ee_pose" else joints)},
        "state": {**pose, **joints},
        "observation": {"low_dim": ["obs/joint_position"]},
        "robot": "twolink",
        "rate_hz": 20.0,
        # They are random numbers, not motions of an arm.
        "accept": ["gripper", "continuity"],
    }
    return read_demonstrations(path, mapping=parse_mapping(content, "mapping"), pictures=False)


def batches(source: Any, config: PretrainConfig, normalizer: ActionNormalizer, folder: Path) -> list[Batch]:
    datasets = JoinedDatasets.of([source])
    datasets.check(config)
    stream = stage1_batches(datasets, folder, normalizer, config, torch.device("cpu"))
    held_out = stream.validation()
    assert held_out is not None
    return [held_out, *(stream.next(lambda text: None) for _ in range(7))]


@pytest.mark.parametrize("space", ["ee_pose", "joint_position"])
def test_generated_rows_in_a_robomimic_file_give_the_windows_of_the_dataset(
    generated: Dataset, exported: Path, space: Any, tmp_path: Path
) -> None:
    recorded = RecordedMotion(as_recorded(exported, space))
    # The exported masks hold out a tenth of the rows, by the same hash.
    assert recorded.held_out
    head = replace(HEAD, action=space)
    for condition in ("joint_position", "ee_pose", "endpoints", "none"):
        for endpoints in ("window", "motion") if condition == "endpoints" else ("window",):
            config = replace(CONFIG, head=head, condition=condition, endpoints=endpoints, validation_share=0.1)
            normalizer = ActionNormalizer(generated.header.action_range, space)
            ways = [
                batches(source, config, normalizer, tmp_path / f"{number}-{condition}-{endpoints}")
                for number, source in enumerate((generated, recorded))
            ]
            assert all(len(way) == 8 for way in ways)
            for ours, theirs in zip(*ways, strict=True):
                assert ours.actions.shape == theirs.actions.shape
                assert ours.condition.shape == theirs.condition.shape
                assert (ours.actions - theirs.actions).abs().max() < 1e-6
                assert condition == "none" or (ours.condition - theirs.condition).abs().max() < 1e-6


def test_the_range_is_that_of_what_was_recorded(generated: Dataset, exported: Path) -> None:
    shown = as_recorded(exported, "ee_pose")
    ranges = RecordedMotion(shown).header.action_range
    positions = np.concatenate([episode.actions[:, :3] for episode in shown.episodes])
    joints = np.concatenate([episode.counterpart for episode in shown.episodes])
    for name, values in (("position", positions), ("joint_position", joints)):
        assert np.allclose(ranges[name]["min"], values.min(0) - 0.05)
        assert np.allclose(ranges[name]["max"], values.max(0) + 0.05)
    # Given ones replace them, but never cut off what was recorded.
    given = {"position": {"min": [-9.0, 0.0, 0.0], "max": [9.0, 0.1, 0.1]}}
    normalizer = JoinedDatasets.of([RecordedMotion(shown)]).normalizer("ee_pose", given)
    assert normalizer.position is not None
    assert np.allclose(normalizer.position.low, [-9.0, *(positions.min(0) - 0.05)[1:]])
    assert np.allclose(normalizer.position.high, [9.0, *(positions.max(0) + 0.05)[1:]])
    wrong = {"joint_position": {"min": [-1.0] * 6, "max": [1.0] * 6}}
    with pytest.raises(
        ConfigError, match="'joint_position' is of 6 joints, the demonstrations of headstart-twolink have 2"
    ):
        JoinedDatasets.of([RecordedMotion(shown)]).normalizer("ee_pose", wrong)
    # Joined with the trajectories themselves: the range of both.
    both = JoinedDatasets.of([generated, RecordedMotion(shown)])
    both.check(replace(CONFIG, condition="joint_position"))
    assert np.allclose(
        both.action_range["joint_position"]["min"], generated.header.action_range["joint_position"]["min"]
    )


def test_joints_are_those_of_the_step_that_the_action_is_of(tmp_path: Path) -> None:
    path = write_robomimic(tmp_path / "demos.hdf5", 6, plain_columns)
    joints = {"columns": "obs/joints"}
    commanded = read_demonstrations(path, mapping=mapping(state__joint_position=joints)).episodes[0]
    reached_mapping = mapping(
        state__joint_position=joints, action__label="reached", action__latency=2, action__position=None,
        action__rotation=None,
    )  # fmt: skip
    reached = read_demonstrations(path, mapping=reached_mapping).episodes[0]
    assert commanded.counterpart is not None
    assert reached.counterpart is not None
    assert commanded.counterpart.shape == (40, 6)
    assert np.array_equal(reached.counterpart[:-2], commanded.counterpart[2:])
    assert np.array_equal(reached.counterpart[-2:], commanded.counterpart[[-1, -1]])
    slow = resample(read_demonstrations(path, mapping=mapping(state__joint_position=joints)), 10.0).episodes[0]
    assert slow.counterpart is not None
    assert np.allclose(slow.counterpart, commanded.counterpart[::2], atol=1e-6)


def test_what_is_not_recorded_is_said_with_what_to_do(tmp_path: Path) -> None:
    poses, joints = make_demonstrations(), make_demonstrations(action="joint_position")
    cases = [
        (poses, {}, "condition 'joint_position' is not recorded in reach, whose actions are 'ee_pose'; say with "
         "state.joint_position in the mapping where it was observed, or pass --condition ee_pose, endpoints or none"),
        (joints, {"condition": "ee_pose", "head": replace(HEAD, action="joint_position")},
         "say with state.position and state.rotation in the mapping where it was observed, or pass --condition "
         "joint_position, endpoints or none"),
        (joints, {}, "the actions of reach are 'joint_position', the head's 'ee_pose'; pass --action joint_position"),
        (poses, {"condition": "objects"}, "condition 'objects' is of copies of demonstrations"),
    ]  # fmt: skip
    for shown, settings, message in cases:
        with pytest.raises(ConfigError, match=message):
            pretrain(tmp_path / "run", RecordedMotion(shown), replace(CONFIG, **settings))  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()
    held_out = replace(poses, episodes=tuple(replace(one, validation=True) for one in poses.episodes))
    with pytest.raises(TrainingError, match="every demonstration is held out"):
        RecordedMotion(held_out)


def test_stopped_and_gone_on_with_it_is_the_same_run(tmp_path: Path) -> None:
    config = replace(CONFIG, condition="endpoints")
    motion = RecordedMotion(stacking(10, lambda episode: replace(episode, validation=episode.seed == 4)))
    whole = pretrain(tmp_path / "whole", motion, config)

    def stop(done: int, total: int, note: str = "") -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pretrain(tmp_path / "parts", motion, config, progress=stop)
    parts = pretrain(tmp_path / "parts", motion, config)
    assert read_info(parts).backbone == read_info(whole).backbone
    # Another set is another run; the same numbers are the same set, wherever they lie.
    other = RecordedMotion(stacking(9))
    assert other.header.dataset_id != motion.header.dataset_id
    with pytest.raises(ConfigError, match="dataset_id"):
        pretrain(tmp_path / "parts", other, config)


def test_a_head_from_recorded_stacking_adapts(tmp_path: Path) -> None:
    shown = stacking(10, lambda episode: replace(episode, validation=episode.seed == 4))
    stage1 = tmp_path / "stage1"
    info = read_info(pretrain(stage1, RecordedMotion(shown), replace(CONFIG, condition="ee_pose")))
    assert (info.robot, info.rate_hz, info.action_label, info.joint_limits) == ("panda", 20.0, "command", None)
    assert info.held_out is not None
    assert info.basis is not None
    said = json.loads((stage1 / "config.json").read_text())["data"]
    assert said["recorded"] == {
        "task": "stacking", "robot": "panda", "rate_hz": 20.0, "action_label": "command", "demonstrations": 10,
        "held_out": 1,
    }  # fmt: skip
    assert said["dataset_id"] == info.stage1.dataset_id  # type: ignore[union-attr]
    assert info.stage1.recorded == [said["dataset_id"]]  # type: ignore[union-attr]
    policy = AdaptConfig(head=HEAD, training=training(3))
    adapted = read_info(adapt(tmp_path / "policy", shown, policy, stage1=stage1))
    assert (adapted.backbone, adapted.action_range) == (info.backbone, info.action_range)
    # Of another set, which goes beyond it, the range must be given.
    far = replace(shown, episodes=tuple(replace(one, actions=one.actions + 1) for one in shown.episodes))
    with pytest.raises(ConfigError, match="leave action_range"):
        adapt(tmp_path / "far", far, policy, stage1=stage1)
    with pytest.raises(ConfigError, match="the action range that this run goes on with: x is "):
        pretrain(tmp_path / "on", RecordedMotion(far), replace(CONFIG, condition="ee_pose"), init_from=stage1)


def test_the_range_of_relative_actions_holds_what_was_recorded(tmp_path: Path) -> None:
    shown = stacking(4)
    config = replace(CONFIG, head=replace(HEAD, relative_actions=True), training=training(1), condition="none")
    wide = {"position": {"min": [-5.0] * 3, "max": [5.0] * 3}}
    narrow = {**wide, "relative_position": {"min": [-0.01] * 3, "max": [0.5, 0.01, 0.01]}}
    info = read_info(pretrain(tmp_path / "stage1", RecordedMotion(shown), config, action_range=narrow))
    # The state of a window is its first action, with two observed steps; beyond the end, the arm stands still.
    least, greatest = np.zeros(3), np.zeros(3)
    for one in shown.episodes:
        position, turn = one.actions[:, :3].astype(np.float64), rot6d_to_matrix(one.actions[:, 3:9].astype(np.float64))
        for t in range(len(position)):
            window = position[np.minimum(np.arange(t, t + 16), len(position) - 1)]
            moved = (window - position[t]) @ turn[t].T
            least, greatest = np.minimum(least, moved.min(0)), np.maximum(greatest, moved.max(0))
    held = info.action_range["relative_position"]
    assert np.abs(np.array(held["min"]) - np.minimum(least, -0.01)).max() < 1e-6
    assert np.abs(np.array(held["max"]) - np.maximum(greatest, [0.5, 0.01, 0.01])).max() < 1e-6
    assert greatest[1] > 0.01
    # Within the range of places, but faster than what the head has learned to say.
    stretch = np.array([3.0] * 3 + [1.0] * 7, np.float32)
    fast = replace(shown, episodes=tuple(replace(one, actions=one.actions * stretch) for one in shown.episodes))
    with pytest.raises(ConfigError, match="the action range that this run goes on with: relative x is "):
        pretrain(tmp_path / "on", RecordedMotion(fast), config, init_from=tmp_path / "stage1")
    assert not (tmp_path / "on" / "config.json").exists()
    assert pretrain(tmp_path / "on", RecordedMotion(shown), config, init_from=tmp_path / "stage1").exists()


def test_the_pages_set_ups_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """docs/recorded-motion.md's commands, shorter, on a file that robosuite and robomimic wrote."""
    monkeypatch.chdir(tmp_path)
    stack, square = unpack_lift(tmp_path).rename(tmp_path / "stack.hdf5"), tmp_path / "square.hdf5"
    shutil.copy(stack, square)
    with h5py.File(square, "r+") as file:
        for demo in file["data"].values():
            # It lets go at the end: another set than the first.
            demo["actions"][-1, 6] = -1.0
    (tmp_path / "mimicgen.toml").write_text(blocks(PAGE, "toml")[0])
    short = ["--batch-size", "8", "--compile", "off", "--size", "tiny", "--no-tensorboard"]
    assert main(["inspect", "stack.hdf5", "--mapping", "mimicgen.toml"]) == 0
    assert "--condition ee_pose, joint_position, endpoints or none" in capsys.readouterr().out
    for command in commands(PAGE):
        program, *given = shlex.split(re.sub("--steps [0-9]+ --batch-size [0-9]+", "", command))
        assert program == ".venv/bin/python"
        assert given[:2] == ["-m", "trainer"]
        assert main([*given[2:], "--steps", "2", *short]) == 0, capsys.readouterr().err
    stage1, policy = read_info(tmp_path / "runs" / "ood-stage1"), read_info(tmp_path / "runs" / "ood-stack")
    # Joints of the same steps, as in the paper: 16 of 7 and a gripper.
    assert (stage1.condition_dim, stage1.action_label, stage1.robot) == (128, "reached", "panda")
    assert policy.backbone == stage1.backbone
    said = json.loads((tmp_path / "runs" / "id-stage1" / "config.json").read_text())["data"]["datasets"]
    assert [one["recorded"]["task"] for one in said] == ["Lift", "Lift"]


def test_the_command_joins_sets_and_datasets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    columns = tmp_path / "columns.json"
    columns.write_text(
        mapping(robot="twolink", state__joint_position={"columns": "obs/joints"}).model_dump_json(exclude_none=True)
    )
    a = write_robomimic(tmp_path / "a.hdf5", 12, plain_columns)
    b = write_robomimic(tmp_path / "b.hdf5", 6, lambda motion: plain_columns(motion.seen()))
    make_dataset(tmp_path / "dataset")
    run = tmp_path / "run"
    given = [
        "pretrain",
        "--out",
        str(run),
        "--steps",
        "2",
        "--batch-size",
        "8",
        "--compile",
        "off",
        "--size",
        "tiny",
        "--no-tensorboard",
    ]
    given += ["--demos", str(a), "--demos", str(b), "--mapping", str(columns), "--count", "5"]
    assert main([*given, "--data", str(tmp_path / "dataset"), "--weights", "2,1,1"]) == 2
    assert "their joints are not the same" in capsys.readouterr().err
    joined = [*given, "--data", str(tmp_path / "dataset"), "--condition", "endpoints", "--weights", "2,1,1"]
    assert main(joined) == 0, capsys.readouterr().err
    said = json.loads((run / "config.json").read_text())["data"]["datasets"]
    assert [one["share"] for one in said] == [0.5, 0.25, 0.25]
    assert said[0] == {"dataset_id": HEADER.dataset_id, "share": 0.5}
    assert [one["recorded"]["demonstrations"] for one in said[1:]] == [5, 5]
    assert read_info(run).stage1.shares is not None  # type: ignore[union-attr]
    capsys.readouterr()
    adapted = ["adapt", "--out", str(run), "--demos", str(a), "--demos", str(b), "--mapping", str(columns)]
    for wrong, message in (
        (["pretrain", "--out", str(run)], "--data is missing"),
        (["pretrain", "--out", str(run), "--data", "x", "--count", "3"], "--count and --draw are of --demos"),
        (["pretrain", "--out", str(run), "--data", "x", "--mapping", str(columns)], "--mapping is of --demos, or"),
        ([*given, "--validation-share", "0.2"], "--validation-share is of --data"),
        ([*adapted, "--mapping", str(columns), "--action-range", str(a)], "give --action-range as JSON"),
        (
            [*given, "--mapping", str(columns), "--mapping", str(columns)],
            "--mapping is given 3 times, and 2 of the 2 sets need one",
        ),
    ):
        assert main([*wrong, "--overwrite"]) == 2
        assert message in capsys.readouterr().err
