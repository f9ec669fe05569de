"""Where the tool goes, and how it is oriented there."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle, Rectangle
from numpy.typing import NDArray

from services.audit.row_check import Rows
from services.report.charts import DATA, DEMONSTRATIONS, QUIET, density, new_figure, note, picture, steps
from services.report.page import Picture, section
from shared.errors import DatasetFormatError
from shared.manifest import DatasetHeader
from shared.summary import DemonstrationSummary

FloatArray = NDArray[np.float64]

_BINS = 90
_DISC_BINS = 400
_TURN_BINS = 72
_VIEWS = (("From above", 0, 1), ("From the side", 0, 2), ("From the front", 1, 2))
_RINGS = (30, 60, 90, 180)


class WorkspaceSection:
    """Tool positions as three projections, and the tool's orientation."""

    def __init__(self, header: DatasetHeader, summary: DemonstrationSummary | None) -> None:
        """Raises DatasetFormatError for a header without a range of positions."""
        corners = _corners(header.action_range.get("position"))
        if corners is None:
            raise DatasetFormatError("action_range has no position with min and max [m]", "dataset.json")
        self._low, self._high = corners
        workspace = header.request.get("workspace")
        self._box = _corners(workspace) if isinstance(workspace, dict) and workspace.get("kind") == "box" else None
        self._demonstrated = None if summary is None else summary.position_range
        self._edges = [np.linspace(a, b, _BINS + 1) for a, b in zip(self._low, self._high, strict=True)]
        self._planes = np.zeros((3, _BINS, _BINS))
        self._disc_edges = np.linspace(-2, 2, _DISC_BINS + 1)
        self._disc = np.zeros((_DISC_BINS, _DISC_BINS))
        self._turn_edges = np.linspace(-180, 180, _TURN_BINS + 1)
        self._turn = np.zeros(_TURN_BINS)
        self._tilt_edges = np.linspace(0, 180, 181)
        self._tilt = np.zeros(180)

    def add(self, rows: Rows) -> None:
        """Counts some rows."""
        position = rows.lists["ee_position"]
        for plane, (_, a, b) in zip(self._planes, _VIEWS, strict=True):
            plane += np.histogram2d(position[:, a], position[:, b], [self._edges[a], self._edges[b]])[0]
        first, second = rows.lists["ee_rotation_6d"][:, :3].T, rows.lists["ee_rotation_6d"][:, 3:].T
        third = np.cross(first, second, axis=0)
        # The rows of the matrix are known, so its columns, the tool's axes in the base frame, are their components.
        x_axis, z_axis = (np.stack([first[k], second[k], third[k]]) for k in (0, 2))
        flat = np.maximum(np.hypot(z_axis[0], z_axis[1]), 1e-9)
        radius = np.sqrt(np.maximum(2 * (1 + z_axis[2]), 0))
        across, up = (radius * component / flat for component in z_axis[:2])
        self._disc += np.histogram2d(across, up, [self._disc_edges, self._disc_edges])[0]
        self._tilt += np.histogram(np.rad2deg(np.arccos(np.clip(-z_axis[2], -1, 1))), self._tilt_edges)[0]
        self._turn += np.histogram(np.rad2deg(np.arctan2(x_axis[1], x_axis[0])), self._turn_edges)[0]

    def html(self) -> str:
        """The section."""
        share = np.cumsum(self._tilt) / max(self._tilt.sum(), 1)
        half, most = (int(np.searchsorted(share, q)) + 1 for q in (0.5, 0.95))
        says = (
            "Positions of the tool centre point over all sampled time steps, in the base frame; the arm stands at the "
            "cross. Darker is more often, by the square root. "
            f"The tool's axis is within {half}° of straight down half of the time, within {most}° for 95 %."
        )
        pictures = [self._view(*view) for view in zip(_VIEWS, self._planes, strict=True)]
        return section("Where the tool goes", says, pictures, [self._axis(), self._heading()])

    def _view(self, view: tuple[str, int, int], counts: FloatArray) -> Picture:
        title, a, b = view
        size = self._high - self._low
        figure, axes = new_figure(3.5, float(np.clip(0.75 + 2.6 * size[b] / size[a], 2.0, 4.2)))
        density(axes, self._edges[a], self._edges[b], counts)
        axes.plot(0, 0, "+", color=QUIET, markersize=9)
        if self._box is not None:
            _outline(axes, self._box[:, [a, b]], DATA, "request's box")
        if self._demonstrated is not None:
            _outline(axes, self._demonstrated[:, [a, b]], DEMONSTRATIONS, "demonstrations")
        axes.set(
            xlim=(self._low[a], self._high[a]),
            ylim=(self._low[b], self._high[b]),
            aspect="equal",
            xlabel=f"{'xyz'[a]} [m]",
            ylabel=f"{'xyz'[b]} [m]",
        )
        return Picture(title, picture(figure, f"{title}: density of tool positions over {'xyz'[a]} and {'xyz'[b]}"))

    def _axis(self) -> Picture:
        seen = np.flatnonzero(self._tilt)
        farthest = seen[-1] + 1 if seen.size else 180
        view = next(ring for ring in _RINGS if ring >= farthest)
        radius = 2 * np.sin(np.deg2rad(view) / 2)
        figure, axes = new_figure(3.5, 3.35)
        density(axes, self._disc_edges, self._disc_edges, self._disc)
        for ring in (ring for ring in (10, 20, *_RINGS) if ring <= view and (ring >= 30 or view == 30)):
            size = 2 * np.sin(np.deg2rad(ring) / 2)
            axes.add_patch(Circle((0, 0), size, fill=False, color=QUIET, linewidth=0.7))
            note(axes, 0, size, f"{ring}°", color=QUIET, ha="center", va="bottom")
        axes.set(xlim=(-1.08 * radius, 1.08 * radius), ylim=(-1.08 * radius, 1.14 * radius), aspect="equal")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
        axes.set_xlabel("towards x →")
        axes.set_ylabel("towards y →")
        caption = "Straight down is the middle, the rings are angles from it; equal areas are equally many directions."
        return Picture("Where the tool points", picture(figure, "Density of the tool axis's directions"), caption)

    def _heading(self) -> Picture:
        figure, axes = new_figure(3.5, 2.6)
        steps(axes, self._turn_edges, self._turn, color=DATA, fill=True, alpha=0.35)
        steps(axes, self._turn_edges, self._turn, color=DATA)
        axes.set(xlim=(-180, 180), ylim=(0, None), xlabel="heading of the tool's x axis [°]", ylabel="time steps [%]")
        axes.set_xticks([-180, -90, 0, 90, 180])
        caption = "How the tool is turned about the vertical: 0° is the base's x axis, 90° its y axis."
        return Picture("How the tool is turned", picture(figure, "Histogram of the tool's heading"), caption)


def _corners(box: Any) -> FloatArray | None:
    """Least and greatest corner of {"min": [3], "max": [3]}, shape (2, 3), or None if it is no such thing."""
    try:
        corners = np.array([box["min"], box["max"]], np.float64)
    except (KeyError, TypeError, ValueError):
        return None
    sound = corners.shape == (2, 3) and np.isfinite(corners).all() and (corners[0] < corners[1]).all()
    return corners if sound else None


def _outline(axes: Axes, corners: FloatArray, color: str, label: str) -> None:
    low, high = corners
    axes.add_patch(Rectangle(low, *(high - low), fill=False, edgecolor=color, linewidth=1.4, linestyle="--"))
    note(axes, low[0], high[1], label, color=color, va="bottom")
