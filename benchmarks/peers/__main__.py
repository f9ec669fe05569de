"""Ours beside roboplan, eaik, frankik, ssik and toppra, side by side on one core.

    pip install -e '.[peers]'
    python -m benchmarks.peers [--turns N]

Contenders take turns within one run; rates and times are medians over the turns, ratios medians of the ratios within a
turn. What each does, and what not:

- `open`, `one_box`, `five_boxes`: rows a second of a Panda at 20 Hz that goes at half speed from rest at a random
  configuration to rest at another, apart from itself and from boxes. Ours is synthesize() and Dataset.publish(): limits
  and collisions checked at every moment of the motion that is written, links kept 5 mm apart and 2 mm from boxes, rows
  written to disk and committed. roboplan's are edges in joint space whose ends are free, checked each 0.05 rad in
  bisection order, timed by Ruckig so that they keep to the edge, and sampled; nothing is written. roboplan checks the
  meshes, ours their convex hulls. `colliding` is the share of accepted motions that, looked at every 5 ms, have a
  posture which roboplan finds colliding: both judged by its check.
- `together`, `alone`: inverse kinematics of tool poses of random configurations, all in a call or one a call.
  `solved` is the share with an answer inside the joint limits and within 1e-5 m and 1e-5 rad by Pinocchio. Ours is
  numerical and answers with one configuration; the peers are closed forms, exact to rounding. Of the Panda's seven
  joints the last is locked at 9 values, one after another, for eaik, and frankik tries 20; ssik finds its range. eaik
  doesn't know limits: the first of its answers inside them is taken. frankik is for Frankas alone.
- `profiles`: motions timed a second, straight in joint space from rest to rest at full speed. Ours limits velocity,
  acceleration and jerk, and knows no other path; toppra limits velocity and acceleration, not jerk, along any path.
  `duration` is that of our motions by that of toppra's.
"""

import argparse
import importlib.util
import json
import os
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pyarrow as pa

from benchmarks._bars import Bar, judge
from benchmarks.peers.scenes import SCENES
from services.catalogue import find_arm
from services.memory import keep_memory
from services.synthesis.arm.robot_model import robot_model

PEERS = ("eaik", "frankik", "roboplan", "ssik", "toppra")
ASKED: dict[str, Bar] = {
    "open_ours_over_roboplan": (">=", 4.5),
    "one_box_ours_over_roboplan": (">=", 3.0),
    "five_boxes_ours_over_roboplan": (">=", 2.0),
}


def check_installed() -> None:
    """Exits with one line if a peer is missing."""
    if missing := [name for name in PEERS if importlib.util.find_spec(name) is None]:
        raise SystemExit(f"benchmarks.peers needs {', '.join(missing)}: pip install -e '.[peers]'")


def main() -> None:
    """Measures everything and prints one JSON object on the last line."""
    parser = argparse.ArgumentParser(description="ours beside other libraries of the field")
    parser.add_argument("--turns", type=int, default=7, help="turns of each contender (default 7)")
    turns = parser.parse_args().turns
    check_installed()
    from benchmarks.peers import edges, inverse_kinematics, timing

    # As workers do.
    keep_memory()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    panda, ur5 = (robot_model(find_arm(name)) for name in ("panda", "ur5"))
    report: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="headstart-bench-") as folder:
        for name in SCENES:
            report |= edges.measure(panda, name, turns, Path(folder))
    for robot in (panda, ur5):
        report |= inverse_kinematics.measure(robot, turns)
    report |= timing.measure(panda, turns)
    report = {name: round(value, 4) for name, value in report.items()}
    judge(report, ASKED)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
