"""The same copies on every engine, and after kills: content hashes, for several arms.

    python -m benchmarks.copies_kills [--rows N] [--kills N] [--robots NAME,NAME] [--motions FILE]

Each arm's copies are made inline, undisturbed. Then `services generate` makes them with each engine: once undisturbed,
and once killed (SIGKILL, its processes too) after some shards, begun again, and so on until it has been killed N times
and is done. And a service makes them whose API, workers and Ray's head are killed as in benchmarks.service_kills. A
shard whose content is another than at first is in `differ`: none is to be. The last line is JSON.
"""

import argparse
import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import psutil

from benchmarks._bars import Bar, conclude
from benchmarks.copies_audit import ROBOTS, request
from benchmarks.service_kills import VICTIMS, Bench, undisturbed
from services.engine import ENGINES
from shared.dataset import Dataset
from shared.demonstrated_motions import DemonstratedMotions
from shared.motions_file import read_motions, write_motions
from tests.stacking import motions as made_up

SHARDS = 50
_DEADLINE_S = 900.0
_GONE_S = 30.0
WRONG = ("differ", "failed", "lost", "doubled", "orphans")
BARS: dict[str, Bar] = {name: ("==", 0) for name in WRONG}


class CommandLine:
    """`services generate` of one request, with files in a folder."""

    def __init__(self, folder: Path, body: dict[str, Any], motions: Path, expected: list[str]) -> None:
        self._folder, self._motions, self._expected = folder, motions, expected
        self._request = folder / "request.json"
        self._request.write_text(json.dumps(body))

    def differing(self, engine: str, kills: int, seed: int) -> int:
        """How many shards are others than expected, after so many kills at random moments of the way."""
        out, draw = self._folder / f"{engine}-{kills}", random.Random(seed)
        for after in sorted(draw.sample(range(1, len(self._expected) - 1), kills)):
            self._run(engine, out, until=after)
        self._run(engine, out)
        made = [commit.content_sha256 for commit in Dataset(out).commits()]
        return sum(a != b for a, b in zip(made, self._expected, strict=True))

    def _run(self, engine: str, out: Path, until: int | None = None) -> None:
        """The command to its end, or until so many shards are there, and then killed with all that it has started."""
        given = ["--request", str(self._request), "--motions", str(self._motions), "--out", str(out)]
        command = [sys.executable, "-W", "ignore", "-m", "services", "generate", "--engine", engine, *given]
        log = self._folder / "log"
        with log.open("ab") as file, subprocess.Popen(command, stdout=file, stderr=file) as process:
            began = time.monotonic()
            while process.poll() is None:
                assert time.monotonic() - began < _DEADLINE_S, log.read_text()
                if until is not None and len(list((out / "shards").glob("*.parquet"))) >= until:
                    below = psutil.Process(process.pid).children(recursive=True)
                    process.kill()
                    for child in below:
                        with contextlib.suppress(psutil.NoSuchProcess):
                            child.kill()
                    psutil.wait_procs(below, timeout=_GONE_S)
                    return
                time.sleep(0.02)
        if process.returncode:
            raise SystemExit(log.read_text())


def measure(body: dict[str, Any], motions: DemonstratedMotions, kills: int, folder: Path) -> dict[str, int]:
    """One arm's copies, in every way. Returns counts."""
    expected, path = undisturbed(body, folder, motions), folder / "motions.parquet"
    write_motions(motions, path)
    command, counts = CommandLine(folder, body, path, expected), dict.fromkeys(("runs", "kills", *WRONG), 0)
    for number, engine in enumerate(ENGINES):
        for times in (0, kills):
            differ = command.differing(engine, times, number)
            print(f"{body['robot']}, {engine}, killed {times} times: {differ} of {len(expected)} differ", flush=True)
            counts["runs"], counts["kills"] = counts["runs"] + 1, counts["kills"] + times
            counts["differ"] += differ
    bench = Bench(folder, "ray", body, expected, 0, motions)
    try:
        for victim in VICTIMS:
            bench.run(victim, kills)
    finally:
        bench.close()
    found = bench.counts
    print(f"{body['robot']}, service with Ray: {dict(found)}", flush=True)
    counts["runs"], counts["kills"] = counts["runs"] + found["jobs"], counts["kills"] + sum(found[v] for v in VICTIMS)
    return {name: count + (found[name] if name in WRONG else 0) for name, count in counts.items()}


def main() -> int:
    """Makes and kills, and prints one JSON object on the last line. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.copies_kills", description=__doc__)
    parser.add_argument("--rows", type=int, default=500, metavar="N", help="of each arm (default: 500)")
    parser.add_argument("--kills", type=int, default=1, metavar="N", help="of each engine and part (default: 1)")
    parser.add_argument("--robots", default=",".join(ROBOTS), help=f"between commas (default: {','.join(ROBOTS)})")
    parser.add_argument("--motions", type=Path, metavar="FILE", help="motions file; made up without one")
    options = parser.parse_args()
    motions = made_up(25) if options.motions is None else read_motions(options.motions)
    robots, report = options.robots.split(","), dict[str, Any](rows=options.rows, shards=SHARDS)
    for seed, robot in enumerate(robots):
        body = request(robot, options.rows, seed, motions, True) | {"shard_rows": -(-options.rows // SHARDS)}
        body["workspace"] |= {"motions": motions.content_sha256}
        with tempfile.TemporaryDirectory(prefix="headstart-kills-") as folder:
            report |= {f"{robot}_{n}": c for n, c in measure(body, motions, options.kills, Path(folder)).items()}
    report |= {name: sum(report[f"{robot}_{name}"] for robot in robots) for name in ("runs", "kills", *WRONG)}
    return conclude(report, BARS)


if __name__ == "__main__":
    sys.exit(main())
