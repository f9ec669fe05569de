"""Run by a Python that has the real lerobot and the plugin, not by ours: `python plugin_check.py EXPORTS FOLDER`.

Every export has an episode with the actions of our own policy beside it. It is recorded as a LeRobot data set, read
back, and the exported policy asked step by step as LeRobot asks; some of them by lerobot-eval and lerobot-rollout.
Prints one JSON object with the largest difference of each; fails by AssertionError.
"""

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import lerobot
import numpy as np
import torch
from lerobot.configs.policies import PreTrainedConfig
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from lerobot.policies.factory import get_policy_class, make_pre_post_processors
from lerobot.scripts import lerobot_eval, lerobot_rollout
from lerobot.utils.import_utils import register_third_party_plugins


def recorded(episode: Any, folder: Path) -> LeRobotDataset:
    """The episode as a data set that lerobot wrote and read."""
    cameras = [name for name in episode.files if name not in ("state", "actions")]
    features: dict[str, Any] = {
        "observation.state": {"dtype": "float32", "shape": episode["state"].shape[1:], "names": None},
        "action": {"dtype": "float32", "shape": episode["actions"].shape[1:], "names": None},
    }
    for name in cameras:
        shape = episode[name].shape[1:]
        names = ["height", "width", "channels"]
        features[f"observation.images.{name}"] = {"dtype": "image", "shape": shape, "names": names}
    made = LeRobotDataset.create("headstart/episode", fps=20, features=features, root=folder, use_videos=False)
    for step in range(len(episode["state"])):
        frame = {"observation.state": episode["state"][step], "action": episode["actions"][step].astype(np.float32)}
        frame |= {f"observation.images.{name}": episode[name][step] for name in cameras}
        made.add_frame({**frame, "task": "reach"})
    made.save_episode()
    made.finalize()
    return LeRobotDataset("headstart/episode", root=folder)


def loaded(folder: Path) -> tuple[Any, Any, Any]:
    """Policy and processors, as lerobot's commands load what --policy.path names."""
    config = PreTrainedConfig.from_pretrained(str(folder), cli_overrides=["--device=cpu"])
    config.pretrained_path = folder
    assert config.type == "headstart"
    policy = get_policy_class(config.type).from_pretrained(str(folder), config=config)
    overrides = {"device_processor": {"device": "cpu"}, "rename_observations_processor": {"rename_map": {}}}
    before, after = make_pre_post_processors(
        policy_cfg=config, pretrained_path=str(folder), preprocessor_overrides=overrides
    )
    return policy, before, after


def actions(policy: Any, before: Any, after: Any, dataset: LeRobotDataset) -> np.ndarray[Any, Any]:
    """What the policy answers step by step, (steps, action_dim)."""
    policy.reset()
    answered = []
    for item in dataset:
        seen = {name: value for name, value in item.items() if name.startswith("observation.")}
        with torch.inference_mode():
            answered.append(after(policy.select_action(before(seen)))[0].numpy())
    return np.stack(answered)


def refused(call: Any, kind: type[Exception], words: str) -> None:
    """Asserts that a call is refused with a message that has these words."""
    try:
        call()
    except kind as error:
        said = str(error)
    else:
        said = "nothing"
    assert words in said, said


def check_misuse(folder: Path) -> None:
    """What a policy can't do is said."""
    policy, before, _ = loaded(folder)
    cls = type(policy)
    refused(lambda: cls.from_pretrained("someone/policy"), FileNotFoundError, "are not fetched")
    refused(lambda: policy.forward({}), NotImplementedError, "trainer adapt")
    refused(lambda: before({"observation.state": torch.zeros(3)}), ValueError, "the policy sees 9 numbers a step")
    refused(lambda: before({"observation.other": torch.zeros(9)}), ValueError, "which the robot does not give")
    nowhere = torch.full((9,), torch.nan)
    refused(lambda: policy.select_action(before({"observation.state": nowhere})), ValueError, "finite")
    # The plugin's own factory, which lerobot calls where no path is given, makes the same pipelines.
    again, _ = make_pre_post_processors(policy_cfg=policy.config)
    seen = {"observation.state": torch.linspace(-1, 1, 9)}
    assert torch.equal(again(dict(seen))["observation.state"], before(dict(seen))["observation.state"])
    # A step alone stands for all, as at the beginning of an episode.
    chunk = policy.predict_action_chunk(before(dict(seen)))
    policy.reset()
    assert torch.equal(chunk[:, 0], policy.select_action(before(dict(seen))))
    # What is saved is an export again, but for its processors.
    policy.save_pretrained(folder.parent.parent / "saved")
    assert cls.from_pretrained(folder.parent.parent / "saved").config.n_obs_steps == 2


def evaluated(folder: Path, out: Path) -> np.ndarray[Any, Any]:
    """The actions that lerobot-eval commands, (steps, action_dim)."""
    os.environ["EPISODE"] = str(folder)
    options = {"policy.path": folder, "policy.device": "cpu", "env.type": "episode", "output_dir": out}
    options |= {"eval.n_episodes": 1, "eval.batch_size": 1}
    sys.argv = ["lerobot-eval", *(f"--{name}={value}" for name, value in options.items())]
    lerobot_eval.main()
    told: np.ndarray[Any, Any] = np.load(folder / "told.npy")
    return told


def commanded(folder: Path) -> np.ndarray[Any, Any]:
    """The actions that lerobot-rollout commands a robot with, (steps, action_dim)."""
    os.environ["EPISODE"] = str(folder)
    options = {"strategy.type": "base", "policy.path": folder, "robot.type": "episode", "fps": 20, "device": "cpu"}
    sys.argv = ["lerobot-rollout", *(f"--{name}={value}" for name, value in options.items()), "--task=reach"]
    with contextlib.suppress(EOFError):
        lerobot_rollout.main()
    told: np.ndarray[Any, Any] = np.load(folder / "commanded.npy")
    return told


def main() -> None:
    """Compares."""
    register_third_party_plugins()
    exports, folder = Path(sys.argv[1]), Path(sys.argv[2])
    differences = {}
    for export in sorted(exports.iterdir()):
        episode = np.load(export / "episode.npz")
        dataset = recorded(episode, folder / "recorded" / export.name)
        policy, before, after = loaded(export)
        made = actions(policy, before, after, dataset)
        assert np.array_equal(made, actions(policy, before, after, dataset)), "reset() does not forget"
        differences[export.name] = float(np.abs(made - episode["actions"]).max())
    check_misuse(exports / "pose")
    for name in ("pose", "camera"):
        told = evaluated(exports / name, folder / f"eval-{name}")
        differences[f"{name} eval"] = float(np.abs(told - np.load(exports / name / "episode.npz")["actions"]).max())
    for name in ("joint", "camera"):
        told = commanded(exports / name)
        differences[f"{name} rollout"] = float(np.abs(told - np.load(exports / name / "episode.npz")["actions"]).max())
    versions = {"lerobot": lerobot.__version__, "torch": torch.__version__, "python": sys.version.split()[0]}
    print(json.dumps({**versions, "differences": differences}))


main()
