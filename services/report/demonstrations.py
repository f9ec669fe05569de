"""The dataset beside demonstrations: the distance between their action windows, aspect by aspect."""

import numpy as np
from numpy.typing import NDArray

from services.audit.row_check import Rows
from services.report.charts import DATA, DEMONSTRATIONS, QUIET, legend, new_figure, picture, table
from services.report.distance import ASPECTS, Distance, window_distances
from services.report.page import Picture, section
from services.report.windows import cut_windows
from shared.errors import SummaryError
from shared.manifest import DatasetHeader
from shared.summary import DemonstrationSummary, Windows

FloatArray = NDArray[np.float64]

MAX_WINDOWS = 1000
"""Of the dataset's windows that a distance is computed from."""
_SEED = 0


class DemonstrationSection:
    """Windows of the sampled rows against the summary's: its held-out ones, or the fitted ones if none are held out."""

    def __init__(self, header: DatasetHeader, summary: DemonstrationSummary) -> None:
        """Raises SummaryError where dataset and summary can't be compared."""
        if not summary.is_of(header.robot.name):
            raise SummaryError("/robot", f"is {summary.robot!r}, the dataset's is {header.robot.name!r}")
        if summary.rate_hz != header.rate_hz:
            raise SummaryError(
                "/rate_hz",
                f"is {summary.rate_hz:g} Hz, the dataset's is {header.rate_hz:g} Hz; "
                f"summarize with --rate-hz {header.rate_hz:g}",
            )
        self._summary = summary
        self._parts: list[Windows] = []

    def add(self, rows: Rows) -> None:
        """Cuts a window of each row."""
        self._parts.append(cut_windows(rows, self._summary.horizon))

    def measure(self) -> "Comparison":
        """The distances."""
        summary = self._summary
        episode = np.concatenate([part.episode for part in self._parts])
        values = np.concatenate([part.values for part in self._parts])
        chosen = np.sort(np.random.default_rng(_SEED).permutation(len(episode))[:MAX_WINDOWS])
        windows = Windows(episode[chosen], values[chosen])
        held_out = len(np.unique(summary.held_out_windows.episode)) > 1
        target = summary.held_out_windows if held_out else summary.fitted_windows
        reference = window_distances(summary.fitted_windows, target, summary) if held_out else None
        return Comparison(summary, windows, held_out, window_distances(windows, target, summary), reference)


class Comparison:
    """A dataset's windows and a summary's.

    Attributes:
        distances: of the dataset from the demonstrations, by aspect; None if either has fewer than two of them.
        reference: of the fitted demonstrations from the held-out ones, or None without such.
    """

    def __init__(
        self,
        summary: DemonstrationSummary,
        windows: Windows,
        held_out: bool,
        distances: dict[str, Distance] | None,
        reference: dict[str, Distance] | None,
    ) -> None:
        self.distances, self.reference = distances, reference
        self._summary, self._windows, self._held_out = summary, windows, held_out

    @property
    def says(self) -> str:
        """The distance of whole windows, in a sentence."""
        target = "held-out demonstrations" if self._held_out else "the demonstrations"
        if self.distances is None:
            return (
                f"Too few trajectories or demonstrations of {self._summary.task} for a distance: two of each at least."
            )
        text = f"Energy distance from {target} of {self._summary.task}: {_say(self.distances[ASPECTS[0]])}"
        if self.reference is None:
            return text + "."
        return text + f"; the other demonstrations are {_say(self.reference[ASPECTS[0]])} from them."

    def html(self) -> str:
        """The section."""
        says = (
            f"{self.says} Windows of {self._summary.horizon} steps, positions scaled to [-1, 1] by the range of the "
            "demonstrations, in units of one action: 0 is the same distribution, and about 1 is as far as half the "
            "range along one axis. Brackets hold 95 % of bootstrap resamples of whole trajectories and demonstrations."
        )
        if self.distances is None:
            return section("Against demonstrations", says)
        axes = [self._axis(axis) for axis in range(3)]
        table_of_aspects = self._table(self.distances)
        return section("Against demonstrations", says, [self._bars(self.distances)], axes, more=table_of_aspects)

    def _table(self, distances: dict[str, Distance]) -> str:
        lines = []
        for aspect in ASPECTS:
            other = "" if self.reference is None else _say(self.reference[aspect])
            lines.append([aspect, _say(distances[aspect]), other])
        return table(["aspect", "dataset", "demonstrations, as a reference"], lines)

    def _bars(self, distances: dict[str, Distance]) -> Picture:
        figure, axes = new_figure(5.2, 3.0)
        places = np.arange(len(ASPECTS))
        for values, color, name, shift in (
            (distances, DATA, "dataset", -0.16),
            (self.reference, DEMONSTRATIONS, "demonstrations", 0.16),
        ):
            if values is not None:
                found = [values[aspect] for aspect in ASPECTS]
                axes.barh(places + shift, [one.value for one in found], color=color, height=0.3, label=name)
                axes.hlines(places + shift, [one.low for one in found], [one.high for one in found], color="black")
        axes.set_yticks(places, ASPECTS)
        axes.set(ylim=(len(ASPECTS) - 0.5, -0.5), xlim=(0, None), xlabel="energy distance [units of one action]")
        legend(axes, loc="lower right")
        return Picture("Distance", picture(figure, "Energy distance of the dataset from the demonstrations, by aspect"))

    def _axis(self, axis: int) -> Picture:
        figure, axes = new_figure(3.5, 2.4)
        summary = self._summary
        values = [part.values[..., axis].ravel() for part in (summary.fitted_windows, summary.held_out_windows)]
        shown = ((np.concatenate(values), DEMONSTRATIONS), (self._windows.values[..., axis].ravel(), DATA))
        low, high = (f(f(part) for part, _ in shown) for f in (min, max))
        edges = np.linspace(low, high, 51)
        for part, color in shown:
            axes.stairs(100 * np.histogram(part, edges)[0] / max(len(part), 1), edges, color=color, linewidth=1.4)
        axes.set(ylim=(0, None), xlim=(low, high), xlabel=f"{'xyz'[axis]} [m]", ylabel="time steps [%]")
        axes.axvspan(*summary.position_range[:, axis], color=QUIET, alpha=0.08, linewidth=0)
        title = f"Position along {'xyz'[axis]}"
        return Picture(
            title,
            picture(figure, f"{title}: dataset and demonstrations"),
            "Orange: demonstrations, and grey their range.",
        )


def _say(distance: Distance) -> str:
    return f"{distance.value:.2f} [{distance.low:.2f}, {distance.high:.2f}]"
