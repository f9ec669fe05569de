"""The pictures of a report. PNG files, no display needed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLORS = {
    "decoupled": "#0b7285",
    "pretrained_body": "#22b8cf",
    "finetune": "#5f3dc4",
    "normal": "#868e96",
    "random_body": "#e8590c",
    "random_frozen": "#f0a868",
}


def losses(path: Path, metrics: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Training loss (line) and validation loss (dots) of each run by step, both axes logarithmic."""
    figure, axes = _figure(8, 4.5)
    for name, rows in metrics.items():
        train = [(row["step"], row["loss"]) for row in rows if "loss" in row and row["step"] > 0]
        validation = [(row["step"], row["validation_loss"]) for row in rows if row.get("validation_loss") is not None]
        if train:
            steps, values = np.array(train).T
            (line,) = axes.plot(steps, values, label=name, linewidth=1.2)
            if validation:
                axes.plot(*np.array(validation).T, ".", color=line.get_color(), markersize=5)
    axes.set(xscale="log", yscale="log", xlabel="gradient step", ylabel="noise loss (dots: validation)")
    axes.legend(fontsize=7, ncols=2)
    _save(figure, path)


def success(path: Path, rows: Sequence[tuple[str, str, float, float, float]]) -> None:
    """Bars of (label, mode, rate, low, high), with the interval as a whisker."""
    figure, axes = _figure(1.5 + 1.1 * len(rows), 3.6)
    for x, (_, mode, rate, low, high) in enumerate(rows):
        error = [[max(0.0, 100 * (rate - low))], [max(0.0, 100 * (high - rate))]]
        axes.bar(x, 100 * rate, color=COLORS[mode], yerr=error, capsize=4)
        axes.text(x, 3, f"{100 * rate:.0f}", ha="center", color="white", fontweight="bold")
    axes.set_xticks(range(len(rows)), [label for label, *_ in rows], fontsize=8)
    axes.set(ylabel="success rate [%], 95 %", ylim=(0, 105))
    _save(figure, path)


def seconds(path: Path, rows: Sequence[tuple[str, str, float | None]]) -> None:
    """Bars of (label, mode, training seconds)."""
    figure, axes = _figure(1.5 + 1.1 * len(rows), 3.2)
    for x, (_, mode, known) in enumerate(rows):
        value = known or 0.0
        axes.bar(x, value, color=COLORS[mode])
        axes.text(x, value, f"{value:.0f}", ha="center", va="bottom", fontsize=8)
    axes.set_xticks(range(len(rows)), [label for label, *_ in rows], fontsize=8)
    axes.set(ylabel="training time [s]")
    axes.margins(y=0.15)
    _save(figure, path)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=120)
