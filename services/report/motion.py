"""How fast the tool moves, how long motions take, and what the gripper does."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from services.audit.row_check import Rows
from services.report.charts import DATA, DEMONSTRATIONS, legend, log_percent, new_figure, picture, plain, table
from services.report.page import Picture, section
from shared.rotation import geodesic_angle, rot6d_to_matrix
from shared.summary import DemonstrationSummary

FloatArray = NDArray[np.float64]

SPEEDS = np.arange(0, 5.0001, 0.01)
"""Edges of a histogram of tool speeds [m/s]."""
_TURNS = np.arange(0, 1000.1, 2.0)
"""[°/s]"""
_MOST_FAMILIES = 12
"""That are told apart: a file may say anything."""
_STILL = 0.001
"""Tool speed [m/s] below which the tool is said to rest."""


class MotionSection:
    """Tool speeds, durations, families and gripper."""

    def __init__(self, summary: DemonstrationSummary | None) -> None:
        self._speed, self._turn = np.zeros(len(SPEEDS) - 1), np.zeros(len(_TURNS) - 1)
        self._demonstrated = None if summary is None else _demonstrated(summary)
        self._resting = self._closed = self._steps = 0
        self._durations: dict[str, list[float]] = {}
        self._changes: Counter[int] = Counter()

    def add(self, rows: Rows, families: list[str]) -> None:
        """Counts some rows, each made by the family of its name."""
        row, rate = rows.sample_row, rows.rate_hz[rows.sample_row]
        same = row[1:] == row[:-1]
        position, rotation = rows.lists["ee_position"].astype(np.float64), rows.lists["ee_rotation_6d"]
        speed = np.linalg.norm(np.diff(position, axis=0), axis=1)[same] * rate[1:][same]
        matrix = rot6d_to_matrix(rotation.astype(np.float64))
        turn = np.rad2deg(geodesic_angle(matrix[:-1], matrix[1:]))[same] * rate[1:][same]
        self._speed += np.histogram(np.minimum(speed, SPEEDS[-1]), SPEEDS)[0]
        self._turn += np.histogram(np.minimum(turn, _TURNS[-1]), _TURNS)[0]
        self._resting += int(np.count_nonzero(speed < _STILL))
        closed = rows.lists["gripper"][:, 0] > 0
        self._closed += int(np.count_nonzero(closed))
        self._steps += len(closed)
        flips = np.flatnonzero((closed[1:] != closed[:-1]) & same) + 1
        self._changes.update(np.bincount(row[flips], minlength=len(rows.ids)).tolist())
        for family, duration in zip(families, rows.duration.tolist(), strict=True):
            known = family in self._durations or len(self._durations) < _MOST_FAMILIES
            self._durations.setdefault(family if known else "others", []).append(duration)

    def html(self) -> str:
        """The section."""
        rows = max(sum(self._changes.values()), 1)
        says = (
            f"The tool rests during {100 * self._resting / max(self._speed.sum(), 1):.0f} % of all time steps. The "
            f"gripper is closed during {100 * self._closed / max(self._steps, 1):.0f} % of them and changes "
            f"{sum(n * count for n, count in self._changes.items()) / rows:.1f} times in a trajectory."
        )
        own, turns = (self._demonstrated or (None, None))[:2]
        pictures = [
            speeds_picture("Tool speed", "tool speed [m/s]", SPEEDS, self._speed, own),
            speeds_picture("Tool turning", "turning of the tool [°/s]", _TURNS, self._turn, turns),
            self._times(),
            self._gripper(),
        ]
        return section("How it moves", says, pictures, more=self._families())

    def _families(self) -> str:
        lines = []
        total = sum(len(times) for times in self._durations.values())
        for family, times in sorted(self._durations.items()):
            low, middle, high = np.quantile(times, (0.05, 0.5, 0.95))
            share = f"{100 * len(times) / total:.1f} %"
            lines.append([family, f"{len(times):,}", share, f"{low:.1f}", f"{middle:.1f}", f"{high:.1f}"])
        return table(["family", "sampled rows", "share", "5th percentile [s]", "median [s]", "95th [s]"], lines)

    def _times(self) -> Picture:
        figure, axes = new_figure()
        every = np.concatenate(list(self._durations.values()))
        edges = np.linspace(0, max(float(np.quantile(every, 0.995)), 0.1), 61)
        counts = [np.histogram(np.minimum(times, edges[-1]), edges)[0] for times in self._durations.values()]
        for (family, _), one in zip(self._durations.items(), counts, strict=True):
            axes.stairs(100 * one / len(every), edges, label=plain(family), linewidth=1.4)
        axes.set(xlim=(0, edges[-1]), ylim=(0, None), xlabel="duration [s]", ylabel="trajectories [%]")
        legend(axes)
        caption = "The last bin holds all longer ones."
        return Picture("Durations", picture(figure, "Histogram of durations by motion family"), caption)

    def _gripper(self) -> Picture:
        figure, axes = new_figure()
        most = max(self._changes, default=0)
        shares = [100 * self._changes[n] / max(sum(self._changes.values()), 1) for n in range(most + 1)]
        axes.bar(range(most + 1), shares, color=DATA, width=0.7)
        axes.set_xticks(range(most + 1))
        axes.set(xlabel="changes of the gripper's command", ylabel="trajectories [%]")
        return Picture("Gripper", picture(figure, "How many trajectories have so many gripper changes"))


def speeds_picture(
    title: str, label: str, edges: FloatArray, counts: FloatArray, other: FloatArray | None, own: str = "dataset"
) -> Picture:
    """A histogram of speeds, of `own`, and one of demonstrations beside it if there are any."""
    figure, axes = new_figure()
    both = counts if other is None else counts / max(counts.sum(), 1) + other / max(other.sum(), 1)
    last = int(np.searchsorted(np.cumsum(both) / max(both.sum(), 1e-12), 0.998)) + 1
    # At most 60 bins are shown, each of whole fine ones.
    width = max(1, -(-last // 60))
    shown = np.arange(0, min(last + width, len(edges)), width)
    for values, color, name in ((other, DEMONSTRATIONS, "demonstrations"), (counts, DATA, own)):
        if values is not None:
            binned = np.add.reduceat(values[: shown[-1]], shown[:-1])
            axes.stairs(100 * binned / max(values.sum(), 1), edges[shown], color=color, label=name, linewidth=1.4)
    axes.set(xlim=(0, edges[shown[-1]]), xlabel=label, ylabel="time steps [%]")
    log_percent(axes)
    if other is not None:
        legend(axes)
    return Picture(title, picture(figure, f"Histogram of {label}"))


def _demonstrated(summary: DemonstrationSummary) -> tuple[FloatArray, FloatArray]:
    """Histograms of speed and turning in the demonstrations' windows."""
    values = np.concatenate([summary.fitted_windows.values, summary.held_out_windows.values])
    speed = np.linalg.norm(np.diff(values[..., :3], axis=1), axis=-1) * summary.rate_hz
    matrix = rot6d_to_matrix(values[..., 3:9])
    turn = np.rad2deg(geodesic_angle(matrix[:, :-1], matrix[:, 1:])) * summary.rate_hz
    return np.histogram(speed, SPEEDS)[0].astype(float), np.histogram(turn, _TURNS)[0].astype(float)
