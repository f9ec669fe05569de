"""`python -m trainer adapt` from end to end, on data sets that other programs wrote."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from shared.errors import ConfigError
from tests.trainer.data.demonstrations.written import JOINTS, LIFT, POSES, VERSIONS, unpack_lerobot, unpack_lift
from trainer.__main__ import main
from trainer.commands.action_range import read_action_range
from trainer.data.demonstrations import read_demonstrations
from trainer.data.demonstrations.episode import joined_observations
from trainer.data.demonstrations.formats.frame_cache import FrameCache
from trainer.data.demonstrations.mapping.mapping_file import read_mapping
from trainer.deployment.policy import Policy
from trainer.training.checkpoint import find_checkpoint

RANGES = {
    "position": {"min": [0.2, -0.4, -0.2], "max": [0.8, 0.4, 0.5]},
    "joint_position": {
        "min": [-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973],
        "max": [2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973],
    },
}
SEEN = {"low_dim": ["observation.state"], "cameras": ["observation.images.wrist", "observation.images.front"]}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "lerobot-v3.0-pictures": ("v3.0/poses", POSES | {"observation": SEEN}),
    "lerobot-v2.1-pictures": ("v2.1/poses", POSES | {"observation": {"cameras": SEEN["cameras"][1:]}}),
    **{f"lerobot-{v}-joints": (f"{v}/joints", JOINTS) for v in VERSIONS},
    "robomimic": ("lift.hdf5", LIFT),
    "robomimic-pictures": (
        "lift.hdf5",
        LIFT | {"observation": {"cameras": ["obs/agentview_image"], "image_size": [48, 48]}},
    ),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for version in VERSIONS:
        unpack_lerobot(version, folder)
    unpack_lift(folder)
    (folder / "range.json").write_text(json.dumps(RANGES))
    return folder


def adapt(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    settings = ["--compile", "off", "--no-tensorboard", "--batch-size", "4", "--steps", "2"]
    monkeypatch.setattr("sys.argv", ["trainer", "adapt", *map(str, arguments), *settings])
    return main()


@pytest.mark.parametrize("case", CASES)
def test_a_policy_comes_out(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    name, content = CASES[case]
    mapping = tmp_path / "mapping.json"
    mapping.write_text(json.dumps(content))
    space = content["action"]["space"]
    arguments = ["--demos", data / name, "--mapping", mapping, "--out", tmp_path / "run", "--mode", "normal"]
    assert adapt(monkeypatch, *arguments, "--action", space, "--action-range", data / "range.json") == 0
    policy = Policy.load(tmp_path / "run", precision="fp32")
    frames = FrameCache(tmp_path / "frames")
    demonstrations = read_demonstrations(data / name, mapping=read_mapping(mapping), frames=frames)
    info = policy.info
    # All that is needed to see as it was trained, in order.
    assert list(info.observation_widths.items()) == list(demonstrations.observation_widths.items())
    assert {key: camera.size for key, camera in info.cameras.items()} == demonstrations.cameras
    assert list(info.cameras) == list(content.get("observation", {}).get("cameras", ()))
    episode, steps = demonstrations.episodes[0], np.array([[3, 4], [9, 10]])
    low_dim = joined_observations(demonstrations, episode)[steps]
    pictures = {key: images.at(steps) for key, images in episode.images.items()}
    actions = policy(low_dim, pictures)
    assert actions.shape == (2, 8, 10 if space == "ee_pose" else 8)
    alone = policy(low_dim[1:], {key: seen[1:] for key, seen in pictures.items()})
    assert np.abs(alone[0] - actions[1]).max() < 1e-4
    if pictures:
        darker = {key: seen // 2 for key, seen in pictures.items()}
        assert np.abs(policy(low_dim, darker) - actions).max() > 1e-3
        with pytest.raises(ConfigError, match=r"pictures of \[\] were given, this policy sees \["):
            policy(low_dim)
        with pytest.raises(
            ConfigError, match=r"are uint8 \(2, 1, \d+, \d+, 3\), this policy sees uint8 \(2, 2, height"
        ):
            policy(low_dim, {key: seen[:, 1:] for key, seen in pictures.items()})


def test_pictures_resume_to_the_bit(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped after a step and started again, a run with cameras ends with the same weights."""
    from trainer.training.loop import TrainingLoop

    mapping = tmp_path / "mapping.json"
    mapping.write_text(json.dumps(CASES["robomimic-pictures"][1]))
    arguments = ["--demos", data / "lift.hdf5", "--mapping", mapping, "--mode", "random_frozen"]
    arguments += ["--action-range", data / "range.json", "--checkpoint-every", "1", "--precision", "fp32"]
    assert adapt(monkeypatch, *arguments, "--out", tmp_path / "whole") == 0
    step = TrainingLoop.gradient_step

    def interrupted(loop: TrainingLoop, batch: Any) -> Any:
        if loop.step == 1:
            raise KeyboardInterrupt
        return step(loop, batch)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingLoop, "gradient_step", interrupted)
        assert adapt(monkeypatch, *arguments, "--out", tmp_path / "parts") == 130
    assert adapt(monkeypatch, *arguments, "--out", tmp_path / "parts", "--resume") == 0
    whole, parts = (load_file(find_checkpoint(tmp_path / run)) for run in ("whole", "parts"))
    assert any(name.startswith("conditioning.vision.cameras.0.network") for name in whole)
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_too_small_pictures_and_another_space_are_refused(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mapping = tmp_path / "mapping.json"
    arguments = ["--mapping", mapping, "--out", tmp_path / "run", "--mode", "normal"]
    arguments += ["--action-range", data / "range.json"]
    mapping.write_text(json.dumps(LIFT | {"observation": {"cameras": ["obs/agentview_image"]}}))
    assert adapt(monkeypatch, "--demos", data / "lift.hdf5", *arguments) == 2
    assert "pictures of 32 x 32, of which crops of 29 x 29 are seen" in capsys.readouterr().err
    mapping.write_text(json.dumps(JOINTS))
    assert adapt(monkeypatch, "--demos", data / "v3.0" / "joints", *arguments) == 2
    assert "'joint_position', the head's 'ee_pose'; pass --action joint_position" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_wrong_setting_leaves_the_run_that_was_to_be_overwritten(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapping, run = tmp_path / "mapping.json", tmp_path / "run"
    mapping.write_text(json.dumps(JOINTS))
    arguments = ["--demos", data / "v3.0" / "joints", "--mapping", mapping, "--out", run, "--mode", "normal"]
    arguments += ["--action-range", data / "range.json"]
    assert adapt(monkeypatch, *arguments, "--action", "joint_position") == 0
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    assert adapt(monkeypatch, *arguments, "--overwrite") == 2
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
    assert adapt(monkeypatch, *arguments, "--action", "joint_position", "--seed", "1", "--overwrite") == 0
    assert json.loads((run / "config.json").read_text())["config"]["training"]["seed"] == 1


def test_ranges_and_summaries_need_no_pictures(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mapping with cameras serves `--action-range` and `summarize` as it is, though neither has a frame cache."""
    mapping = tmp_path / "mapping.json"
    mapping.write_text(json.dumps(POSES | {"observation": SEEN}))
    ranges = read_action_range(data / "v3.0" / "poses", mapping)
    assert ranges is not None
    # The formulas are write_lerobot.py's: from (0.4, -0.1, 0.3) to (0.5 + 0.05 * episode, 0.1, 0.05), and 0.05 a side.
    assert np.abs(np.array(ranges["position"]["min"]) - [0.35, -0.15, 0.0]).max() < 1e-6
    assert np.abs(np.array(ranges["position"]["max"]) - [0.65, 0.15, 0.35]).max() < 1e-6
    without = read_demonstrations(data / "v3.0" / "poses", mapping=read_mapping(mapping), pictures=False)
    assert without.cameras == {}
    assert [episode.images for episode in without.episodes] == [{}, {}, {}]
    assert without.observation_widths == {"observation.state": 8}
    out = tmp_path / "summary.json"
    arguments = ["summarize", data / "v3.0" / "poses", "--mapping", mapping, "--out", out, "--held-out", "0.34"]
    monkeypatch.setattr("sys.argv", ["trainer", *map(str, arguments)])
    assert main() == 0, capsys.readouterr().err
    assert out.is_file()
