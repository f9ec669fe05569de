"""Exported policies in the real lerobot, in an environment of its own: `make test-lerobot LEROBOT_PYTHON=...`."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.pages import ROOT
from tests.trainer.example import HEADS, RANGE, make_demonstrations, training
from tests.trainer.policies import seen_by_a_camera
from trainer.config import AdaptConfig
from trainer.data.demonstrations.mapping.mapping_file import parse_mapping
from trainer.deployment.export import export_policy
from trainer.deployment.lerobot_files import LeRobotNames
from trainer.deployment.policy import Policy
from trainer.stages.adapt import adapt

HERE = Path(__file__).parent
STEPS = 25
JOINTS = {"joint_position": {"min": [-2.0, -1.0], "max": [2.0, 1.5]}}
DEGREES = parse_mapping(
    {
        "action": {
            "space": "joint_position",
            "joint_position": {"columns": "action[1:3]", "unit": "deg", "sign": [1, -1], "offset": [0.1, 0.0]},
            "gripper": {"columns": "action[0]", "open": 100, "closed": 0},
        }
    },
    "mapping",
)


def make_policies(folder: Path) -> dict[str, LeRobotNames]:
    """Runs of Stage 2 by name: poses with a motion basis, three steps seen, a camera, one picture, joints."""
    poses, joints = make_demonstrations(), make_demonstrations(action="joint_position")
    head = HEADS["dp_mlp-adaln_zero"]
    flow = replace(HEADS["dp_c-adaln_zero"], prediction_type="flow", n_obs_steps=3, n_action_steps=5)
    in_degrees = replace(head, action="joint_position")
    adapt(folder / "pose", poses, AdaptConfig("random_body", head, training=training(3)), action_range=RANGE)
    adapt(folder / "flow", poses, AdaptConfig("random_body", flow, training=training(3)), action_range=RANGE)
    joint = AdaptConfig("random_body", in_degrees, training=training(3))
    adapt(folder / "joint", joints, joint, action_range=JOINTS)
    seen = AdaptConfig("normal", HEADS["dp_t-cross_attn"], training=training(1, batch_size=2))
    adapt(folder / "camera", seen_by_a_camera(poses), seen, action_range=RANGE)
    latest = replace(seen, head=replace(seen.head, n_obs_steps=3), n_picture_steps=1)
    adapt(folder / "latest", seen_by_a_camera(poses), latest, action_range=RANGE)
    names = ("pose", "flow", "joint", "camera", "latest")
    return {name: LeRobotNames(DEGREES if name == "joint" else None) for name in names}


def record(name: str, folder: Path) -> None:
    """An episode of random observations, and the actions with which our own policy answers them, in `episode.npz`."""
    policy, rng = Policy.load(folder / name, precision="fp32"), np.random.default_rng(len(name))
    state = rng.uniform(-1, 1, (STEPS, policy.info.condition_dim)).astype(np.float32)
    # Of another size than the policy's, 40 x 44.
    frames = {key: rng.integers(0, 256, (STEPS, 80, 66, 3), np.uint8) for key in policy.info.cameras}
    past = policy.n_obs_steps - 1
    commands: list[np.ndarray] = []
    for step in range(0, STEPS, policy.n_action_steps):
        window = np.maximum(np.arange(step - past, step + 1), 0)
        prefix = np.stack(commands[-past:])[None] if commands else None
        pictured = np.maximum(np.arange(step - policy.n_picture_steps, step) + 1, 0)
        pictures = {key: values[pictured][None] for key, values in frames.items()}
        commands += list(policy(state[window][None], pictures, prefix)[0])
    actions = np.stack(commands)[:STEPS]
    if name == "joint":
        # As the mapping says: radians are sign * degrees + offset, the gripper's column comes first.
        turned = np.rad2deg((actions[:, :2] - [0.1, 0.0]) * [1, -1])
        actions = np.column_stack([50 - 50 * actions[:, 2], turned])
    np.savez(folder / name / "episode.npz", state=state, actions=actions, **frames)  # type: ignore[arg-type]


def installed(folder: Path) -> Path:
    """The plugin, and the checks' environment and robot, as pip installs them for whichever Python."""
    others = HERE / "lerobot_env_episode", HERE / "lerobot_robot_episode"
    for source in (ROOT / "packages/lerobot_policy_headstart", *others):
        copy = folder / source.name
        shutil.copytree(source, copy)
        command = [
            "-m",
            "pip",
            "install",
            "-q",
            "--no-deps",
            "--no-build-isolation",
            "--ignore-requires-python",
            str(copy),
        ]
        subprocess.run([sys.executable, *command, "--target", str(folder / "site")], check=True, timeout=120)
    return folder / "site"


@pytest.mark.lerobot
@pytest.mark.timeout(900)
def test_lerobot_gets_the_policys_actions(tmp_path: Path) -> None:
    if os.environ["LEROBOT_LAYOUT"] == "lerobot-v2.1":
        pytest.skip("policies of other packages came with lerobot 0.4")
    for name, names in make_policies(tmp_path).items():
        record(name, tmp_path)
        export_policy(tmp_path / name, tmp_path / "exported" / name, lerobot=names)
        (tmp_path / name / "episode.npz").rename(tmp_path / "exported" / name / "episode.npz")
    site = installed(tmp_path)
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    given = os.environ.get("PYTHONPATH", "")
    environment |= {"PYTHONPATH": os.pathsep.join(filter(None, [str(site), given])), "OMP_NUM_THREADS": "1"}
    command = [os.environ["LEROBOT_PYTHON"], str(HERE / "plugin_check.py"), str(tmp_path / "exported"), str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=800, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    print(found)
    assert set(found["differences"]) == {
        *("pose", "flow", "joint", "camera", "latest", "pose eval", "camera eval", "joint rollout", "camera rollout")
    }
    for name, difference in found["differences"].items():
        # Degrees, and a gripper of 100 numbers.
        assert difference < (5e-4 if name.startswith("joint") else 1e-5), name
