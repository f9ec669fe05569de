"""A dataset's report: its rows read once, a few at a time, and counted by every section."""

import html
import json
from collections.abc import Callable

from headstart_client.data.commits import DatasetState
from services.report.copies import CopiesSection
from services.report.demonstrations import Comparison, DemonstrationSection
from services.report.joints import JointSection
from services.report.motion import MotionSection
from services.report.page import page, tiles
from services.report.reading import Sampled, read_sample
from services.report.rejections import rejections_section
from services.report.spread import SpreadSection
from services.report.trajectories import TrajectorySection
from services.report.workspace import WorkspaceSection
from shared.dataset import Dataset
from shared.demonstrated_motions import DemonstratedMotions
from shared.errors import DatasetError
from shared.manifest import DatasetHeader, Totals
from shared.motions_file import motions_of
from shared.summary import DemonstrationSummary

ROWS = 20_000
"""Rows that histograms are made from, unless asked otherwise."""


class Report:
    """What was counted of a dataset.

    Attributes:
        rows: that were read.
        comparison: with demonstrations, or None.
    """

    def __init__(
        self,
        dataset: Dataset,
        state: DatasetState,
        summary: DemonstrationSummary | None,
        motions: DemonstratedMotions | None,
    ) -> None:
        """Begins the report of a dataset in that state; `motions` are what its rows are copies of, if they are.

        Raises SummaryError for a summary of another robot or rate, DatasetFormatError for damaged commits.
        """
        header, self.rows = dataset.header, 0
        self.comparison: Comparison | None = None
        self._header, self._state, self._totals = header, state, state.commits.totals()
        statistics = map(dataset.statistics, state.commits.indices)
        self._workspace, self._joints = WorkspaceSection(header, summary), JointSection(header, statistics)
        self._motion, self._trajectories = MotionSection(summary), TrajectorySection(header.robot)
        self._copies = None if motions is None else CopiesSection(motions)
        self._spread = SpreadSection.of(dataset)
        self._demonstrations = None if summary is None else DemonstrationSection(header, summary)

    def add(self, sampled: Sampled) -> None:
        """Counts some rows. Raises DatasetFormatError if they are to be copies of demonstrations and are none."""
        rows, families = sampled.rows, sampled.families
        self.rows += len(rows.ids)
        self._workspace.add(rows)
        self._joints.add(rows)
        self._motion.add(rows, families)
        self._trajectories.add(rows, families)
        if self._copies is not None:
            self._copies.add(sampled)
        if self._spread is not None:
            self._spread.add(rows)
        if self._demonstrations is not None:
            self._demonstrations.add(rows)

    def compare(self) -> None:
        """Measures the distance from the demonstrations, if there are any."""
        if self._demonstrations is not None:
            self.comparison = self._demonstrations.measure()

    def html(self) -> str:
        """The page: the same text for the same rows."""
        header, totals = self._header, self._totals
        body = [
            _tiles(header, totals, self.comparison),
            self.comparison.html() if self.comparison else "",
            self._copies.html() if self._copies else "",
            self._workspace.html(),
            self._joints.html(),
            self._motion.html(),
            rejections_section(totals),
            self._spread.html() if self._spread else "",
            self._trajectories.html(),
            _request(header, self.rows),
        ]
        return page(f"{header.robot.name}: {header.count:,} trajectories", _subtitle(header, self._state), body)


def make_report(
    dataset: Dataset,
    summary: DemonstrationSummary | None = None,
    rows: int = ROWS,
    on_rows: Callable[[int], None] = lambda rows: None,
) -> Report:
    """Looks at a dataset, finished or still growing; nothing is drawn yet.

    Args:
        dataset: in a directory or an object store.
        summary: demonstrations to set it beside.
        rows: to read.
        on_rows: called with the number of rows read so far.

    Raises:
        DatasetError: it has no rows yet, a shard is damaged, or the motions that it has copies of are missing.
        SummaryError: of another robot or rate.
    """
    state = dataset.state()
    if not state.commits:
        raise DatasetError(f"has no rows yet ({state.state}); try again when a shard is committed", dataset.where)
    report = Report(dataset, state, summary, motions_of(dataset))
    for sampled in read_sample(dataset, state.commits, rows):
        report.add(sampled)
        on_rows(report.rows)
    report.compare()
    return report


def _subtitle(header: DatasetHeader, state: DatasetState) -> str:
    shards = f"{len(state.commits)} of {header.shards} shards"
    workspace = header.request.get("workspace")
    kind = workspace.get("kind") if isinstance(workspace, dict) else "joint_space"
    return f"Headstart dataset {header.dataset_id[:12]}, {state.state}, {shards}; {kind} at {header.rate_hz:g} Hz"


def _tiles(header: DatasetHeader, totals: Totals, comparison: Comparison | None) -> str:
    rows, samples, attempts = totals.rows, totals.samples, totals.attempts
    values = [
        (f"{rows:,}", "trajectories"),
        (f"{samples / header.rate_hz / 3600:,.1f} h", "of motion"),
        (f"{samples / max(rows, 1) / header.rate_hz:.1f} s", "mean duration"),
        (f"{100 * rows / max(attempts, 1):.0f} %", "of candidates accepted"),
        (f"{totals.bytes / 1e6:,.0f} MB", "on disk"),
    ]
    if comparison is not None and comparison.distances is not None:
        distance = next(iter(comparison.distances.values()))
        values.append((f"{distance.value:.2f}", "distance from demonstrations"))
    return tiles(values)


def _request(header: DatasetHeader, read: int) -> str:
    said, robot = html.escape(json.dumps(header.request, indent=2)), header.robot
    joints = html.escape(f"Joints {', '.join(robot.joint_names)}; poses of {robot.tool_frame} in {robot.base_frame}.")
    return (
        f"<section><h2>What was asked for</h2><p>{joints}</p>"
        f'<p class="quiet">Histograms are of {read:,} rows in whole row groups, spread over the shards by a seed. '
        f"Every file that was read matched its hash.</p>"
        f"<details><summary>The resolved request</summary><pre>{said}</pre></details></section>"
    )
