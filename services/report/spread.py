"""What rejections do to where motions end: positions and directions of the tool as asked for, beside those of rows."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from services.audit.row_check import Rows
from services.engine.stored_request import request_of
from services.report.charts import DATA, QUIET, legend, new_row, picture, steps, table
from services.report.page import Picture, section
from services.synthesis.arm.robot_model import robot_model
from services.synthesis.draw.sampling import draw_candidates
from services.synthesis.request.families import SAME
from services.synthesis.request.trajectory_request import TrajectoryRequest
from services.synthesis.request.workspace import Objects
from shared.dataset import Dataset
from shared.errors import GeneratorVersionError, RequestError

FloatArray = NDArray[np.float64]

_NAMES = ("x [m]", "y [m]", "z [m]", "tool axis x", "tool axis y", "tool axis z")
_BINS = 40
_MOST_ENDS = 5000


class SpreadSection:
    """The ends of rows, and the ends that their ids were first drawn with, before any of it was looked at."""

    def __init__(self, request: TrajectoryRequest) -> None:
        self._request = request
        self._asked: list[FloatArray] = []
        self._made: list[FloatArray] = []
        self._ends = 0

    @classmethod
    def of(cls, dataset: Dataset) -> "SpreadSection | None":
        """That of a dataset; None for copies, which are not drawn so, and for one of another release."""
        try:
            request = request_of(dataset)
        except (GeneratorVersionError, RequestError):
            return None
        return None if isinstance(request.workspace, Objects) else cls(request)

    def add(self, rows: Rows) -> None:
        """Takes note of some rows' ends, and draws those that were asked for."""
        count = min(len(rows.ids), _MOST_ENDS - self._ends)
        if count <= 0:
            return
        self._ends += count
        last = rows.first[1 : count + 1] - 1
        rotation_6d = rows.lists["ee_rotation_6d"][last]
        x_row, y_row = rotation_6d[:, :3], rotation_6d[:, 3:]
        axis = np.stack([x_row[:, 2], y_row[:, 2], np.cross(x_row, y_row)[:, 2]], axis=1)
        self._made.append(np.concatenate([rows.lists["ee_position"][last], axis], axis=1).astype(np.float64))
        self._asked.append(asked_ends(self._request, rows.ids[:count]))

    def html(self) -> str:
        """The section."""
        asked, made = np.concatenate(self._asked), np.concatenate(self._made)
        if self._request.goal == "position":
            asked, made = asked[:, :3], made[:, :3]
        farthest = [float(ks_2samp(a, b).statistic) for a, b in zip(asked.T, made.T, strict=True)]
        worst = int(np.argmax(farthest))
        says = (
            f"Where the tool is at the end of {len(made):,} rows, beside the ends that the same trajectories were "
            "first drawn with. An end that the arm can't reach is drawn anew, and so is one at which, or on the way to "
            "which, it collides: rows are spread as was asked among what is free. A gap is that between the shares of "
            f"ends below a value; by chance the largest is below {1.63 * np.sqrt(2 / len(made)):.3f} in 99 of 100 "
            f"cases. Here it is largest for {_NAMES[worst]}."
        )
        head = ("", "asked: mean", "spread", "rows: mean", "spread", "largest gap")
        numbers = np.stack([asked.mean(0), asked.std(0), made.mean(0), made.std(0), farthest], axis=1)
        body = [(name, *(f"{value:.3f}" for value in row)) for name, row in zip(_NAMES, numbers, strict=False)]
        return section("What rejections leave out", says, [self._picture(asked, made)], more=table(head, body))

    def _picture(self, asked: FloatArray, made: FloatArray) -> Picture:
        figure, every = new_row(1.8 * asked.shape[1], 2.3, asked.shape[1])
        for axes, name, a, b in zip(every, _NAMES, asked.T, made.T, strict=False):
            edges = np.linspace(min(a.min(), b.min()), max(a.max(), b.max()) + 1e-9, _BINS + 1)
            steps(axes, edges, np.histogram(a, edges)[0], color=QUIET, label="asked")
            steps(axes, edges, np.histogram(b, edges)[0], color=DATA, label="rows")
            axes.set(xlabel=name, ylim=(0, None))
        every[0].set_ylabel("ends [%]")
        legend(every[-1])
        return Picture("Ends", picture(figure, "Shares of ends, asked for and of rows, over position and tool axis"))


def asked_ends(request: TrajectoryRequest, ids: NDArray[np.int64]) -> FloatArray:
    """Tool positions [m] and directions of its z axis at the ends of the first candidates of ids (n,), shape (n, 6)."""
    robot = robot_model(request.arm)
    candidates = draw_candidates(request, robot, ids, np.zeros(len(ids), np.int64))
    waypoint = np.arange(candidates.arrival.shape[1])
    drawn = (waypoint <= candidates.segments[:, None]) & (candidates.arrival != SAME)
    position, rotation = candidates.targets.poses(robot, np.arange(len(ids)), (waypoint * drawn).max(1))
    return np.concatenate([position, rotation[:, :, 2]], axis=1)
