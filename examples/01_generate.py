"""Generate trajectories from Python, with no service running.

You learn what a request is, how a dataset is made from it, and what a row holds. Run it again and nothing is made
twice: the same request is the same dataset, to the bit.

    python examples/01_generate.py --out try/data
"""

import argparse
from contextlib import closing
from pathlib import Path

from services.engine import ENGINES, open_engine
from services.jobs import generate
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.row import read_row

# Through a box in front of the arm [m], the tool within 30 degrees of pointing down, as fast as a careful person.
REQUEST = {
    "robot": "panda",
    "count": 200,
    "seed": 0,
    "rate_hz": 20.0,
    "families": {"via_points": 1.0},
    "tool_speed": [0.1, 0.35],
    "workspace": {
        "kind": "box",
        "min": [0.3, -0.3, 0.0],
        "max": [0.8, 0.3, 0.4],
        "orientation": {"kind": "cone", "axis": [0, 0, -1], "angle_deg": 30},
    },
}


def main() -> None:
    """Makes the dataset, and prints what it holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the dataset")
    parser.add_argument("--count", type=int, default=REQUEST["count"], help="trajectories")
    parser.add_argument("--engine", choices=ENGINES, default="process", help="where they are made")
    options = parser.parse_args()

    request = TrajectoryRequest.parse({**REQUEST, "count": options.count})
    with closing(open_engine(options.engine)) as engine:
        dataset = generate(request, options.out, engine)

    row = read_row(dataset, 0)
    print(f"{dataset.header.count} trajectories of {dataset.header.robot.name}: {options.out}")
    print(f"the first lasts {row['duration']:.2f} s, its joint_position is {row['joint_position'].shape}")


if __name__ == "__main__":
    main()
