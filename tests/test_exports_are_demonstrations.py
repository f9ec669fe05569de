"""What the service exports, the trainer reads as demonstrations: each layout, every number."""

from pathlib import Path

import numpy as np
import pytest

from services.export import Content, export_dataset
from shared.records import list_column
from tests.trainer.example import make_dataset
from trainer.data.demonstrations import read_demonstrations
from trainer.data.demonstrations.mapping.mapping_file import parse_mapping


@pytest.mark.parametrize("layout", ["lerobot-v3", "lerobot-v2.1", "robomimic"])
def test_every_action_comes_back(tmp_path: Path, layout: str) -> None:
    dataset = make_dataset(tmp_path / "dataset")
    robomimic = layout == "robomimic"
    out = tmp_path / ("export.hdf5" if robomimic else "export")
    export_dataset(dataset, out, layout, Content(dataset.header, "joint_position", "command"))
    column = "actions" if robomimic else "action"
    content = {
        "action": {
            "space": "joint_position",
            "joint_position": {"columns": f"{column}[0:2]"},
            "gripper": {"columns": f"{column}[2]", "open": -1, "closed": 1},
        },
        "observation": {"low_dim": ["obs/joint_position"]} if robomimic else {},
        "only_task": None if robomimic else "*",
        "robot": dataset.header.robot.name,
        "rate_hz": dataset.header.rate_hz,
        # The example's rows are random numbers, not motions of an arm.
        "accept": ["continuity", "gripper"],
    }
    demonstrations = read_demonstrations(out, mapping=parse_mapping(content, "mapping"))
    rows = []
    for commit in dataset.state().commits:
        table = dataset.read_shard(commit, columns=["joint_position", "gripper"])
        joints, gripper = (list_column(table, name)[0] for name in ("joint_position", "gripper"))
        rows.append(np.c_[joints.reshape(len(gripper), 2), gripper])
    found = np.concatenate([episode.actions for episode in demonstrations.episodes])
    assert np.abs(found - np.concatenate(rows)).max() < 1e-6
