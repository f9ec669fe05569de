"""A picture of motions and their segments."""

from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from shared.demonstrated_motions import FREE, DemonstratedMotions

_SHOWN = 25
"""Demonstrations drawn, the first ones: more can't be told apart."""


def draw_motions(motions: DemonstratedMotions, path: Path) -> None:
    """Draws the tool's paths from above and from the side; what is relative to an object has its colour."""
    figure = Figure(figsize=(11, 5), layout="constrained")
    axes, colours = figure.subplots(1, 2), colormaps["tab10"]
    for motion in motions.motions[:_SHOWN]:
        begin = 0
        for segment in motion.segments:
            part = motion.commanded.position[max(begin - 1, 0) : segment.end]
            free = segment.relative_to == FREE
            colour = "0.75" if free else "0.2" if segment.relative_to < 0 else colours(segment.relative_to % 10)
            for axis, across in zip(axes, (1, 2), strict=True):
                axis.plot(part[:, 0], part[:, across], color=colour, lw=0.8 if free else 1.5)
            begin = segment.end
        for index, poses in enumerate(motion.objects):
            for axis, across in zip(axes, (1, 2), strict=True):
                axis.plot(*poses.position[0, [0, across]], "s", color=colours(index % 10), ms=4)
    for index, thing in enumerate(motions.objects):
        axes[0].plot(np.nan, np.nan, "s-", color=colours(index % 10), label=f"with {thing.name}")
    axes[0].plot(np.nan, np.nan, "-", color="0.75", label="free")
    axes[0].legend(fontsize=8)
    for axis, name in zip(axes, "yz", strict=True):
        axis.set(xlabel="x [m]", ylabel=f"{name} [m]", aspect="equal")
    figure.suptitle(f"{motions.task}: {len(motions.motions)} demonstrations, commanded paths of the tool")
    figure.savefig(path, dpi=110)
