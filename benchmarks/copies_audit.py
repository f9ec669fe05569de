"""Many copies of demonstrations for several arms: the audit of every row, and a walk along every motion that is stored.

    python -m benchmarks.copies_audit [--rows N[,N...]] [--stop-after N[,N...]] [--held-rows N] [--dense-rows N]
        [--robots NAME,NAME] [--motions FILE] [--out DIR]

The copies keep out of the table on which the objects lie, and have profile columns. Further ones of each arm say how
large the objects are, so that what is held is kept clear, too. All are made and audited by the commands, in one
process. Then the cubic pieces of each profile are evaluated, every 4 ms of some rows and every 40 ms of the others,
links are placed by Pinocchio, and Coal says what overlaps (benchmarks._dense_walk): `colliding` moments are to be none.
Without a file the motions are made up, as in benchmarks.copies; with --out what was done stays, and a run that was
stopped goes on. With --stop-after the first so many of the rows are made, by whole shards, and looked at; without it,
later, the others are. The last line is JSON.
"""

import argparse
import contextlib
import hashlib
import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks._dense_walk import DenseWalk, Found
from benchmarks.keep_outs import PIECES, positions
from services.__main__ import main as services
from services.catalogue import arm_of
from services.commands.generate import parse_request
from services.engine import InlineEngine
from services.jobs import Tally, begin, make_dataset
from shared.dataset import Dataset
from shared.demonstrated_motions import DemonstratedMotions
from shared.manifest import Commit
from shared.motions_file import read_motions, write_motions
from tests.stacking import motions as made_up

FloatArray = NDArray[np.float64]

ROBOTS = ("panda", "ur5", "ur10")
SIDES = {"cube_a": 0.04, "cube_b": 0.05, "cube_c": 0.04, "block": 0.04, "base": 0.05}
"""Of the cubes of Stack and Stack Three, and of the blocks that are made up [m]."""
FINE_S, COARSE_S = 0.004, 0.04
"""From one look at a motion to the next, in some rows and in the others."""


class Plan(NamedTuple):
    """Copies for one arm: what is asked, of which motions, how many of the rows are made at least, and how many are
    looked at every 4 ms."""

    body: dict[str, Any]
    motions: Path
    stop_after: int
    dense_rows: int
    data: Path


def request(robot: str, rows: int, seed: int, motions: DemonstratedMotions, sized: bool) -> dict[str, Any]:
    """What is asked for one arm, with the sizes of the objects or without.

    The table is where the lowest object stands.
    """
    names = [thing.name for thing in motions.objects]
    sides = {name: SIDES[name] for name in names if name in SIDES}
    lowest = min(
        float(poses.position[0, 2]) - sides.get(name, 0.0) / 2
        for motion in motions.motions
        for name, poses in zip(names, motion.objects, strict=True)
    )
    table = {"kind": "half_space", "normal": [0, 0, 1], "offset": round(lowest, 3)}
    objects = {name: {"size": [side] * 3} for name, side in sides.items()} if sized else {}
    return {
        "robot": robot,
        "count": rows,
        "seed": seed,
        "rate_hz": motions.rate_hz,
        "workspace": {"kind": "objects", "objects": objects},
        "keep_out": [table],
        "columns": ["profile_time", "profile_jerk"],
    }


def make(plan: Plan) -> dict[str, Any]:
    """Makes a dataset, or goes on with it. Returns what it took, and the share of candidates that was rejected."""
    began, asked = time.process_time(), parse_request(plan.body, Path(), motions=plan.motions)
    dataset, made = begin(asked, plan.data), 0

    def note(tally: Tally, commit: Commit | None) -> None:
        nonlocal made
        if commit is None or commit.index % 16 == 0:
            print(f"{plan.data.name}: {tally.progress.accepted} rows", flush=True)
        made = tally.progress.accepted

    if make_dataset(asked, dataset, InlineEngine(), on_progress=note, should_stop=lambda: made >= plan.stop_after):
        dataset.set_state("sealed")
    totals = dataset.totals()
    rejected = {reason: round(count / totals.attempts, 4) for reason, count in sorted(totals.rejections.items())}
    return {
        "asked": plan.body["count"],
        "rows": totals.rows,
        "samples": totals.samples,
        "attempts": totals.attempts,
        "rejected": rejected,
        "generate_cpu_s": round(time.process_time() - began),
    }


def audit(plan: Plan) -> dict[str, Any]:
    """What the command finds: of each check what was checked, violations and the worst."""
    began, printed = time.process_time(), io.StringIO()
    with contextlib.redirect_stdout(printed):
        services(["audit", "--json", "--workers", "1", str(plan.data)])
    found = json.loads(printed.getvalue())
    return {
        "audited_rows": found["rows_in_motion"],
        "violations": found["violations"],
        "audit_cpu_s": round(time.process_time() - began),
        "checks": {check["name"]: [check["checked"], check["violations"], check["worst"]] for check in found["checks"]},
    }


def walk(plan: Plan) -> dict[str, Any]:
    """Every motion of a dataset: of some rows, spread over all, every FINE_S, of the others every COARSE_S."""
    dataset, began = Dataset(plan.data), time.process_time()
    header = dataset.header
    arm = arm_of(header.robot.name, dataset.storage)
    around = DenseWalk(arm, list(header.robot.joint_names), header.request["keep_out"])
    whole, rows, commits = Found(), 0, list(dataset.commits())
    spread = max(1, dataset.totals().rows // max(plan.dense_rows, 1))
    for number, commit in enumerate(commits):
        for profile in profiles_of_rows(dataset.read_shard(commit), header.robot.dof):
            dense = rows % spread == 0 and rows // spread < plan.dense_rows
            whole.add(around.walk(positions(*profile, FINE_S if dense else COARSE_S)))
            rows += 1
        if number % 16 == 0:
            print(f"{plan.data.name}: walked {number + 1} of {len(commits)} shards, {whole}", flush=True)
    found = asdict(whole)
    least, taken = round(1e3 * found.pop("least"), 3), round(time.process_time() - began)
    dense_rows = min(plan.dense_rows, -(-rows // spread))
    counts = {"walked_rows": rows, "dense_rows": dense_rows, "pairs_of_shapes": len(around.pairs)}
    return {**counts, **found, "least_mm": least, "walk_cpu_s": taken}


def profiles_of_rows(table: pa.Table, dof: int) -> Iterator[tuple[FloatArray, FloatArray, FloatArray]]:
    """Of each row of a shard where its joints start (dof,), and durations and jerks of its pieces (S, dof, PIECES)."""
    lists = [table.column(name).combine_chunks() for name in ("joint_position", "profile_time", "profile_jerk")]
    for row in range(table.num_rows):
        q, time_s, jerk = (column[row].values.to_numpy().astype(np.float64) for column in lists)
        yield q[:dof], time_s.reshape(-1, dof, PIECES), jerk.reshape(-1, dof, PIECES)


PARTS: dict[str, Callable[[Plan], dict[str, Any]]] = {"made": make, "audited": audit, "walked": walk}


def measure(plans: dict[str, Plan]) -> dict[str, dict[str, Any]]:
    """Every part of every plan, each once: what came out is kept beside the dataset."""
    report: dict[str, dict[str, Any]] = {name: {} for name in plans}
    for part, run in PARTS.items():
        for name, plan in plans.items():
            kept = plan.data.with_name(f"{plan.data.name}.{plan.stop_after}.{part}.json")
            if not kept.exists():
                kept.write_text(json.dumps(run(plan)))
            figures = json.loads(kept.read_text())
            report[name] |= figures
            print(f"{name}, {part}: { {key: figures[key] for key in figures if key != 'checks'} }", flush=True)
    return report


def planned(options: argparse.Namespace, folder: Path) -> dict[str, Plan]:
    """What is to be made, by name."""
    path = options.motions or folder / "motions.parquet"
    if options.motions is None:
        write_motions(made_up(25), path)
    motions, robots = read_motions(path), options.robots.split(",")
    rows, stops = numbers(options.rows, len(robots)), numbers(options.stop_after or options.rows, len(robots))
    plans = {}
    for sized in (False, True) if options.held_rows else (False,):
        for seed, robot in enumerate(robots):
            count = options.held_rows if sized else rows[seed]
            body = request(robot, count, seed, motions, sized)
            said = hashlib.sha256(json.dumps([body, motions.content_sha256]).encode()).hexdigest()
            plan = Plan(
                body,
                path,
                stop_after=count if sized else min(stops[seed], count),
                dense_rows=0 if sized else options.dense_rows,
                data=folder / f"{robot}-{said[:12]}",
            )
            plans[f"{robot}, held" if sized else robot] = plan
    return plans


def numbers(said: str, count: int) -> list[int]:
    """One number for all, or so many between commas."""
    each = [int(number) for number in said.split(",")]
    return each * count if len(each) == 1 else each


def main() -> int:
    """Prints one JSON object on the last line; 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.copies_audit", description=__doc__)
    parser.add_argument("--rows", default="1000", metavar="N", help="of each arm, or of one each between commas (1000)")
    parser.add_argument("--stop-after", metavar="N", help="so many of them now, likewise (default: all)")
    parser.add_argument("--held-rows", type=int, default=100, metavar="N", help="with sizes, of each arm (100)")
    parser.add_argument("--dense-rows", type=int, default=1000, metavar="N", help="every 4 ms, of each arm (1000)")
    parser.add_argument("--robots", default=",".join(ROBOTS), help=f"between commas (default: {','.join(ROBOTS)})")
    parser.add_argument("--motions", type=Path, metavar="FILE", help="motions file; made up without one")
    parser.add_argument("--out", type=Path, metavar="DIR", help="keeps datasets and figures (default: none is kept)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="headstart-copies-") as temporary:
        folder = options.out or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        report = measure(planned(options, folder))
    print(json.dumps(report))
    return 1 if any(found["violations"] or found["colliding"] for found in report.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
