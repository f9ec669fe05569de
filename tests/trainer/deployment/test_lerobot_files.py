"""What an export writes for LeRobot, and the plugin's arithmetic, without lerobot: that is in tests/lerobot_plugin."""

import importlib.util
import json
import shlex
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import tyro
from safetensors.torch import load

from shared.errors import ConfigError
from tests.pages import ROOT, commands
from tests.trainer.example import HEADS, make_demonstrations, training
from trainer.commands.export import run
from trainer.config import AdaptConfig
from trainer.data.demonstrations.mapping.encodings import gripper_commands, joint_positions
from trainer.data.demonstrations.mapping.mapping import Gripper
from trainer.data.demonstrations.mapping.mapping_file import parse_mapping
from trainer.deployment.export import export_policy
from trainer.deployment.lerobot_files import LeRobotNames, lerobot_files
from trainer.deployment.policy import Policy
from trainer.model.observation import Camera
from trainer.stages.adapt import adapt
from trainer.training.checkpoint import find_checkpoint, read_info
from trainer.training.checkpoint_info import CheckpointInfo

PLUGIN = ROOT / "packages/lerobot_policy_headstart/lerobot_policy_headstart"
JOINTS = {"columns": "action[0:2]", "unit": "deg", "sign": [1, -1], "offset": [0.1, -0.2]}
GRIPPER = {"columns": "action[2]", "open": 100, "closed": 0}


def module(name: str) -> ModuleType:
    """One of the plugin's, which does not need lerobot; the package itself does."""
    spec = importlib.util.spec_from_file_location(name, PLUGIN / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.fixture
def info(low_dim_run: Path) -> CheckpointInfo:
    return read_info(find_checkpoint(low_dim_run))


@pytest.fixture
def joint_info(info: CheckpointInfo) -> CheckpointInfo:
    """Of a policy of two joints and a gripper."""
    ranges = {"joint_position": {"min": [-2.0, -1.0], "max": [2.0, 1.5]}}
    return replace(info, head=replace(info.head, action="joint_position"), action_range=ranges)


def names(**action: Any) -> LeRobotNames:
    content = {"space": "joint_position", "joint_position": JOINTS, "gripper": GRIPPER, **action}
    return LeRobotNames(parse_mapping({"action": content}, "mapping"))


def order(files: dict[str, bytes]) -> list[int]:
    steps = json.loads(files["policy_postprocessor.json"])["steps"]
    assert [step["registry_name"] for step in steps][1] == "headstart_order_action"
    return list(steps[1]["config"]["order"])


def stats(files: dict[str, bytes], name: str) -> dict[str, torch.Tensor]:
    step = next(step for step in json.loads(files[f"{name}.json"])["steps"] if "state_file" in step)
    return load(files[step["state_file"]])


def test_the_plugins_arithmetic_is_the_policys(low_dim_run: Path, tmp_path: Path) -> None:
    programs, noise, rng = module("programs"), module("noise"), np.random.default_rng(0)
    export_policy(low_dim_run, tmp_path / "out", lerobot=LeRobotNames())
    policy, denoiser = Policy.load(low_dim_run, precision="fp32"), programs.Denoiser(tmp_path / "out")
    seen = rng.uniform(-1, 1, (3, 2, 9)).astype(np.float32)
    drawn = torch.from_numpy(noise.noise_of(0, seen, [], (16, 10)))
    condition = policy.info.scaling.apply(torch.from_numpy(seen)).flatten(1)
    for prefix in (None, policy(seen)[:, 3:4]):
        fixed = None if prefix is None else torch.from_numpy(policy.info.normalizer.normalize(prefix))
        made = policy.info.normalizer.denormalize(denoiser(condition, (), drawn, fixed).numpy())
        assert np.abs(made[:, 1:9] - policy(seen, prefix=prefix)).max() < 1e-5
    with pytest.raises(FileNotFoundError, match=r"has no policy\.json"):
        programs.Denoiser(tmp_path)


def test_the_plugins_pictures_are_the_policys() -> None:
    pictures, rng = module("pictures"), np.random.default_rng(0)
    camera = {"size": [40, 44], "crop": [36, 40], "corner": [2, 2]}
    for size in ((40, 44), (80, 88), (40, 50), (20, 22)):
        given = rng.integers(0, 256, (1, 2, *size, 3), np.uint8)
        as_lerobot_has_it = torch.from_numpy(given).movedim(-1, -3).float() / 255
        assert np.array_equal(pictures.pixels(as_lerobot_has_it), given)
        (made,) = pictures.crops([camera], [given])
        ours = Camera((40, 44), (36, 40))
        assert np.array_equal(made, ours.center(ours.resized(given)))


def test_what_is_written_says_what_is_seen(info: CheckpointInfo, tmp_path: Path) -> None:
    files = lerobot_files(replace(info, cameras={"front": Camera((40, 44), (36, 40))}), LeRobotNames())
    config = json.loads(files["config.json"])
    assert config["type"] == "headstart"
    assert (config["n_obs_steps"], config["horizon"], config["n_action_steps"], config["rate_hz"]) == (2, 16, 8, 20.0)
    assert config["input_features"] == {
        "observation.state": {"type": "STATE", "shape": [9]},
        "observation.images.front": {"type": "VISUAL", "shape": [3, 40, 44]},
    }
    assert config["output_features"] == {"action": {"type": "ACTION", "shape": [10]}}
    scaled = stats(files, "policy_preprocessor")
    assert torch.equal(scaled["observation.state.mean"], torch.from_numpy(info.scaling.center))
    assert torch.allclose(scaled["observation.state.std"] * torch.from_numpy(info.scaling.scale), torch.ones(9))
    center, scale = info.normalizer.affine()
    scaled = stats(files, "policy_postprocessor")
    assert np.array_equal(scaled["action.mean"], center)
    assert np.array_equal(scaled["action.std"], scale)
    assert order(files) == list(range(10))


def test_columns_of_lerobot_keep_their_names(info: CheckpointInfo) -> None:
    widths = {"observation.state[2:5]": 3, "observation.environment_state": 5, "observation.state[7]": 1}
    files = lerobot_files(
        replace(info, observation_widths=widths, cameras={"observation.images.top": Camera((40, 44), (36, 40))}),
        LeRobotNames(),
    )
    steps = json.loads(files["policy_preprocessor.json"])["steps"]
    assert steps[3]["config"] == {"columns": list(widths), "width": 9}
    assert json.loads(files["config.json"])["input_features"] == {
        "observation.state": {"type": "STATE", "shape": [8]},
        "observation.environment_state": {"type": "ENV", "shape": [5]},
        "observation.images.top": {"type": "VISUAL", "shape": [3, 40, 44]},
    }


@pytest.mark.parametrize(
    ("joints", "gripper", "expected"),
    [
        (JOINTS, GRIPPER, [0, 1, 2]),
        ({**JOINTS, "columns": "action[1:3]"}, {**GRIPPER, "columns": "action[0]"}, [2, 0, 1]),
        ({"columns": "action", "unit": "normalized", "low": [-1, 0], "high": [2, 1]}, "none", [0, 1]),
    ],
)
def test_actions_are_in_the_robots_units(
    joints: dict[str, Any], gripper: Any, expected: list[int], joint_info: CheckpointInfo
) -> None:
    given = names(joint_position=joints, gripper=gripper)
    files = lerobot_files(joint_info, given)
    assert order(files) == expected
    scaled = stats(files, "policy_postprocessor")
    normalized = np.random.default_rng(0).uniform(-1, 1, (50, 3)).astype(np.float32)
    theirs = (normalized * scaled["action.std"].numpy() + scaled["action.mean"].numpy())[:, order(files)]
    assert json.loads(files["config.json"])["output_features"]["action"]["shape"] == [len(expected)]
    # Read as a data set is, they are the policy's actions again.
    ours, mapping = joint_info.normalizer.denormalize(normalized), given.mapping
    assert mapping is not None
    assert mapping.action.joint_position is not None
    places = [expected.index(joint) for joint in (0, 1)]
    assert np.abs(joint_positions(theirs[:, places], mapping.action.joint_position) - ours[:, :2]).max() < 1e-5
    if isinstance(mapping.action.gripper, Gripper):
        numbers = theirs[:, [expected.index(2)]]
        assert np.abs(gripper_commands(numbers, mapping.action.gripper) - ours[:, 2]).max() < 1e-5


def test_what_can_not_be_told_in_the_robots_units_is_refused(
    info: CheckpointInfo, joint_info: CheckpointInfo, low_dim_run: Path, tmp_path: Path
) -> None:
    refused: list[tuple[CheckpointInfo, dict[str, Any], str]] = [
        (info, {}, "the policy's actions are 'ee_pose', the mapping's 'joint_position'"),
        (joint_info, {"gripper": {**GRIPPER, "columns": "grip[0]"}}, "are not all components of one column"),
        (joint_info, {"joint_position": {**JOINTS, "columns": "action[1:3]"}}, "are not all components of one column"),
    ]
    for of, action, words in refused:
        with pytest.raises(ConfigError, match=words):
            lerobot_files(of, names(**action))
    three = {"columns": "action[0:3]", "unit": "deg"}
    for joints, key, count in (
        (three, "columns", 3),
        ({**JOINTS, "sign": [1, -1, 1]}, "sign", 3),
        ({"columns": "action", "unit": "normalized", "low": [0.0] * 6, "high": [1.0] * 6}, "low", 6),
    ):
        with pytest.raises(ConfigError, match=rf"the policy's arm has 2 joints, joint_position\.{key} .* has {count};"):
            lerobot_files(joint_info, names(joint_position=joints))
    delta = {"mode": "delta", "delta_from": "command"}
    content = {"action": {"space": "joint_position", "joint_position": JOINTS, "gripper": GRIPPER, **delta}}
    content["state"] = {"joint_position": JOINTS}
    with pytest.raises(ConfigError, match="are motions, the policy's are places"):
        lerobot_files(joint_info, LeRobotNames(parse_mapping(content, "mapping")))
    with pytest.raises(ConfigError, match="--mapping is of --lerobot"):
        run(low_dim_run, tmp_path / "out", mapping=tmp_path / "mapping.toml")


def test_relative_actions_are_refused(info: CheckpointInfo, low_dim_run: Path, tmp_path: Path) -> None:
    offsets = replace(info, head=replace(info.head, relative_actions=True))
    with pytest.raises(ConfigError, match="the policy's actions are relative to the arm's state"):
        lerobot_files(offsets, LeRobotNames())
    # Exported without --lerobot, its programs are there; the plugin does not run them either.
    export_policy(low_dim_run, tmp_path)
    about = json.loads((tmp_path / "policy.json").read_text())
    (tmp_path / "policy.json").write_text(json.dumps({**about, "relative_actions": True}))
    with pytest.raises(ValueError, match="holds a policy whose actions are relative to the arm's state"):
        module("programs").Denoiser(tmp_path)


def test_the_pages_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    head = replace(HEADS["dp_mlp-adaln_zero"], action="joint_position", n_obs_steps=1)
    ranges = {"joint_position": {"min": [-2.0, -1.0], "max": [2.0, 1.5]}}
    config = AdaptConfig("random_body", head, training=training(1))
    adapt(tmp_path / "runs/my-policy", make_demonstrations(action="joint_position"), config, action_range=ranges)
    columns = f"joint_position = {toml(JOINTS)}\ngripper = {toml(GRIPPER)}"
    (tmp_path / "my-mapping.toml").write_text(f'[action]\nspace = "joint_position"\n{columns}\n')
    (command,) = commands("docs/lerobot.md")
    tyro.cli(run, args=[*shlex.split(command)[4:], "--bundle"])
    written = stats(
        {path.name: path.read_bytes() for path in (tmp_path / "exported").iterdir() if path.is_file()},
        "policy_postprocessor",
    )
    # -2 to 2 rad, of which 0.1 is the zero; the other joint turns the other way.
    assert np.allclose(written["action.mean"], [np.rad2deg(-0.1), np.rad2deg(-0.25 - 0.2), 50], atol=1e-4)
    assert np.allclose(written["action.std"], [np.rad2deg(2), np.rad2deg(-1.25), -50], atol=1e-4)
    # Of one observed step there is nothing that chunks could go on from.
    policy, seen = Policy.load("exported", precision="fp32"), np.full((1, 1, 9), 0.1, np.float32)
    drawn = torch.from_numpy(module("noise").noise_of(0, seen, [], (16, 3)))
    condition = policy.info.scaling.apply(torch.from_numpy(seen)).flatten(1)
    made = module("programs").Denoiser(Path("exported"))(condition, (), drawn, None).numpy()
    assert np.abs(policy.info.normalizer.denormalize(made)[:, :8] - policy(seen)).max() < 1e-5


def toml(table: dict[str, Any]) -> str:
    """An inline table."""
    return "{" + ", ".join(f"{key} = {json.dumps(value)}" for key, value in table.items()) + "}"
