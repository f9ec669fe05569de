"""How fast demonstrations are copied, beside via_points in the same process, and what it takes to look at the copies.

    python -m benchmarks.copies [--rows N] [--motions FILE]

Panda, 20 Hz, self-collision checked, one process. Rates are rows for each second of CPU time of synthesize(), without
writing and without a first shard of each, which compiles; the two take turns, and medians are compared. Without a file,
the motions are made up: 25 demonstrations of putting one block on another, faster than people's.
"""

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from services.synthesis.pipeline import ShardPlan, ShardRows, synthesize
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.demonstrated_motions import DemonstratedMotions
from shared.motions_file import read_motions
from tests.stacking import motions

ROUNDS = 5
WARM_UP = 64


def copies_request(demonstrated: DemonstratedMotions) -> TrajectoryRequest:
    """A million copies of demonstrations, with everything as it is by default."""
    workspace = {"kind": "objects", "motions": demonstrated.content_sha256}
    body = {"robot": "panda", "count": 10**6, "rate_hz": demonstrated.rate_hz, "workspace": workspace}
    return TrajectoryRequest.parse(body, motions={demonstrated.content_sha256: demonstrated}.get)


def table_request() -> TrajectoryRequest:
    """A million trajectories as the recipe's Stage 1 has them."""
    box = {"kind": "box", "min": [0.30, -0.30, -0.12], "max": [0.80, 0.30, 0.30]}
    families = {"via_points": 1.0}
    return TrajectoryRequest.parse(
        {"robot": "panda", "count": 10**6, "families": families, "workspace": box, "tool_speed": [0.10, 0.35]}
    )


def timed(request: TrajectoryRequest, index: int, rows: int) -> tuple[float, ShardRows]:
    """CPU seconds of a shard, and its rows."""
    began = time.process_time()
    made = synthesize(ShardPlan(request, index, WARM_UP + index * rows, rows))
    return time.process_time() - began, made


def main() -> None:
    """Prints one JSON object on the last line."""
    parser = argparse.ArgumentParser(description="copies of demonstrations: rates beside via_points")
    parser.add_argument("--rows", type=int, default=1024, help="rows of each in a round (default 1024)")
    parser.add_argument("--motions", type=Path, help="motions file; made up without one")
    arguments = parser.parse_args()
    demonstrated = motions(25) if arguments.motions is None else read_motions(arguments.motions)
    requests = {"demonstrated": copies_request(demonstrated), "via_points": table_request()}
    for request in requests.values():
        synthesize(ShardPlan(request, 0, 0, WARM_UP))
    seconds: dict[str, list[float]] = {name: [] for name in requests}
    attempts: dict[str, int] = dict.fromkeys(requests, 0)
    for index in range(ROUNDS):
        for name, request in requests.items():
            taken, made = timed(request, index, arguments.rows)
            seconds[name].append(taken)
            attempts[name] += made.attempts
        rates = {name: f"{arguments.rows / values[-1]:.0f}/s" for name, values in seconds.items()}
        print(f"round {index}: {rates}", flush=True)
    ratio = np.array(seconds["via_points"]) / np.array(seconds["demonstrated"])
    report = {f"{name}_rows_per_cpu_s": round(arguments.rows / float(np.median(v)), 1) for name, v in seconds.items()}
    report |= {f"{n}_attempts_per_row": round(v / ROUNDS / arguments.rows, 3) for n, v in attempts.items()}
    print(json.dumps({**report, "demonstrated_to_via_points": round(float(np.median(ratio)), 3)}))


if __name__ == "__main__":
    main()
