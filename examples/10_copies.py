"""Copies: many demonstrations out of a few, by kinematics.

You learn how the motions of demonstrations are taken out of them, how a request asks for copies of these, and what a
copy's row holds: the demonstration it is of, and where its objects are. docs/copies.md says how they are made.

    python examples/10_copies.py try/lift/lift.hdf5 --out try/copies
"""

import argparse
from contextlib import closing
from pathlib import Path

from services.engine import ENGINES, open_engine
from services.jobs import generate
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.row import read_row
from trainer.data.demonstrations import read_demonstrations
from trainer.data.motions.motions import proposed_motions


def main() -> None:
    """Takes motions out of demonstrations, has copies made, and prints what the first one is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demonstrations", type=Path, help="of the simulator, as 06_roll_out.py collected them")
    parser.add_argument("--out", type=Path, required=True, help="folder of the dataset of copies")
    parser.add_argument("--count", type=int, default=100, help="copies")
    parser.add_argument("--engine", choices=ENGINES, default="process", help="where they are made")
    options = parser.parse_args()

    # Which steps are relative to an object, and which are free, is proposed; a person may say otherwise.
    motions = proposed_motions(read_demonstrations(options.demonstrations), str(options.demonstrations))
    body = {
        "robot": motions.robot,
        "count": options.count,
        "rate_hz": motions.rate_hz,
        # Objects lie as far apart as in the demonstrations, and up to 2 cm farther on every side.
        "workspace": {"kind": "objects", "motions": motions.content_sha256, "widen": 0.02},
    }
    request = TrajectoryRequest.parse(body, motions={motions.content_sha256: motions}.get)
    with closing(open_engine(options.engine)) as engine:
        dataset = generate(request, options.out, engine)

    row, thing = read_row(dataset, 0), motions.objects[0].name
    x, y, _ = row[f"object/{thing}/position"][0]
    print(f"{dataset.header.count} copies of {len(motions.motions)} demonstrations of {motions.task}")
    print(f"the first is of demonstration {row['source']}, its {thing} at x {x:.2f} m, y {y:.2f} m")


if __name__ == "__main__":
    main()
