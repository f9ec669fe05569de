"""Look at a row: each joint beside its limits, and the path of the tool.

You learn how one trajectory is read, which shapes and units its columns have, and where the arm's limits are.

    python examples/02_look_at_a_row.py try/data --trajectory 7 --out try/row.png
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from shared.dataset import Dataset
from shared.row import read_row


def main() -> None:
    """Draws the row into a picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of a dataset, as 01_generate.py made it")
    parser.add_argument("--trajectory", type=int, default=0, help="its trajectory_id")
    parser.add_argument("--out", type=Path, required=True, help="picture to write (.png)")
    options = parser.parse_args()

    dataset = Dataset(options.data)
    robot, row = dataset.header.robot, read_row(dataset, options.trajectory)
    joints, tool = row["joint_position"], row["ee_position"]  # (T, dof) [rad], (T, 3) [m]
    time = np.arange(row["length"]) / row["rate_hz"]
    closed = row["gripper"] > 0  # +1 close, -1 open

    figure = Figure(figsize=(11, 1.2 * robot.dof), layout="constrained")
    grid = figure.add_gridspec(robot.dof, 2)
    for joint, name in enumerate(robot.joint_names):
        axes = figure.add_subplot(grid[joint, 0])
        axes.plot(time, joints[:, joint])
        axes.axhline(robot.limits.lower[joint], color="red", linestyle=":")
        axes.axhline(robot.limits.upper[joint], color="red", linestyle=":")
        axes.set_ylabel(f"{name.removeprefix(f'{robot.name}_')} [rad]")
    axes.set_xlabel("time [s]")
    path = figure.add_subplot(grid[:, 1], projection="3d")
    path.plot(*tool.T, color="gray")
    path.plot(*tool[closed].T, ".", color="orange", label="gripper closed")
    path.set(xlabel="x [m]", ylabel="y [m]", zlabel="z [m]", aspect="equal")
    path.legend()
    figure.savefig(options.out)

    way = np.linalg.norm(np.diff(tool, axis=0), axis=1).sum()
    print(f"trajectory {options.trajectory}: the tool goes {way:.2f} m in {row['duration']:.2f} s: {options.out}")


if __name__ == "__main__":
    main()
