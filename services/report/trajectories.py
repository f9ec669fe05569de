"""A few trajectories drawn: the tool's path from three sides, and the joints over time."""

import html

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from services.audit.row_check import Rows
from services.report.charts import QUIET, joint_colors, joint_labels, legend, new_figure, new_row, picture
from services.report.page import section
from shared.robots import RobotSpec

FloatArray = NDArray[np.float64]

EACH, MOST = 2, 6
"""Trajectories of each family, and of all."""
_CLOSED = "#f08c00"


class TrajectorySection:
    """The first trajectories of each family among those sampled."""

    def __init__(self, robot: RobotSpec) -> None:
        self._robot = robot
        self._shown: dict[str, list[str]] = {}

    def add(self, rows: Rows, families: list[str]) -> None:
        """Takes what is still wanted of some rows."""
        for index, family in enumerate(families):
            shown = self._shown.setdefault(family, [])
            if len(shown) < EACH and sum(map(len, self._shown.values())) < MOST:
                shown.append(self._draw(rows, index, family))

    def html(self) -> str:
        """The section."""
        says = (
            f"The first {EACH} of each family. The path runs from the dot to the square, and is orange where the "
            "gripper is commanded closed; so is the background of the joints' curves, whose "
            "positions are in percent of the way from the lower to the upper limit."
        )
        return section("A few trajectories", says, more="".join(part for one in self._shown.values() for part in one))

    def _draw(self, rows: Rows, index: int, family: str) -> str:
        part = slice(int(rows.first[index]), int(rows.first[index + 1]))
        position = rows.lists["ee_position"][part].astype(np.float64)
        closed = rows.lists["gripper"][part, 0] > 0
        time = np.arange(len(position)) / rows.rate_hz[index]
        title = f"Trajectory {rows.ids[index]}, {family}, {rows.duration[index]:.1f} s"
        joints = self._joints(time, rows.lists["joint_position"][part], closed)
        images = picture(_path(position, closed), f"{title}: tool path"), picture(joints, f"{title}: joint positions")
        figures = "".join(f"<figure>{image}</figure>" for image in images)
        return f'<h3>{html.escape(title)}</h3><div class="figures">{figures}</div>'

    def _joints(self, time: FloatArray, q: NDArray[np.float32], closed: NDArray[np.bool_]) -> Figure:
        figure, axes = new_figure(5.2, 2.3)
        limits = self._robot.limits
        share = 100 * (q - limits.lower) / (limits.upper - limits.lower)
        names = joint_labels(self._robot.joint_names)
        for values, color, name in zip(share.T, joint_colors(len(names)), names, strict=True):
            axes.plot(time, values, color=color, linewidth=1.3, label=name)
        axes.fill_between(time, 0, 100, where=closed.tolist(), color=_CLOSED, alpha=0.12, linewidth=0, step="post")
        axes.set(xlabel="time [s]", ylabel="position [%]", ylim=(0, 100), xlim=(0, max(time[-1], 0.1)))
        legend(axes, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)
        return figure


def _path(position: FloatArray, closed: NDArray[np.bool_]) -> Figure:
    figure, panels = new_row(5.6, 2.2, 3)
    middle = (position.min(0) + position.max(0)) / 2
    half = max(float((position.max(0) - position.min(0)).max()) / 2 * 1.1, 0.02)
    for axes, (a, b) in zip(panels, ((0, 1), (0, 2), (1, 2)), strict=True):
        axes.plot(position[:, a], position[:, b], color=QUIET, linewidth=1.2)
        shut = np.where(closed[:, None], position, np.nan)
        axes.plot(shut[:, a], shut[:, b], color=_CLOSED, linewidth=2)
        axes.plot(*position[0, [a, b]], "o", color="black", markersize=4)
        axes.plot(*position[-1, [a, b]], "s", color="black", markersize=4)
        axes.set(aspect="equal", xlabel=f"{'xyz'[a]} [m]", ylabel=f"{'xyz'[b]} [m]")
        axes.set(xlim=(middle[a] - half, middle[a] + half), ylim=(middle[b] - half, middle[b] + half))
        axes.tick_params(labelsize=8)
        axes.locator_params(nbins=3)
    return figure
