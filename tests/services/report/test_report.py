import base64
import json
import re
import xml.etree.ElementTree
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from services.__main__ import main
from services.audit.row_check import read_rows
from services.report import make_report
from services.report.joints import JointSection
from services.report.motion import MotionSection
from services.report.reading import read_sample
from services.report.windows import cut_windows
from services.report.workspace import WorkspaceSection
from shared.dataset import Dataset
from shared.errors import CorruptShardError, DatasetError, DatasetFormatError, SummaryError
from shared.summary import DemonstrationSummary
from tests.services.example import REQUEST
from tests.shared.example import HEADER, example_table
from tests.shared.summary_example import example_summary


class Page(HTMLParser):
    """What a browser would load, and what a reader would read."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.alts: list[str] = []
        self.tags: list[str] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        for name, value in attrs:
            if name in ("src", "href", "data", "action", "srcset"):
                self.sources.append(value or "")
            if name == "alt":
                self.alts.append(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data
        if {"td", "th"} & {*self.tags[-1:]}:
            self.rows[-1][-1] += data


@pytest.fixture(scope="module")
def summary() -> DemonstrationSummary:
    return DemonstrationSummary.from_json(example_summary())


@pytest.fixture(scope="module")
def html(reference: Dataset, summary: DemonstrationSummary) -> str:
    return make_report(reference, summary).html()


def test_the_page_stands_alone(html: str) -> None:
    page = Page(html)
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert len(page.sources) == len(page.alts) == page.tags.count("img") >= 16
    assert all(page.alts)
    for source in page.sources:
        kind, _, data = source.partition(";base64,")
        assert kind == "data:image/svg+xml"
        svg = base64.b64decode(data).decode()
        xml.etree.ElementTree.fromstring(svg)
        # Pictures inside a picture are in it too; what remains are names of the format, which nothing loads.
        assert all(link.startswith(("#", "data:")) for link in re.findall(r'href="([^"]*)"', svg))
    assert "url(" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", html)
    assert len(html) < 4_000_000


def test_the_page_says_what_is_in_the_files(html: str, reference: Dataset) -> None:
    text = Page(html).text
    commits = reference.commits()
    assert f"{REQUEST.count:,} trajectories" in text
    assert "sealed, 12 of 12 shards" in text
    attempts = sum(commit.attempts for commit in commits)
    assert f"{attempts:,} candidates, {REQUEST.count:,} rows: {100 * REQUEST.count / attempts:.1f} % accepted" in text
    redrawn = sum(sum(counts.values()) for commit in commits for counts in commit.redraws_by_family.values())
    assert redrawn > 0
    assert f"{redrawn:,} ends of motions were drawn anew" in text
    hours = sum(commit.samples for commit in commits) / 20 / 3600
    assert f"{hours:,.1f} h" in text
    limit = reference.header.robot.limits.velocity
    ends = [
        [of_shard["joint_velocity"][end] for end in ("min", "max")] for of_shard in map(reference.statistics, range(12))
    ]
    assert f"Greatest over every row: {100 * (np.abs(ends).max((0, 1)) / limit).max():.1f} % of the limit" in text
    assert '"seed": 5' in text
    for title in ("Against demonstrations", "Where the tool goes", "Joints against", "How it moves", "Rejections"):
        assert title in text
    assert re.search(r"Energy distance from held-out demonstrations of carry: \d\.\d\d \[\d\.\d\d, \d\.\d\d\]", text)


def test_sections_count_every_sample(reference: Dataset) -> None:
    header, commits, statistics = reference.header, reference.commits(), map(reference.statistics, range(12))
    workspace, joints, motion = WorkspaceSection(header, None), JointSection(header, statistics), MotionSection(None)
    rows = samples = 0
    for part, families, _ in read_sample(reference, commits, 10**6):
        workspace.add(part)
        joints.add(part)
        motion.add(part, families)
        rows, samples = rows + len(part.ids), samples + int(part.first[-1])
    assert (rows, samples) == (REQUEST.count, sum(commit.samples for commit in commits))
    assert workspace._planes.sum((1, 2)).tolist() == [samples] * 3
    assert workspace._disc.sum() == workspace._tilt.sum() == workspace._turn.sum() == samples
    assert joints._position.sum(1).tolist() == joints._shares["velocity"].sum(1).tolist() == [samples] * 7
    assert joints._shares["acceleration"].sum(1).tolist() == [samples - rows] * 7
    assert joints._shares["jerk"].sum(1).tolist() == [samples - 2 * rows] * 7
    assert motion._speed.sum() == motion._turn.sum() == samples - rows
    assert sum(motion._changes.values()) == sum(len(times) for times in motion._durations.values()) == rows
    table = reference.read_shard(commits[0])
    limits = header.robot.limits
    speeds = np.abs(read_rows(table, 7).lists["joint_velocity"]) / limits.velocity
    assert (joints._greatest["velocity"] / limits.velocity >= speeds.max(0)).all()
    assert (joints._greatest["velocity"] <= limits.velocity).all()


def test_a_sample_reads_few_shards_and_the_same_ones(reference: Dataset) -> None:
    runs = [
        [part.ids.tolist() for part, *_ in read_sample(Dataset(reference.root), reference.commits(), 50)]
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    ids = [i for part in runs[0] for i in part]
    assert ids == sorted(ids)
    assert 50 <= len(ids) <= 60


def test_windows_are_cut_as_stage_1_cuts_them(reference: Dataset) -> None:
    rows = read_rows(reference.read_shard(reference.commits()[0]), 7)
    windows = cut_windows(rows, 16)
    assert windows.episode.tolist() == list(range(20))
    for index in range(20):
        part = slice(int(rows.first[index]), int(rows.first[index + 1]))
        columns = [rows.lists[name][part] for name in ("ee_position", "ee_rotation_6d", "gripper")]
        row = np.concatenate(columns, axis=1)
        starts = range(-1, max(-1, len(row) - 16 + 7) + 1)
        every = row[np.clip(np.array(starts)[:, None] + np.arange(16), 0, len(row) - 1)]
        assert (every == windows.values[index]).all((1, 2)).any()


def test_a_dataset_that_grows_is_reported_on_as_it_is(tmp_path: Path) -> None:
    dataset = Dataset.create(tmp_path / "d", HEADER)
    with pytest.raises(DatasetError, match=r"has no rows yet \(growing\)"):
        make_report(dataset)
    dataset.publish(1, example_table(1, 8), 9, {"unreachable": 1})
    assert make_report(dataset).rows == 8


def test_damage_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = Dataset.create(tmp_path / "d", HEADER)
    dataset.publish(0, example_table(0, 8), 8, {})
    path = dataset.shard_path(0)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptShardError, match="shard 0"):
        make_report(Dataset(tmp_path / "d"))
    path.unlink()
    with pytest.raises(CorruptShardError, match="missing"):
        make_report(Dataset(tmp_path / "d"))
    assert main(["report", str(tmp_path / "d"), "--out", str(tmp_path / "r.html")]) == 2
    assert "is committed but missing" in capsys.readouterr().err
    assert not (tmp_path / "r.html").exists()


def test_names_from_a_file_can_not_become_markup(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    robot = replace(HEADER.robot, name=evil, joint_names=(evil + "1", r"$\frac{$"), tool_frame=evil)
    header = replace(HEADER, robot=robot, request={"robot": evil, "workspace": evil})
    dataset = Dataset.create(tmp_path / "d", header)
    dataset.publish(0, example_table(0, 8), 9, {evil: 1, r"$\nothing$": 1})
    html = make_report(dataset).html()
    assert "growing, 1 of 3 shards" in html
    assert "script" not in Page(html).tags
    assert evil not in html


def test_a_header_without_a_range_is_refused(tmp_path: Path) -> None:
    for index, wrong in enumerate(({}, {"min": [0, 0, 0]}, {"min": [0, 0, 0], "max": [1, 1, float("inf")]}, "wide")):
        header = replace(HEADER, action_range={"position": wrong})  # type: ignore[dict-item]
        dataset = Dataset.create(tmp_path / str(index), header)
        dataset.publish(0, example_table(0, 8), 8, {})
        with pytest.raises(DatasetFormatError, match="action_range has no position"):
            make_report(dataset)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [("robot", "ur5", "'ur5', the dataset's is 'panda'"), ("rate_hz", 10.0, "summarize with --rate-hz 20")],
)
def test_demonstrations_of_something_else_are_refused(
    reference: Dataset, key: str, value: object, message: str
) -> None:
    other = DemonstrationSummary.from_json({**example_summary(), key: value})
    with pytest.raises(SummaryError, match=message):
        make_report(reference, other)


def test_without_held_out_demonstrations_the_fitted_ones_are_the_measure(reference: Dataset) -> None:
    value = example_summary()
    value["windows"]["held_out"] = {"episode": [], "values": []}
    comparison = make_report(reference, DemonstrationSummary.from_json(value)).comparison
    assert comparison is not None
    assert comparison.reference is None
    assert comparison.says.startswith("Energy distance from the demonstrations of carry: ")
    value["windows"]["fitted"]["episode"] = [0] * 24
    comparison = make_report(reference, DemonstrationSummary.from_json(value)).comparison
    assert comparison is not None
    assert comparison.says.startswith("Too few")


def test_the_command_writes_the_page_and_says_the_distance(
    reference: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str], html: str
) -> None:
    against, out = tmp_path / "s.json", tmp_path / "r.html"
    against.write_text(json.dumps(example_summary()))
    assert main(["report", str(reference.root), "--against", str(against), "--out", str(out)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("Energy distance from held-out demonstrations of carry: ")
    assert said[1].startswith(f"{out}: 230 rows looked at in ")
    # The same dataset gives the same page, to the byte.
    assert out.read_text() == html
    for wrong, message in (
        ([str(tmp_path)], "no dataset.json here"),
        ([str(reference.root), "--rows", "0"], "at least 1 row"),
        ([str(reference.root), "--against", str(out)], "is not JSON"),
        ([str(reference.root), "--out", str(tmp_path / "no" / "r.html")], "can't be written"),
    ):
        assert main(["report", *wrong]) == 2
        assert message in capsys.readouterr().err
