"""Look at a row: each joint beside its limits, and the path of the tool.

You learn how one trajectory is read, which shapes and units its columns have, and where the arm's limits are.

    python examples/02_look_at_a_row.py try/data --trajectory 7 --out try/row.png
"""

import argparse
from pathlib import Path

import numpy as np

from headstart_client.drawing import draw_row
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
    # Of T samples and dof joints, arrays: positions (T, dof) [rad], the tool (T, 3) [m], the gripper (T,), +1 to close.
    joints, tool, gripper = row["joint_position"], row["ee_position"], row["gripper"]
    draw_row(robot, row).savefig(options.out)

    room = np.minimum(joints - robot.limits.lower, robot.limits.upper - joints).min(axis=0)
    for name, least in zip(robot.joint_names, room, strict=True):
        print(f"{name} keeps {least:.2f} rad from its limits")
    print(f"the gripper is closed for {np.mean(gripper > 0):.0%} of the time")
    way = np.linalg.norm(np.diff(tool, axis=0), axis=1).sum()
    print(f"trajectory {options.trajectory}: the tool goes {way:.2f} m in {row['duration']:.2f} s: {options.out}")


if __name__ == "__main__":
    main()
