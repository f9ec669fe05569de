"""What SIGKILL costs: the API, a worker and Ray's head, each killed at random moments of a job of 50 shards.

    python -m benchmarks.service_kills [--kills N] [--victims api,worker,head] [--engine ray|process] [--seed S]

Jobs follow one another, each deleted and made again, until a victim has been killed N times: a while after a random
number of further shards, so that its deaths are spread over the jobs. After each job every row is read back: none may
be lost or doubled, and every shard's content must be that of an undisturbed run. Loopback only. The full count is
--kills 20.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

from benchmarks._bars import Bar, conclude
from headstart_client.service.job import Job
from services.engine import InlineEngine
from services.jobs import begin, make_dataset
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.client import Client
from shared.dataset import Dataset
from shared.demonstrated_motions import DemonstratedMotions
from shared.motions_parquet import to_parquet
from tests.services.example import RunningService, child_processes

VICTIMS = ("api", "worker", "head")
SHARDS, SHARD_ROWS = 50, 200
_FURTHER_SHARDS, _WHILE_S = 25, 0.5
BARS: dict[str, Bar] = {
    name: ("==", 0) for name in ("jobs_failed", "rows_lost", "rows_doubled", "shards_that_differ", "orphaned_processes")
}
_DEADLINE_S = 600.0
_GONE_S = 30.0
"""Ray's processes take a while to notice that who started them is gone."""
_MARKS = {"ray": {"worker": "ray::make_shard", "head": "gcs_server"}, "process": {"worker": "spawn_main"}}


class Bench:
    """A service whose parts are killed, and what became of its jobs."""

    def __init__(
        self,
        folder: Path,
        engine: str,
        body: dict[str, Any],
        expected: list[str],
        seed: int,
        motions: DemonstratedMotions | None = None,
    ) -> None:
        """Starts the service; `motions` are those that the request is for copies of."""
        self._data, self._engine = folder / "data", engine
        self._body, self._expected = body, expected
        self._random = random.Random(seed)
        self._left: list[psutil.Process] = []
        self.counts: Counter[str] = Counter()
        self._service = self._start()
        if motions is not None:
            with Client(self._service.url) as client:
                client.upload_motions(to_parquet(motions))

    def ask(self, body: dict[str, Any], expected: list[str]) -> None:
        """The jobs from now on are of this request, and these are its shards' content hashes."""
        self._body, self._expected = body, expected

    def _start(self) -> RunningService:
        service = RunningService(self._data, "--engine", self._engine, is_warm=False)
        with Client(service.url) as client:
            client.wait_ready(_DEADLINE_S)
        return service

    def close(self) -> None:
        """Ends the service, and counts what killed ones have left behind."""
        self._service.stop()
        _, running = psutil.wait_procs(self._left, timeout=_GONE_S)
        self.counts["orphans"] = len(running)

    def run(self, victim: str, kills: int) -> None:
        """Jobs until the victim was killed so often."""
        while self.counts[victim] < kills:
            self._job(victim, kills)

    def _job(self, victim: str, kills: int) -> None:
        """One job from its submission to its end."""
        began = time.monotonic()
        with Client(self._service.url) as client:
            job_id = client.submit(self._body)["id"]
        kill_at = self._random.randrange(_FURTHER_SHARDS)
        while True:
            # A client for each look: it may be another service by now.
            with Client(self._service.url, patience=60) as client:
                job = client.job(job_id)
            if job["state"] in ("succeeded", "failed"):
                break
            assert time.monotonic() - began < _DEADLINE_S, job
            done = job["progress"]["shards_committed"]
            if self.counts[victim] < kills and job["state"] == "running" and done >= kill_at:
                time.sleep(self._random.uniform(0, _WHILE_S))
                if self._kill(victim):
                    self.counts[victim] += 1
                    print(f"{victim} {self.counts[victim]}: after {done} shards", flush=True)
                    kill_at = done + self._random.randint(1, _FURTHER_SHARDS)
            time.sleep(0.02)
        self._check(job)
        with Client(self._service.url) as client:
            client.delete(job_id)

    def _kill(self, victim: str) -> bool:
        """Kills it, and starts the API again if that was it. False if there is none at the moment."""
        service = self._service.process
        if victim == "api":
            below = psutil.Process(service.pid).children(recursive=True)
            self._service.kill()
            self._service = self._start()
            self._left += below
            return True
        found = child_processes(_MARKS[self._engine][victim], of=service.pid)
        if not found:
            return False
        self._random.choice(found).kill()
        return True

    def _check(self, job: Job) -> None:
        self.counts["jobs"] += 1
        if job["state"] != "succeeded":
            self.counts["failed"] += 1
            print(job["reason"], flush=True)
            return
        dataset = Dataset(self._data / job["id"])
        commits = dataset.state().commits
        made = [commit.content_sha256 for commit in commits]
        self.counts["differ"] += sum(a != b for a, b in zip(made, self._expected, strict=True))
        # read_shard also checks the file's hash.
        ids = Counter(n for commit in commits for n in dataset.read_shard(commit)["trajectory_id"].to_pylist())
        self.counts["lost"] += len(set(range(job["progress"]["count"])) - ids.keys())
        self.counts["doubled"] += ids.total() - len(ids)


def undisturbed(body: dict[str, Any], folder: Path, motions: DemonstratedMotions | None = None) -> list[str]:
    """Content hashes of the request's shards, made inline."""
    known = {} if motions is None else {motions.content_sha256: motions}
    request = TrajectoryRequest.parse(body, motions=known.get)
    dataset = begin(request, folder / "undisturbed")
    make_dataset(request, dataset, InlineEngine())
    return [commit.content_sha256 for commit in dataset.commits()]


def main() -> int:
    """Kills, and prints one JSON object on the last line. Returns the exit status."""
    parser = argparse.ArgumentParser(description="what SIGKILL costs")
    parser.add_argument("--kills", type=int, default=2, help="of each victim (default 2)")
    parser.add_argument("--victims", default=",".join(VICTIMS), help="which, between commas")
    parser.add_argument("--engine", default="ray", choices=tuple(_MARKS))
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args()
    victims = [name for name in options.victims.split(",") if name == "api" or name in _MARKS[options.engine]]
    body = {"robot": "panda", "count": SHARDS * SHARD_ROWS, "shard_rows": SHARD_ROWS}
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="headstart-kills-") as name:
        folder = Path(name)
        bench = Bench(folder, options.engine, body, undisturbed(body, folder), options.seed)
        try:
            for victim in victims:
                bench.run(victim, options.kills)
        finally:
            bench.close()
    counts = bench.counts
    report = {
        "engine": options.engine,
        "seed": options.seed,
        **{f"kills_{victim}": counts[victim] for victim in victims},
        "jobs": counts["jobs"],
        "jobs_failed": counts["failed"],
        "rows_lost": counts["lost"],
        "rows_doubled": counts["doubled"],
        "shards_that_differ": counts["differ"],
        "orphaned_processes": counts["orphans"],
        "seconds": round(time.monotonic() - began),
    }
    return conclude(report, BARS)


if __name__ == "__main__":
    sys.exit(main())
