"""Many copies of demonstrations for several arms: the audit of every row, and a walk along every motion that is stored.

    python -m benchmarks.copies_audit [--rows N[,N...]] [--minutes N] [--held-rows N] [--dense N] [--coarse]
        [--robots NAME,NAME] [--motions FILE] [--out DIR]

The copies keep out of the table on which the objects lie, and have profile columns. Further ones of each arm say how
large the objects are, so that what is held is kept clear, too. Shard by shard, the arms in turn, rows are made, audited
as by `services audit`, and walked: the cubic pieces of their profiles are evaluated, every 4 ms of the first --dense
rows of each shard and with --coarse every 100 ms of the others, links are placed by Pinocchio, and Coal says what
overlaps (benchmarks._dense_walk). Neither violations nor `colliding` moments are to be found. All in one process.

Without a file the motions are made up, as in benchmarks.copies. With --out what was done stays, and a run that was
stopped, or whose --minutes were over, goes on. The last line is JSON, of all that was done so far.
"""

import argparse
import functools
import hashlib
import itertools
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks._dense_walk import DenseWalk, Found
from benchmarks.keep_outs import PIECES, positions
from services.audit.pinocchio_model import open_kinematics
from services.audit.shard import ShardAudit
from services.catalogue import arm_of
from services.commands.generate import parse_request
from services.engine import InlineEngine
from services.jobs import begin, make_dataset
from shared.demonstrated_motions import DemonstratedMotions
from shared.manifest import Commit
from shared.motions_file import read_motions, write_motions
from tests.stacking import motions as made_up

FloatArray = NDArray[np.float64]

ROBOTS = ("panda", "ur5", "ur10")
SIDES = {"cube_a": 0.04, "cube_b": 0.05, "cube_c": 0.04, "block": 0.04, "base": 0.05}
"""Of the cubes of Stack and Stack Three, and of the blocks that are made up [m]."""
FINE_S, COARSE_S = 0.004, 0.1
"""From one look at a motion to the next, in some rows and in the others."""
Done = dict[str, Any]
"""What came out of a shard, or of many."""


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


class Copies:
    """The dataset of one request: shards made, audited and walked, each once."""

    def __init__(self, name: str, body: dict[str, Any], motions: Path, data: Path, dense: int, is_coarse: bool) -> None:
        """In a folder `data`, beside which figures are kept. Of each shard `dense` rows are looked at every FINE_S, and
        with `is_coarse` the others every COARSE_S."""
        self.name, self._dense, self._is_coarse = name, dense, is_coarse
        self._request = parse_request(body, Path(), motions=motions)
        self.dataset = begin(self._request, data)
        self._figures = data.with_name(f"{data.name}.jsonl")
        done = self._figures.read_text().splitlines() if self._figures.exists() else []
        self.done: list[Done] = [json.loads(line) for line in done]

    @property
    def is_done(self) -> bool:
        """Whether every shard is."""
        return len(self.done) == self.dataset.header.shards

    def go_on(self) -> None:
        """The next shard."""
        index = len(self.done)
        if self.dataset.commit(index) is None:
            make_dataset(self._request, self.dataset, InlineEngine(), should_stop=lambda: self._is_made(index))
        commit = self.dataset.commit(index)
        assert commit is not None
        found = self._audited(commit) | self._walked(commit) | {"attempts": commit.attempts}
        self.done.append({**found, "rejected": commit.rejections})
        with self._figures.open("a") as file:
            file.write(json.dumps(self.done[-1]) + "\n")
        if self.is_done:
            self.dataset.set_state("sealed")

    def _is_made(self, index: int) -> bool:
        return self.dataset.commit(index) is not None

    def _audited(self, commit: Commit) -> Done:
        report = self._audit.check(commit, np.ones(commit.rows, np.bool_))
        if commit.index == 0:
            open_kinematics(report, self.dataset)
        found = report.to_json()
        return {
            "rows": found["rows_in_motion"],
            "samples": found["samples"],
            "violations": found["violations"],
            "checks": {one["name"]: [one["checked"], one["violations"], one["worst"]] for one in found["checks"]},
        }

    def _walked(self, commit: Commit) -> Done:
        whole, walked = Found(), commit.rows if self._is_coarse else min(self._dense, commit.rows)
        profiles = profiles_of_rows(self.dataset.read_shard(commit), self.dataset.header.robot.dof)
        for row, profile in enumerate(itertools.islice(profiles, walked)):
            whole.add(self._around.walk(positions(*profile, FINE_S if row < self._dense else COARSE_S)))
        return {"walked": walked, "dense": min(self._dense, walked), **asdict(whole), "least": whole.least}

    @functools.cached_property
    def _audit(self) -> ShardAudit:
        return ShardAudit(self.dataset)

    @functools.cached_property
    def _around(self) -> DenseWalk:
        robot, request = self.dataset.header.robot, self.dataset.header.request
        return DenseWalk(arm_of(robot.name, self.dataset.storage), list(robot.joint_names), request["keep_out"])

    def report(self) -> Done:
        """Of all shards together."""
        found: Done = {"asked": self._request.count}
        for key in ("rows", "attempts", "samples", "violations", "walked", "dense", "moments", "looks", "colliding"):
            found[key] = sum(one[key] for one in self.done)
        for key in ("rejected", "pairs"):
            found[key] = _summed([one[key] for one in self.done])
        found["least_mm"] = round(1e3 * min((one["least"] for one in self.done), default=np.inf), 3)
        found["checks"] = {}
        for one in self.done:
            for name, (checked, violations, worst) in one["checks"].items():
                before = found["checks"].get(name, [0, 0, None])
                worse = max((value for value in (worst, before[2]) if value is not None), default=None)
                found["checks"][name] = [before[0] + checked, before[1] + violations, worse]
        return found


def _summed(counts: list[dict[str, int]]) -> dict[str, int]:
    """Of each key the sum, the greatest first."""
    whole: Counter[str] = Counter()
    for one in counts:
        whole.update(one)
    return dict(whole.most_common())


def profiles_of_rows(table: pa.Table, dof: int) -> Iterator[tuple[FloatArray, FloatArray, FloatArray]]:
    """Of each row of a shard where its joints start (dof,), and durations and jerks of its pieces (S, dof, PIECES)."""
    lists = [table.column(name).combine_chunks() for name in ("joint_position", "profile_time", "profile_jerk")]
    for row in range(table.num_rows):
        q, time_s, jerk = (column[row].values.to_numpy().astype(np.float64) for column in lists)
        yield q[:dof], time_s.reshape(-1, dof, PIECES), jerk.reshape(-1, dof, PIECES)


def planned(options: argparse.Namespace, folder: Path) -> list[Copies]:
    """Everything that is asked for."""
    path = options.motions or folder / "motions.parquet"
    if options.motions is None:
        write_motions(made_up(25), path)
    motions, robots = read_motions(path), options.robots.split(",")
    rows, every = numbers(options.rows, len(robots)), []
    for sized in (False, True) if options.held_rows else (False,):
        for seed, robot in enumerate(robots):
            body = request(robot, options.held_rows if sized else rows[seed], seed, motions, sized)
            said = hashlib.sha256(json.dumps([body, motions.content_sha256]).encode()).hexdigest()
            name = f"{robot}, held" if sized else robot
            every.append(Copies(name, body, path, folder / f"{robot}-{said[:12]}", options.dense, options.coarse))
    return every


def numbers(said: str, count: int) -> list[int]:
    """One number for all, or so many between commas."""
    each = [int(number) for number in said.split(",")]
    return each * count if len(each) == 1 else each


def main() -> int:
    """Prints one JSON object on the last line; 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.copies_audit", description=__doc__)
    parser.add_argument("--rows", default="1000", metavar="N", help="of each arm, or of one each between commas (1000)")
    parser.add_argument("--minutes", type=float, default=np.inf, metavar="N", help="then it stops (default: never)")
    parser.add_argument("--held-rows", type=int, default=100, metavar="N", help="with sizes, of each arm (100)")
    parser.add_argument("--dense", type=int, default=32, metavar="N", help="rows of a shard, every 4 ms (default: 32)")
    parser.add_argument("--coarse", action="store_true", help="the other rows of a shard, every 100 ms")
    parser.add_argument("--robots", default=",".join(ROBOTS), help=f"between commas (default: {','.join(ROBOTS)})")
    parser.add_argument("--motions", type=Path, metavar="FILE", help="motions file; made up without one")
    parser.add_argument("--out", type=Path, metavar="DIR", help="keeps datasets and figures (default: none is kept)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="headstart-copies-") as temporary:
        folder = options.out or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        every, began = planned(options, folder), time.monotonic()
        while left := [copies for copies in every if not copies.is_done]:
            for copies in left:
                if time.monotonic() - began > 60 * options.minutes:
                    break
                copies.go_on()
                short = {key: value for key, value in copies.report().items() if key != "checks"}
                print(f"{copies.name}: {short}", flush=True)
            else:
                continue
            break
    report = {copies.name: copies.report() for copies in every}
    print(json.dumps(report))
    return 1 if any(found["violations"] or found["colliding"] for found in report.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
