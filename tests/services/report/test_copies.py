"""The report of copies beside their demonstrations: its numbers are those of the rows and of the motions."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from services.engine import InlineEngine
from services.jobs import begin, make_dataset
from services.report import make_report
from services.report.copies import CopiesSection
from services.report.reading import read_sample
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.dataset import Dataset
from shared.demonstrated_motions import FIXED
from shared.errors import DatasetFormatError
from tests.services.report.test_report import Page
from tests.stacking import motions

MOTIONS = motions(3)
REQUEST = TrajectoryRequest.parse(
    {
        "robot": "panda",
        "count": 60,
        "seed": 4,
        "shard_rows": 20,
        "workspace": {"kind": "objects", "motions": MOTIONS.content_sha256, "widen": 0.02},
    },
    motions={MOTIONS.content_sha256: MOTIONS}.get,
)


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """REQUEST's dataset."""
    dataset = begin(REQUEST, tmp_path_factory.mktemp("copies") / "d")
    assert make_dataset(REQUEST, dataset, InlineEngine())
    return dataset


@pytest.fixture(scope="module")
def table(copies: Dataset) -> pa.Table:
    """All of its rows."""
    return pa.concat_tables([copies.read_shard(commit) for commit in copies.commits()]).combine_chunks()


@pytest.fixture(scope="module")
def page(copies: Dataset) -> Page:
    return Page(make_report(copies).html())


def _cells(page: Page) -> dict[str, tuple[str, str]]:
    """Rows of the section's table: of demonstrations and of copies."""
    return {cells[0]: (cells[1], cells[2]) for cells in page.rows if len(cells) == 3}


def test_lengths_and_pace_stand_beside_the_demonstrations(page: Page, table: pa.Table) -> None:
    seconds = np.array([(motion.steps - 1) / 20 for motion in MOTIONS.motions])
    duration, source = table["duration"].to_numpy(), table["source"].to_numpy()
    cells = _cells(page)
    assert cells["number"] == ("3", "60")
    for name, share in (("5th percentile", 0.05), ("median", 0.5), ("95th", 0.95)):
        wanted = (f"{np.quantile(seconds, share):.2f}", f"{np.quantile(duration, share):.2f}")
        assert cells[f"length, {name} [s]"] == wanted
    low, middle, high = np.quantile(duration / seconds[source], (0.05, 0.5, 0.95))
    assert f"A copy takes {middle:.2f} times as long as its demonstration (median; {low:.2f} to {high:.2f}" in page.text
    assert 0.9 < middle < 1.3
    often = np.bincount(source, minlength=3)
    assert often.sum() == 60
    assert f"Copies of 3 demonstrations of stacking, each copied {often.min()} to {often.max()} times" in page.text
    assert f"Most copied is {often.argmax()}, data/demo_{often.argmax()}." in page.text


def test_tool_speeds_stand_beside_the_demonstrations(page: Page, table: pa.Table) -> None:
    paths = [np.reshape(row, (-1, 3)).astype(np.float64) for row in table["ee_position"].to_pylist()]
    kinds = ([motion.commanded.position for motion in MOTIONS.motions], paths)
    speeds = [np.concatenate([20 * np.linalg.norm(np.diff(path, axis=0), axis=1) for path in kind]) for kind in kinds]
    cells = _cells(page)
    means, often, greatest = (cells[f"tool speed, {name} [m/s]"] for name in ("mean", "95th percentile", "greatest"))
    for index, one in enumerate(speeds):
        assert float(means[index]) == pytest.approx(one.mean(), abs=6e-4)
        assert float(greatest[index]) == pytest.approx(one.max(), abs=6e-4)
        assert float(often[index]) == pytest.approx(np.quantile(one, 0.95), abs=0.011)


def test_time_in_segments_stands_beside_the_demonstrations(page: Page, table: pa.Table) -> None:
    copied = np.bincount(np.concatenate(table["segment"].to_pylist()), minlength=4)
    demonstrated = np.sum([np.bincount(motion.segment_of, minlength=4) for motion in MOTIONS.motions], axis=0)
    cells = _cells(page)
    for name, chosen in (("free", [0, 2]), ("with block", [1]), ("with base", [3])):
        wanted = (f"{100 * kind[chosen].sum() / kind.sum():.1f} %" for kind in (demonstrated, copied))
        assert cells[f"time {name}"] == tuple(wanted)
    assert "time at a fixed place" not in cells


def test_objects_are_drawn_from_above_and_their_places_are_the_rows(
    copies: Dataset, page: Page, table: pa.Table
) -> None:
    for name in ("block", "base"):
        assert f"Where {name} lies at the start, from above: copies and demonstrations" in page.alts
    section = CopiesSection(MOTIONS)
    for sampled in read_sample(copies, copies.commits(), 60):
        section.add(sampled)
    places = np.concatenate(section._places)
    for index, name in enumerate(("block", "base")):
        first = [row[:2] for row in table[f"object/{name}/position"].to_pylist()]
        np.testing.assert_allclose(places[:, index], first, atol=1e-7)
        low, high = (
            f([motion.objects[index].position[0, :2] for motion in MOTIONS.motions], 0) for f in (np.min, np.max)
        )
        assert (places[:, index] >= low - 0.02 - 1e-6).all()
        assert (places[:, index] <= high + 0.02 + 1e-6).all()
        assert (places[:, index].max(0) - places[:, index].min(0) > high - low).all()


def test_a_fixed_place_is_named(copies: Dataset) -> None:
    segments = tuple(replace(one, relative_to=FIXED) for one in MOTIONS.motions[0].segments)
    fixed = replace(MOTIONS, motions=tuple(replace(motion, segments=segments) for motion in MOTIONS.motions))
    section = CopiesSection(fixed)
    for sampled in read_sample(copies, copies.commits(), 60):
        section.add(sampled)
    assert _cells(Page(section.html()))["time at a fixed place"] == ("100.0 %", "100.0 %")


def test_rows_of_other_demonstrations_are_an_error(copies: Dataset) -> None:
    few = replace(MOTIONS, motions=MOTIONS.motions[:1])
    short = replace(MOTIONS.motions[0], segments=MOTIONS.motions[0].segments[:1])
    sampled = next(read_sample(copies, copies.commits(), 60))
    for wrong in (few, replace(MOTIONS, motions=(short,) * 3)):
        with pytest.raises(DatasetFormatError, match="audit it"):
            CopiesSection(wrong).add(sampled)


def test_lost_motions_are_an_error_that_names_them(tmp_path: Path) -> None:
    again = begin(REQUEST, tmp_path / "d")
    assert make_dataset(REQUEST, again, InlineEngine())
    next((tmp_path / "d").glob("motions-*")).unlink()
    with pytest.raises(DatasetFormatError, match="are missing; restore them"):
        make_report(again)


def test_other_datasets_have_no_such_section(reference: Dataset) -> None:
    assert not re.search("Copies beside", Page(make_report(reference).html()).text)
