import json
from pathlib import Path

import h5py
import numpy as np

from services.export import Content, export_dataset
from shared.dataset import Dataset
from shared.order import is_validation
from tests.services.export.expected import expected_rows


def test_every_demo_holds_its_row(reference: Dataset, tmp_path: Path) -> None:
    rows = expected_rows(reference.root)
    assert export_dataset(reference, tmp_path / "a.hdf5", "robomimic", Content(reference.header)) == 230
    with h5py.File(tmp_path / "a.hdf5", "r") as file:
        assert set(file) == {"data", "mask"}
        assert set(file["data"]) == {f"demo_{index}" for index in range(230)}
        assert file["data"].attrs["total"] == sum(len(row.state) for row in rows)
        assert json.loads(file["data"].attrs["env_args"])["env_name"] == "headstart-panda"
        assert json.loads(file["data"].attrs["headstart"])["dataset_id"] == reference.header.dataset_id
        for index, row in enumerate(rows):
            demo = file[f"data/demo_{index}"]
            length = len(row.state)
            assert (demo.attrs["num_samples"], demo.attrs["trajectory_id"]) == (length, row.id)
            assert demo.attrs["family"] == row.family
            assert np.array_equal(demo["actions"], row.action("ee_pose", "reached"))
            assert list(demo["dones"]) == [0] * (length - 1) + [1]
            assert list(demo["rewards"]) == [0.0] * (length - 1) + [1.0]
            assert set(demo["obs"]) == set(row.columns)
            for name, values in row.columns.items():
                assert np.array_equal(demo[f"obs/{name}"], values)
        masks = {name: [text.decode() for text in file[f"mask/{name}"]] for name in ("train", "valid")}
    held_out = is_validation(np.array([row.id for row in rows]), 0.1)
    assert 0 < held_out.sum() < 60
    assert masks["valid"] == [f"demo_{index}" for index in np.flatnonzero(held_out)]
    assert masks["train"] == [f"demo_{index}" for index in np.flatnonzero(~held_out)]
