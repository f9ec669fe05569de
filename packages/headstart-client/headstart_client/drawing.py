"""A row as a picture (extra [plot]: matplotlib)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from headstart_client.data.robots import RobotSpec


def draw_row(robot: RobotSpec, row: Mapping[str, Any]) -> Figure:
    """Each joint over time between its limits [rad or m, s], and the tool's path in the base frame [m]."""
    joints, tool = row["joint_position"], row["ee_position"]
    time = np.arange(row["length"]) / row["rate_hz"]
    closed = row["gripper"] > 0
    figure = Figure(figsize=(11, 1.2 * robot.dof), layout="constrained")
    grid = figure.add_gridspec(robot.dof, 2)
    for joint, name in enumerate(robot.joint_names):
        axes = figure.add_subplot(grid[joint, 0])
        axes.plot(time, joints[:, joint])
        for limit in (robot.limits.lower[joint], robot.limits.upper[joint]):
            axes.axhline(limit, color="red", linestyle=":")
        axes.set_ylabel(name)
    axes.set_xlabel("time [s]")
    path = figure.add_subplot(grid[:, 1], projection="3d")
    path.plot(*tool.T, color="gray")
    path.plot(*tool[closed].T, ".", color="orange", label="gripper closed")
    path.set(xlabel="x [m]", ylabel="y [m]", zlabel="z [m]", aspect="equal")
    path.legend()
    return figure
