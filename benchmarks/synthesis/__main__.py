"""Trajectories per second: the documentation's loop, the bare library calls, and ours on disk, side by side.

    python -m benchmarks.synthesis [--turns N]

All of it is a Panda at 20 Hz. Contenders take turns within one run; rates are medians over the turns, ratios are
medians of the ratios within a turn; ratios by CPU time are for machines that others use too. On one core:

- documented loop: for each trajectory closed-loop inverse kinematics as Pinocchio's documentation writes it (damping
  1e-6, tolerance 1e-4, at most 100 iterations, at most 10 random restarts), one Ruckig profile, and forward
  kinematics for each sample. Nothing is checked or written.
- floor: only the library calls that can't be avoided, on data prepared beforehand: one Ruckig calculate, four
  iterations' Jacobian and forward kinematics, one at_time and one forward kinematics for each sample.
- ours: synthesize() and Dataset.publish(): IK to 1e-5 m and 1e-5 rad, checked rows, committed shards on disk.

These three go from rest at a random configuration to rest at a `reachable` pose at half of the datasheet's speed,
without a collision check. The default mix is what a request asks for that says no more than robot, count and a table
(as a keep-out, the base standing on it): point_to_point and via_points in joint space, speed scales 0.1 to 1, dwells,
and self-collision checked. Its floor makes the same profiles and samples (one calculate a segment, one at_time and one
forward kinematics a sample; joint space needs no IK), and checks nothing. Attempts are whole candidates, redraws ends
of theirs that were drawn anew, since they were not free or the motion to them was not.

Two workers make one request of that mix, against two independent runs of one worker each, side by side.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
# As `python -m services` and its workers have it (services.memory.use_one_allocator); Arrow looks when it is imported.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")

import pyarrow as pa

from benchmarks.synthesis.library_calls import LibraryCalls, documented_loop, reachable_floor
from benchmarks.synthesis.mix import mix_floor, mix_segments
from benchmarks.synthesis.ours import Ours
from benchmarks.synthesis.start_up import start_up_seconds
from benchmarks.synthesis.turns import Contender, cpu_ratio, ratio, take_turns
from benchmarks.synthesis.workers import worker_contenders
from services.catalogue import find_arm
from services.memory import keep_memory
from services.synthesis.arm.robot_model import robot_model

SHARD_ROWS, MIX_SHARD_ROWS = 4096, 1024
REACHABLE: dict[str, Any] = {
    "robot": "panda",
    "families": {"point_to_point": 1.0},
    "workspace": {"kind": "reachable"},
    "speed_scale": [0.5, 0.5],
    "self_collision": False,
    "shard_rows": SHARD_ROWS,
}
MIX: dict[str, Any] = {
    "robot": "panda",
    "keep_out": [{"kind": "half_space", "normal": [0, 0, 1], "offset": 0.0}],
    "shard_rows": MIX_SHARD_ROWS,
}


def on_one_core(turns: int, root: Path) -> dict[str, float]:
    """The three of the fixed setting, and the default mix beside its floor."""
    calls = LibraryCalls(robot_model(find_arm("panda")))
    fixed, mix = Ours(REACHABLE, turns, root / "reachable"), Ours(MIX, turns, root / "mix")
    rows = mix_segments(mix.request)
    contenders = [
        Contender("documented_loop", lambda turn: documented_loop(calls, turn)),
        Contender("floor", lambda turn: reachable_floor(calls, turn)),
        Contender("ours", fixed.make),
        Contender("mix_floor", lambda turn: mix_floor(calls, rows)),
        Contender("mix", mix.make),
    ]
    take_turns(contenders, turns)
    loop, floor, ours, floor_of_mix, whole_mix = contenders
    return {
        **{f"{contender.name}_per_s": contender.rate for contender in contenders},
        "ours_over_floor": ratio(ours, floor),
        "ours_over_documented_loop": ratio(ours, loop),
        "mix_over_floor": ratio(whole_mix, floor_of_mix),
        "ours_over_floor_by_cpu_time": cpu_ratio(ours, floor),
        "ours_over_documented_loop_by_cpu_time": cpu_ratio(ours, loop),
        "mix_over_floor_by_cpu_time": cpu_ratio(whole_mix, floor_of_mix),
        **{f"{contender.name}_samples_per_row": contender.samples_per_row for contender in contenders},
        "mix_attempts_per_row": mix.attempts / mix.rows,
        "mix_redraws_per_row": mix.redraws / mix.rows,
    }


def main() -> None:
    """Runs everything and prints one JSON object on the last line."""
    parser = argparse.ArgumentParser(description="trajectories per second, side by side")
    parser.add_argument("--turns", type=int, default=21, help="turns of each contender (default 21)")
    turns = parser.parse_args().turns
    report = start_up_seconds(MIX)
    print(f"start-up of a process up to its first rows: {report}", flush=True)
    # As workers do.
    keep_memory()
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    with tempfile.TemporaryDirectory(prefix="headstart-bench-") as folder:
        report |= on_one_core(turns, Path(folder))
        os.sched_setaffinity(0, cores)
        with worker_contenders(MIX, Path(folder) / "workers") as (together, apart, alone):
            take_turns([together, apart, alone], -(-turns // 3))
    report |= {f"{contender.name}_per_s": contender.rate for contender in (together, apart, alone)}
    report["two_workers_over_two_runs"] = ratio(together, apart)
    report["two_workers_over_one"] = ratio(together, alone)
    report["cores"] = len(cores)
    print(json.dumps({name: round(value, 3) for name, value in report.items()}))


if __name__ == "__main__":
    main()
