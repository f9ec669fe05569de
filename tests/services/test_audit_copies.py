"""The audit of copies: right ones pass, and each thing that is wrong with one is found."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from services.audit.audit import audit_dataset
from services.audit.copy_check import CopiesCheck
from services.audit.findings import AuditReport
from services.audit.row_check import read_rows
from services.engine import InlineEngine
from services.jobs import generate
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared import motions_parquet
from shared.dataset import Dataset
from shared.errors import DatasetFormatError
from shared.rotation import matrix_to_rot6d, rot6d_to_matrix, rotvec_to_matrix
from tests.stacking import motions

MOTIONS = motions(4)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    workspace = {"kind": "objects", "motions": MOTIONS.content_sha256, "widen": 0.02}
    body = {"robot": "panda", "count": 40, "shard_rows": 20, "workspace": workspace, "rate_hz": 20.0}
    body["columns"] = ["profile_time", "profile_jerk"]
    request = TrajectoryRequest.parse(body, motions={MOTIONS.content_sha256: MOTIONS}.get)
    return generate(request, tmp_path_factory.mktemp("copies") / "dataset", InlineEngine())


def test_copies_pass(dataset: Dataset) -> None:
    report = audit_dataset(dataset)
    assert report.violations == 0, [check for check in report.checks.values() if check.violations]
    for name in ("skill segments are rigid, position", "skill segments go with their object"):
        assert report.checks[name].checked > 50
    assert report.checks["what is held stays in the hand"].checked > 500
    assert report.checks["skill segments are rigid, position"].worst < 1e-3


Change = Callable[[dict[str, NDArray[np.float64]], NDArray[np.bool_]], None]


def shifted(column: str, by: float) -> Change:
    def change(columns: dict[str, NDArray[np.float64]], chosen: NDArray[np.bool_]) -> None:
        columns[column][chosen, 0] += by

    return change


def turned(columns: dict[str, NDArray[np.float64]], chosen: NDArray[np.bool_]) -> None:
    turn = rotvec_to_matrix(np.array([0.02, 0.0, 0.0]))
    rotation = rot6d_to_matrix(columns["ee_rotation_6d"][chosen])
    columns["ee_rotation_6d"][chosen] = matrix_to_rot6d(turn @ rotation)


def early(columns: dict[str, NDArray[np.float64]], chosen: NDArray[np.bool_]) -> None:
    columns["gripper"][:] = -columns["gripper"]


@pytest.mark.parametrize(
    ("change", "segment", "named"),
    [
        (shifted("object/block/position", 0.005), 3, "what is held stays in the hand"),
        (shifted("object/block/position", 0.005), 2, "what is held stays in the hand"),
        (shifted("object/base/position", 0.003), 3, "skill segments go with their object"),
        (shifted("source_time", 200.0), 3, "source_time is within the demonstration"),
        (shifted("segment", 1.0), 0, "segment is the demonstration's"),
        (early, 0, "gripper is the demonstration's"),
    ],
)
def test_what_is_wrong_with_a_copy_is_found(dataset: Dataset, change: Change, segment: int, named: str) -> None:
    table = dataset.read_shard(dataset.state().commits[0]).slice(0, 1).combine_chunks()
    rows = read_rows(table, 7)
    columns = {name: values.astype(np.float64) for name, values in rows.lists.items()}
    change(columns, columns["segment"][:, 0] == segment)
    report = AuditReport("", "")
    check(report, table, columns)
    found = [name for name, entry in report.checks.items() if entry.violations]
    assert named in found


def test_a_tool_that_leaves_its_demonstration_is_found(dataset: Dataset) -> None:
    table = dataset.read_shard(dataset.state().commits[0]).slice(0, 1).combine_chunks()
    rows = read_rows(table, 7)
    for name, expected in (("ee_position", "position"), ("ee_rotation_6d", "rotation")):
        columns = {key: values.astype(np.float64) for key, values in rows.lists.items()}
        half = np.flatnonzero(columns["segment"][:, 0] == 3)
        chosen = np.zeros(len(columns["segment"]), np.bool_)
        # A part of a segment: the whole of it would be another rigid transform.
        chosen[half[: len(half) // 3]] = True
        (turned if name == "ee_rotation_6d" else shifted("ee_position", 0.006))(columns, chosen)
        report = AuditReport("", "")
        check(report, table, columns)
        assert report.checks[f"skill segments are rigid, {expected}"].violations > 0


def check(report: AuditReport, table: pa.Table, columns: dict[str, NDArray[np.float64]]) -> None:
    rows = read_rows(table, 7)
    for name, values in columns.items():
        rows.lists[name] = values
    CopiesCheck(MOTIONS).check(report, table, rows)


def test_motions_that_are_missing_or_others_are_named(dataset: Dataset, tmp_path: Path) -> None:
    copy = tmp_path / "dataset"
    shutil.copytree(dataset.root, copy)
    (path,) = copy.glob("motions-*.parquet")
    path.write_bytes(motions_parquet.to_parquet(motions(2)))
    with pytest.raises(DatasetFormatError, match="are others than the dataset's request names; restore them"):
        audit_dataset(Dataset(copy))
    path.unlink()
    with pytest.raises(DatasetFormatError, match="are missing; restore them"):
        audit_dataset(Dataset(copy))
