"""What the joints do against their limits: position, velocity, acceleration and jerk."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.audit.row_check import Rows
from services.report.charts import (
    DENSITY,
    LIMIT,
    joint_colors,
    joint_labels,
    legend,
    log_percent,
    new_figure,
    picture,
)
from services.report.page import Picture, section
from shared.manifest import DatasetHeader
from shared.records import PIECES_PER_SEGMENT

FloatArray = NDArray[np.float64]

_BINS = 60
_EDGES = {
    "velocity": np.linspace(0, 1.2, 121),
    "acceleration": np.geomspace(1e-3, 1.25, 121),
    "jerk": np.geomspace(1e-4, 1.25, 121),
}
"""Of a limit. Beyond 1 it is broken, and seen to be. A slowed motion's acceleration and jerk shrink by powers."""


class JointSection:
    """Histograms over sampled rows; greatest values over all committed rows, where the commits tell them."""

    def __init__(self, header: DatasetHeader, statistics: Iterable[Mapping[str, Any]]) -> None:
        """Takes the statistics of every committed shard (Dataset.statistics)."""
        self._robot = header.robot
        self._limits = header.robot.limits
        self._names = joint_labels(header.robot.joint_names)
        dof = header.robot.dof
        self._position = np.zeros((dof, _BINS))
        self._shares = {name: np.zeros((dof, len(edges) - 1)) for name, edges in _EDGES.items()}
        self._exact_acceleration = "joint_acceleration" in header.optional_columns
        self._exact_jerk = "profile_jerk" in header.optional_columns
        # Their greatest values are not in the commits.
        self._sampled = {"jerk"} if self._exact_acceleration else {"acceleration", "jerk"}
        greatest = _greatest(statistics, ("joint_velocity", "joint_acceleration"))
        self._greatest = {name: greatest.get(f"joint_{name}", np.zeros(1)) for name in ("velocity", "acceleration")}

    def add(self, rows: Rows) -> None:
        """Counts some rows."""
        limits, lists = self._limits, rows.lists
        q, qd = lists["joint_position"].astype(np.float64), lists["joint_velocity"].astype(np.float64)
        self._count(self._position, (q - limits.lower) / (limits.upper - limits.lower), np.linspace(0, 1, _BINS + 1))
        self._add("velocity", qd)
        row, rate = rows.sample_row, rows.rate_hz[rows.sample_row][:, None]
        qdd = lists.get("joint_acceleration")
        if qdd is None:
            self._add("acceleration", (np.diff(qd, axis=0) * rate[1:])[row[1:] == row[:-1]])
        else:
            self._add("acceleration", qdd.astype(np.float64))
        if self._exact_jerk:
            shape = (-1, self._robot.dof, PIECES_PER_SEGMENT)
            jerk = np.swapaxes(lists["profile_jerk"].reshape(shape), 1, 2).reshape(-1, self._robot.dof)
            time = np.swapaxes(lists["profile_time"].reshape(shape), 1, 2).reshape(-1, self._robot.dof)
            self._add("jerk", jerk, time)
        elif len(qd) > 2:
            bend = (qd[2:] - 2 * qd[1:-1] + qd[:-2]) * rate[2:] ** 2
            self._add("jerk", bend[row[2:] == row[:-2]])

    def html(self) -> str:
        """The section."""
        says = (
            "Each joint's histogram over sampled time steps, as a share of its own limit; the red line is the limit. "
            "The greatest values are over every committed row where that is said."
        )
        sampled = "From differences of the velocities: means over a sample period, so that short peaks don't show. "
        pictures = [
            self._positions(),
            self._against("velocity", "Velocity", ""),
            self._against("acceleration", "Acceleration", "" if self._exact_acceleration else sampled),
            self._against("jerk", "Jerk", "Of the profiles' own pieces, by time. " if self._exact_jerk else sampled),
        ]
        return section("Joints against their limits", says, pictures)

    def _add(self, name: str, values: FloatArray, weights: FloatArray | None = None) -> None:
        share = np.abs(values) / getattr(self._limits, name)
        edges = _EDGES[name]
        self._count(self._shares[name], np.clip(share, edges[0], edges[-1]), edges, weights)
        if name in self._sampled:
            seen = np.where(np.isfinite(values), np.abs(values), np.inf).max(0, initial=0)
            self._greatest[name] = np.maximum(self._greatest.get(name, np.zeros_like(seen)), seen)

    @staticmethod
    def _count(counts: FloatArray, shares: FloatArray, edges: FloatArray, weights: FloatArray | None = None) -> None:
        for joint in range(len(counts)):
            weight = None if weights is None else weights[:, joint]
            counts[joint] += np.histogram(shares[:, joint], edges, weights=weight)[0]

    def _positions(self) -> Picture:
        dof = len(self._names)
        figure, axes = new_figure(5.2, 0.9 + 0.32 * dof)
        values = self._position / np.maximum(self._position.max(1, keepdims=True), 1)
        axes.pcolormesh(
            np.linspace(0, 100, _BINS + 1),
            np.arange(dof + 1),
            np.ma.masked_equal(np.sqrt(values), 0),
            cmap=DENSITY,
            vmin=0,
            vmax=1,
            rasterized=True,
        )
        axes.hlines(np.arange(1, dof), 0, 100, color="white", linewidth=2)
        axes.set_yticks(np.arange(dof) + 0.5, self._names)
        axes.set(xlabel="position, from the lower to the upper limit [%]", ylim=(dof, 0))
        caption = "Darker is more often, each joint by itself."
        return Picture("Position", picture(figure, "Histogram of each joint's position within its limits"), caption)

    def _against(self, name: str, title: str, caption: str) -> Picture:
        figure, axes = new_figure(5.2, 3.3)
        edges = 100 * _EDGES[name]
        colors = joint_colors(len(self._names))
        for joint_name, color, counts in zip(self._names, colors, self._shares[name], strict=True):
            percent = 100 * counts / max(counts.sum(), 1e-12)
            seen = np.where(percent > 0, percent, np.nan)
            axes.stairs(seen, edges, color=color, label=joint_name, baseline=None)
        axes.axvline(100, color=LIMIT, linewidth=1.5)
        if edges[0] > 0:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:g}")
            caption += f"The first bin holds all below {edges[0]:g} %. "
        axes.set(xlim=(edges[0], edges[-1]), xlabel=f"{name} [% of the limit]", ylabel="time [%]")
        log_percent(axes)
        legend(axes, ncols=4, loc="lower left", bbox_to_anchor=(0, 1), handlelength=1.2, columnspacing=1.2)
        greatest = self._greatest.get(name)
        if greatest is not None:
            share = 100 * greatest / getattr(self._limits, name)
            joint = int(share.argmax())
            over = "the sampled rows" if name in self._sampled else "every row"
            caption += f"Greatest over {over}: {share[joint]:.1f} % of the limit, by {self._names[joint]}."
        return Picture(title, picture(figure, f"Histogram of {name} of each joint, in percent of its limit"), caption)


def _greatest(statistics: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> dict[str, FloatArray]:
    """Greatest absolute value of each joint over all rows, of the columns that the statistics have."""
    greatest: dict[str, FloatArray] = {}
    for of_shard in statistics:
        for column in columns:
            if column in of_shard:
                ends = np.abs([of_shard[column]["min"], of_shard[column]["max"]]).max(0)
                greatest[column] = np.maximum(greatest.get(column, ends), ends)
    return greatest
