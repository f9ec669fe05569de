from pathlib import Path

import numpy as np
import pytest

from shared.errors import DatasetError
from shared.row import read_row
from tests.shared.example import example_table
from tests.trainer.example import make_dataset


def test_a_row_has_the_values_and_shapes_of_its_columns(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "data")
    header = dataset.header
    wanted = example_table(1, header.rows_in(1), header).slice(3, 1).to_pylist()[0]
    row = read_row(dataset, header.shard_rows + 3)
    assert row.keys() == wanted.keys()
    assert row["trajectory_id"] == header.shard_rows + 3 == wanted["trajectory_id"]
    assert (row["family"], row["duration"]) == (wanted["family"], wanted["duration"])
    steps = wanted["length"]
    for name, width in {"joint_position": 2, "joint_velocity": 2, "ee_position": 3, "ee_rotation_6d": 6}.items():
        assert row[name].shape == (steps, width)
        assert row[name].dtype == np.float32
        assert row[name].flatten().tolist() == wanted[name]
    assert row["gripper"].tolist() == wanted["gripper"]


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    growing = make_dataset(tmp_path / "data", shards=1)
    assert read_row(growing, 7)["trajectory_id"] == 7
    with pytest.raises(DatasetError, match="trajectory 8 is in shard 1, which is not committed yet"):
        read_row(growing, 8)
    for missing in (-1, 20):
        with pytest.raises(DatasetError, match=f"has trajectories 0 to 19, not {missing}"):
            read_row(growing, missing)
