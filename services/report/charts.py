"""What the report's pictures share: size, colours, and how a figure becomes part of the page."""

import base64
import html
import io
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

DATA, DEMONSTRATIONS, LIMIT, QUIET = "#0b7285", "#e8590c", "#c92a2a", "#868e96"
"""Colours: of the dataset, of demonstrations, of limits, of what stands back."""
DENSITY = LinearSegmentedColormap.from_list("density", ["#e6f4f6", "#5fb3c0", "#0b7285", "#05303a"])
"""Of densities; what is empty stays white."""

_STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#495057",
    "axes.labelcolor": "#212529",
    "xtick.color": "#495057",
    "ytick.color": "#495057",
    # The same dataset gives the same page.
    "svg.hashsalt": "headstart",
}


def new_figure(width: float = 5.2, height: float = 3.1) -> tuple[Figure, Axes]:
    """An empty figure of so many inches; on a narrow screen a picture is drawn smaller, so keep them small."""
    figure, (axes,) = new_row(width, height, 1)
    return figure, axes


def new_row(width: float, height: float, columns: int) -> tuple[Figure, list[Axes]]:
    """An empty figure with axes side by side."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, list(figure.subplots(1, columns, squeeze=False)[0])


def legend(axes: Axes, **where: Any) -> None:
    """A legend without a frame."""
    axes.legend(**{"frameon": False, "fontsize": 8.5, **where})


def plain(text: str) -> str:
    """A text that Matplotlib takes for no formula."""
    return text.replace("$", r"\$")


def joint_labels(names: Sequence[str]) -> list[str]:
    """Joint names without what all of them begin and end with."""
    begin = _common(names)
    end = _common([name[begin:][::-1] for name in names])
    short = [name[begin : len(name) - end].strip("_") for name in names]
    if len(names) < 2 or not all(short):
        short = list(names)
    short = [f"joint {name}" if name.isdigit() else name if len(name) <= 16 else f"…{name[-15:]}" for name in short]
    return [plain(name) for name in short]


def _common(names: Sequence[str]) -> int:
    """How many characters all names begin with in common."""
    return next((i for i, letters in enumerate(zip(*names, strict=False)) if len(set(letters)) > 1), len(min(names)))


def joint_colors(dof: int) -> list[Any]:
    """A colour for each joint, from the base to the wrist."""
    return list(matplotlib.colormaps["viridis"](np.linspace(0, 0.92, dof)))


def note(axes: Axes, x: float, y: float, text: str, **style: Any) -> None:
    """A small text that stays readable on what lies behind it."""
    effects = [withStroke(linewidth=2.5, foreground="white")]
    axes.text(x, y, text, **{"fontsize": 8, "path_effects": effects, **style})


def picture(figure: Figure, what: str) -> str:
    """The figure as HTML, self-contained; `what` is read aloud where it can't be seen."""
    buffer = io.BytesIO()
    with matplotlib.rc_context(_STYLE):
        figure.savefig(buffer, format="svg", dpi=144, metadata={"Date": None, "Creator": None})
    data = base64.b64encode(buffer.getvalue()).decode()
    width = round(96 * figure.get_figwidth())
    return f'<img alt="{html.escape(what)}" width="{width}" src="data:image/svg+xml;base64,{data}">'


def log_percent(axes: Axes) -> None:
    """Makes the y axis logarithmic, its labels plain numbers; the same for all, so that pictures can be compared."""
    axes.set_ylim(1e-3, 130)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")


def density(axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], counts: NDArray[np.float64]) -> None:
    """A two-dimensional histogram; darkness grows with the root of the count, so that rare places are seen."""
    values = np.ma.masked_equal(np.sqrt(counts.T / max(counts.max(), 1)), 0)
    axes.pcolormesh(x, y, values, cmap=DENSITY, vmin=0, vmax=1, rasterized=True)


def steps(axes: Axes, edges: NDArray[np.float64], counts: NDArray[np.float64], **style: Any) -> None:
    """A histogram as a line, in percent of all."""
    axes.stairs(100 * counts / max(counts.sum(), 1), edges, **style)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """An HTML table of texts; every column but the first is right-aligned."""
    line = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{line}</tr></thead><tbody>{body}</tbody></table></div>'
