"""How far datasets are from demonstrations: joint space, reachable poses, a box on the table, and fitted to them.

    python -m benchmarks.fit [--demonstrations N] [--rows N] [--keep FOLDER]

Collects 2 N Stack demonstrations of the scripted expert. The datasets are fitted to N of them, every other one, and
measured against the windows of the N others, which nothing was fitted to. The distance is the energy distance of whole
action windows (docs/report.md); `demonstrations` is the fitted ones' own, as a reference. Each dataset is made with the
default families but for `fitted_chains`, which is whole chains alone.

A second scale guards against one that flatters: positions by the joint-space dataset's action_range, which is wider.
"""

import argparse
import dataclasses
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from services.audit.row_check import read_rows
from services.report import ASPECTS, Distance, window_distances
from services.report.windows import cut_windows
from services.synthesis.pipeline import ShardPlan, robot_spec, synthesize
from services.synthesis.ranges import action_range
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.summary import DemonstrationSummary, Windows
from trainer.data.demonstrations import read_demonstrations
from trainer.data.summarize import summarize
from trainer.simulation.collect import collect

WINDOWS = 1000
TABLE = {"kind": "box", "min": [0.35, -0.25, -0.1], "max": [0.75, 0.25, 0.2]}
"""Where the cubes of Stack lie and are carried; the tool within 30 degrees of straight down."""


def requests(summary: DemonstrationSummary, rows: int) -> dict[str, TrajectoryRequest]:
    """The requests that are compared, by name."""
    fitted = {"workspace": {"kind": "fitted", "summary": summary}}
    bodies: dict[str, dict[str, Any]] = {
        "joint_space": {},
        "reachable": {"workspace": {"kind": "reachable"}},
        # As fast as people and the scripted experts move.
        "box": {"workspace": TABLE, "speed_scale": [0.1, 0.35], "tool_speed": [0.1, 0.35]},
        "fitted": fitted,
        "fitted_chains": {**fitted, "families": {"via_points": 1.0}},
    }
    whole = {"robot": "panda", "count": rows, "rate_hz": summary.rate_hz}
    return {name: TrajectoryRequest.parse({**whole, **body}) for name, body in bodies.items()}


def windows_of(request: TrajectoryRequest, horizon: int) -> tuple[Windows, float]:
    """A window of each of the request's rows, and how many rows a second of one core made."""
    began = time.process_time()
    table = synthesize(ShardPlan(request, 0, 0, request.count)).table
    rate = request.count / (time.process_time() - began)
    return cut_windows(read_rows(table, robot_spec(request).dof), horizon), rate


def measure(summary: DemonstrationSummary, rows: int) -> dict[str, float]:
    """The figures of one summary whose demonstrations are partly held out."""
    made = requests(summary, rows)
    ranges = action_range(made["joint_space"])["position"]
    scales = {
        "": summary,
        "_wide_scale": dataclasses.replace(summary, position_range=np.array([ranges["min"], ranges["max"]])),
    }
    figures: dict[str, float] = {}
    samples = {"demonstrations": summary.fitted_windows}
    for name, request in made.items():
        samples[name], figures[f"{name}_rows_per_cpu_s"] = windows_of(request, summary.horizon)
    for name, windows in samples.items():
        for suffix, scale in scales.items():
            found = window_distances(windows, scale.held_out_windows, scale)
            assert found is not None, "two demonstrations on either side at least"
            figures |= _figures(f"{name}_distance{suffix}", found[ASPECTS[0]])
            if not suffix:
                figures |= {f"{name}_{aspect}_distance": found[aspect].value for aspect in ASPECTS[1:]}
    for suffix in scales:
        figures[f"fitted_over_joint_space{suffix}"] = (
            figures[f"fitted_distance{suffix}"] / figures[f"joint_space_distance{suffix}"]
        )
    return {key: round(value, 3) for key, value in figures.items()}


def _figures(name: str, distance: Distance) -> dict[str, float]:
    return {name: distance.value, f"{name}_low": distance.low, f"{name}_high": distance.high}


def main() -> None:
    """Collects, measures, and prints one JSON object on the last line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--demonstrations", type=int, default=50, help="to fit to, and as many held out (default 50)")
    parser.add_argument("--rows", type=int, default=WINDOWS, help=f"of each dataset (default {WINDOWS})")
    parser.add_argument("--keep", type=Path, help="folder for the demonstrations; those that are there are used")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="headstart-fit-") as temporary:
        path = (options.keep or Path(temporary)) / f"stack-{2 * options.demonstrations}.hdf5"
        began = time.perf_counter()
        collect("stack", path, first_seed=0, successes=2 * options.demonstrations)
        print(f"{path.name}: {time.perf_counter() - began:.0f} s", flush=True)
        summary = summarize(read_demonstrations(path), held_out=0.5, windows=512)
    print(
        json.dumps({"demonstrations": summary.demonstrations, "rows": options.rows, **measure(summary, options.rows)})
    )


if __name__ == "__main__":
    main()
