"""What the report says of asked ends beside those of rows."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.engine import InlineEngine
from services.jobs import begin
from services.report import make_report
from services.report.reading import read_sample
from services.report.spread import SpreadSection, asked_ends
from services.synthesis.pipeline import plan_shards
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.dataset import Dataset

BODY: dict[str, Any] = {"robot": "panda", "count": 400, "shard_rows": 200, "seed": 9, "self_collision": False}
HIGH = {"kind": "half_space", "normal": [0, 0, 1], "offset": 0.1}
"""Everything below 0.1 m is kept out of."""


def made(folder: Path, **changes: Any) -> tuple[TrajectoryRequest, Dataset]:
    request = TrajectoryRequest.parse({**BODY, **changes})
    dataset = begin(request, folder / request.dataset_id[:12])
    assert InlineEngine().run_shards(plan_shards(request), dataset.where, lambda commit: None, lambda: False)
    return request, dataset


@pytest.mark.parametrize("workspace", ["joint_space", "reachable"])
def test_without_rejections_rows_end_where_they_were_asked_to(tmp_path: Path, workspace: str) -> None:
    request, dataset = made(tmp_path, count=60, shard_rows=60, workspace={"kind": workspace})
    (table,) = [dataset.read_shard(commit) for commit in dataset.commits()]
    first_drawn = table["attempts"].to_numpy() == 1
    assert first_drawn.sum() > 50
    asked = asked_ends(request, table["trajectory_id"].to_numpy())
    ends = np.array([position[-3:] for position in table["ee_position"].to_pylist()])
    axes = np.array([[r[-4], r[-1]] for r in table["ee_rotation_6d"].to_pylist()])
    off = np.linalg.norm(asked[:, :3] - ends, axis=1)
    assert np.median(off) < 2e-6
    # An end that IK did not find from where it began was drawn anew, whatever the attempt.
    assert (off < 2e-5).sum() > 50
    assert np.abs(asked[:, 3:5] - axes)[off < 2e-5].max() < 1e-4


def test_a_keep_out_shows_in_the_spread_of_what_is_left(tmp_path: Path) -> None:
    _, dataset = made(tmp_path, keep_out=[HIGH])
    spread = SpreadSection.of(dataset)
    assert spread is not None
    for sampled in read_sample(dataset, dataset.commits(), 400):
        spread.add(sampled.rows)
    asked, rows = np.concatenate(spread._asked), np.concatenate(spread._made)
    assert len(asked) == len(rows) == 400
    assert np.quantile(asked[:, 2], 0.1) < 0.1 < rows[:, 2].min()
    text = make_report(dataset).html()
    gap = re.search(r"<td>z \[m\]</td>(?:<td>[^<]*</td>){4}<td>([^<]*)</td>", text)
    assert gap is not None
    assert float(gap[1]) == pytest.approx((asked[:, 2] < rows[:, 2].min()).mean(), abs=0.1)
    assert float(gap[1]) > 0.1
    assert "largest for z [m]" in text


def test_an_older_dataset_has_no_such_section(reference: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.engine.stored_request.GENERATOR_VERSION", 999)
    assert SpreadSection.of(reference) is None
    assert "What rejections leave out" not in make_report(reference).html()
