"""The same copies on every engine, and after kills: content hashes, for several arms.

    python -m benchmarks.copies_kills [--rows N] [--kills N] [--robots NAME,NAME] [--motions FILE]

Each arm's copies are made inline first. Then a pool of processes makes them, and Ray; and a service with Ray, whose
API, workers and Ray's head are killed as in benchmarks.service_kills, each N times for each arm. A shard whose content
is another than at first is in `differ`: none is to be. The last line is JSON.
"""

import argparse
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

from benchmarks._bars import Bar, conclude
from benchmarks.copies_audit import ROBOTS, request
from benchmarks.service_kills import VICTIMS, Bench, undisturbed
from services.engine import ENGINES, Engine, open_engine
from services.jobs import begin, make_dataset
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.demonstrated_motions import DemonstratedMotions
from shared.motions_file import read_motions
from tests.stacking import motions as made_up

SHARDS = 50
WRONG = ("differ", "failed", "lost", "doubled", "orphans")
BARS: dict[str, Bar] = {name: ("==", 0) for name in WRONG}


class Asked(NamedTuple):
    """What is asked for one arm, and the content hashes of its shards, made inline."""

    body: dict[str, Any]
    expected: list[str]


def asked(robot: str, rows: int, seed: int, motions: DemonstratedMotions, folder: Path) -> Asked:
    """Copies with sizes, in SHARDS shards or fewer."""
    body = request(robot, rows, seed, motions, sized=True) | {"shard_rows": -(-rows // SHARDS)}
    body["workspace"] |= {"motions": motions.content_sha256}
    return Asked(body, undisturbed(body, folder / robot, motions))


def differing(engine: Engine, arms: list[Asked], motions: DemonstratedMotions, folder: Path) -> int:
    """How many shards another engine makes otherwise."""
    differ = 0
    for arm in arms:
        parsed = TrajectoryRequest.parse(arm.body, motions={motions.content_sha256: motions}.get)
        dataset = begin(parsed, folder / f"{engine.name}-{parsed.robot}")
        assert make_dataset(parsed, dataset, engine)
        made = [commit.content_sha256 for commit in dataset.commits()]
        wrong = sum(a != b for a, b in zip(made, arm.expected, strict=True))
        print(f"{parsed.robot}, {engine.name}: {wrong} of {len(made)} differ", flush=True)
        differ += wrong
    return differ


def killed(arms: list[Asked], kills: int, motions: DemonstratedMotions, folder: Path) -> Counter[str]:
    """What a service says of the same requests while its parts are killed."""
    bench = Bench(folder, "ray", *arms[0], seed=0, motions=motions)
    try:
        for number, arm in enumerate(arms):
            bench.ask(*arm)
            for victim in VICTIMS:
                bench.run(victim, kills * (number + 1))
            print(f"{arm.body['robot']}, service with Ray: {dict(bench.counts)} so far", flush=True)
    finally:
        bench.close()
    return bench.counts


def main() -> int:
    """Makes and kills, and prints one JSON object on the last line. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.copies_kills", description=__doc__)
    parser.add_argument("--rows", type=int, default=500, metavar="N", help="of each arm (default: 500)")
    parser.add_argument("--kills", type=int, default=1, metavar="N", help="of each engine and part (default: 1)")
    parser.add_argument("--robots", default=",".join(ROBOTS), help=f"between commas (default: {','.join(ROBOTS)})")
    parser.add_argument("--motions", type=Path, metavar="FILE", help="motions file; made up without one")
    options = parser.parse_args()
    motions = made_up(25) if options.motions is None else read_motions(options.motions)
    report = dict[str, Any](rows=options.rows)
    with tempfile.TemporaryDirectory(prefix="headstart-kills-") as name:
        folder, robots = Path(name), options.robots.split(",")
        arms = [asked(robot, options.rows, seed, motions, folder) for seed, robot in enumerate(robots)]
        report |= {"robots": options.robots, "shards": sum(len(arm.expected) for arm in arms), "differ": 0}
        # Ray first: where it can't start, that is said at once.
        for engine_name in reversed(ENGINES):
            engine = open_engine(engine_name)
            try:
                report["differ"] += differing(engine, arms, motions, folder)
            finally:
                engine.close()
        counts = killed(arms, options.kills, motions, folder)
    report |= {"engines": ", ".join(ENGINES), "jobs_with_kills": counts["jobs"]}
    report |= {f"kills_{victim}": counts[victim] for victim in VICTIMS}
    report |= {name: counts[name] + report.get(name, 0) for name in WRONG}
    return conclude(report, BARS)


if __name__ == "__main__":
    sys.exit(main())
