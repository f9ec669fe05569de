"""Datasets of releases before this one, as they wrote them (tests/data/dataset-1.1)."""

import shutil
from pathlib import Path

import pytest

from shared.dataset import Dataset
from shared.errors import DatasetFormatError
from shared.manifest import Totals
from tests.pages import ROOT

OLD = ROOT / "tests/data/dataset-1.1"


@pytest.mark.parametrize(("name", "shards"), [("sealed", 3), ("growing", 2)])
def test_a_dataset_of_schema_version_1_is_read(name: str, shards: int) -> None:
    dataset = Dataset(OLD / name)
    state = dataset.state()
    assert (state.state, state.watermark, len(state.commits)) == (name, shards, shards)
    assert (dataset.header.schema_version, dataset.header.created_at) == ("1.1", "")
    assert [commit.file for commit in state.commits] == [f"shard-{index:08d}.parquet" for index in range(shards)]
    rows = [row for commit in state.commits for row in dataset.read_shard(commit)["trajectory_id"].to_pylist()]
    assert rows == list(range(2 * shards))
    totals = dataset.totals()
    assert totals == Totals.of(state.commits)
    assert (totals.rows, totals.attempts, totals.rejections) == (6, 12, {"self_collision": 6}) or shards == 2
    assert dataset.statistics(1)["gripper"]["count"] == state.commits[1].samples


def test_a_growing_one_is_gone_on_with_and_sealed(tmp_path: Path) -> None:
    shutil.copytree(OLD / "growing", tmp_path / "dataset")
    whole = Dataset(OLD / "sealed")
    dataset = Dataset.create(tmp_path / "dataset", whole.header)
    for commit in whole.commits():
        dataset.publish(commit.index, whole.read_shard(commit), commit.attempts, commit.rejections)
    dataset.set_state("sealed")
    again = Dataset(tmp_path / "dataset")
    assert [commit.content_sha256 for commit in again.commits()] == [c.content_sha256 for c in whole.commits()]
    assert again.totals() == whole.totals()
    assert sorted(path.name for path in (again.root / "commits").iterdir()) == ["00000000-00000002.parquet"]
    assert all(again.read_shard(commit).num_rows == 2 for commit in again.commits())


def test_a_commit_names_no_file_elsewhere(tmp_path: Path) -> None:
    shutil.copytree(OLD / "growing", tmp_path / "dataset")
    path = tmp_path / "dataset/commits/00000000.json"
    path.write_text(path.read_text().replace('"rows"', '"file": "../../secret.parquet", "rows"'))
    with pytest.raises(DatasetFormatError, match=r"00000000\.json: is not a commit record: .*is no shard's file"):
        list(Dataset(tmp_path / "dataset").commits())
