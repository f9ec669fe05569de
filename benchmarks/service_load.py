"""The service under load: pollers, followers of a stream and previews, while it makes a job.

    python -m benchmarks.service_load [--rounds N] [--seconds S] [--engine process|ray]

Each round times the job undisturbed and then under load, so that other work on the machine weighs on both. Load, probe
and service share the cores. Memory grows if it is more in the second half of the rounds than in the first. Loopback
only. The full count is --rounds 10.
"""

import argparse
import asyncio
import itertools
import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks._bars import Bar, conclude
from shared.client import Client
from tests.services.example import RunningService, running_service

PREVIEW_ROWS = 4
POLL_EVERY_S, PROBE_EVERY_S, SETTLE_S = 1.0, 0.02, 2.0
BARS: dict[str, Bar] = {
    "rows_ratio": (">=", 0.5),
    "loaded_health_p99_ms": ("<", 50.0),
    "memory_growth_mb": ("<", 20.0),
    "answered_errors": ("==", 0),
}
REQUEST: dict[str, Any] = {"robot": "panda", "workspace": {"kind": "reachable"}, "shard_rows": 500, "count": 500_000}


@dataclass(frozen=True)
class Load:
    """Who calls while the job is made.

    Attributes:
        pollers: that look at it each second.
        followers: of its stream.
        previews_per_s: that are asked for.
    """

    pollers: int = 100
    followers: int = 10
    previews_per_s: float = 5.0


@dataclass
class Phase:
    """What one phase of a round measured.

    Attributes:
        rows_per_s: of the job.
        health_ms: how long each /healthz took.
        memory_mb: private memory of the service's process, each second.
        cores: that the service's process kept busy.
    """

    rows_per_s: float = 0.0
    health_ms: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    cores: float = 0.0


def private_mb(pid: int) -> float:
    """Memory that only this process holds."""
    return float(psutil.Process(pid).memory_full_info().uss) / 1e6


def measure(service: RunningService, client: Client, job_id: str, seconds: float) -> Phase:
    """Probes /healthz and the job for `seconds`."""
    phase, done = Phase(), threading.Event()

    def watch_memory() -> None:
        while not done.wait(1.0):
            phase.memory_mb.append(private_mb(service.pid))

    watching = threading.Thread(target=watch_memory)
    watching.start()
    busy = _busy_s(service.pid)
    began, before = time.monotonic(), client.job(job_id)["progress"]["accepted"]
    with httpx.Client(base_url=service.url, trust_env=False, timeout=30) as probe:
        while time.monotonic() - began < seconds:
            asked = time.perf_counter()
            probe.get("/healthz").raise_for_status()
            phase.health_ms.append(1e3 * (time.perf_counter() - asked))
            time.sleep(PROBE_EVERY_S)
    rows = client.job(job_id)["progress"]["accepted"] - before
    phase.rows_per_s = rows / (time.monotonic() - began)
    phase.cores = (_busy_s(service.pid) - busy) / (time.monotonic() - began)
    done.set()
    watching.join()
    return phase


def _busy_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def load(url: str, job_id: str, seconds: float, size: Load) -> Counter[str]:
    """The load, in a process of its own. Returns how many of each call were answered, and errors by their status."""
    busy = time.process_time()
    counts = asyncio.run(_load(url, job_id, seconds, size))
    counts["load_cpu_ms"] = round(1e3 * (time.process_time() - busy))
    return counts


async def _load(url: str, job_id: str, seconds: float, size: Load) -> Counter[str]:
    counts: Counter[str] = Counter()
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60, limits=limits) as http:
        calls = [
            *(_poll(http, job_id, counts, index, size.pollers) for index in range(size.pollers)),
            *(_follow(http, job_id, counts) for _ in range(size.followers)),
            _preview(http, counts, size.previews_per_s),
        ]
        tasks = [asyncio.create_task(call) for call in calls]
        await asyncio.wait(tasks, timeout=seconds)
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if not isinstance(ended, asyncio.CancelledError):
                counts["errors"] += 1
                print(f"load: {ended!r}", flush=True)
    return counts


async def _poll(http: httpx.AsyncClient, job_id: str, counts: Counter[str], index: int, pollers: int) -> None:
    """Half of them look at the job as a page would, half at its new commits as a trainer would."""
    await asyncio.sleep(POLL_EVERY_S * index / pollers)
    after = -1
    while True:
        if index % 2:
            response = await http.get(f"/v1/jobs/{job_id}")
        else:
            response = await http.get(f"/v1/jobs/{job_id}/manifest", params={"after": after})
            after = max([after, *(commit["index"] for commit in response.json().get("commits", []))])
        _count(counts, "polls", response)
        await asyncio.sleep(POLL_EVERY_S)


def _count(counts: Counter[str], what: str, response: httpx.Response) -> None:
    counts[what if response.is_success else "errors"] += 1
    if response.is_error:
        print(f"load: {what}: {response.text}", flush=True)


async def _follow(http: httpx.AsyncClient, job_id: str, counts: Counter[str]) -> None:
    async with http.stream("GET", f"/v1/jobs/{job_id}/stream") as response:
        async for chunk in response.aiter_raw(1 << 20):
            counts["stream_bytes"] += len(chunk)


async def _preview(http: httpx.AsyncClient, counts: Counter[str], per_s: float) -> None:
    async def one(seed: int) -> None:
        response = await http.post("/v1/preview", json={"robot": "panda", "count": PREVIEW_ROWS, "seed": seed})
        _count(counts, "previews", response)

    async with asyncio.TaskGroup() as asked:
        for seed in itertools.count():
            asked.create_task(one(seed))
            await asyncio.sleep(1 / per_s)


def run_round(
    service: RunningService, client: Client, seed: int, seconds: float, size: Load = Load()
) -> tuple[Phase, Phase, Counter[str]]:
    """One job, watched undisturbed and then under load."""
    job_id = client.submit({**REQUEST, "seed": seed})["id"]
    while (job := client.job(job_id))["progress"]["shards_committed"] < 2:
        if job["state"] == "failed":
            raise SystemExit(f"the job failed: {job['reason']}")
        time.sleep(0.1)
    quiet = measure(service, client, job_id, seconds)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        loading = pool.submit(load, service.url, job_id, seconds + 2 * SETTLE_S, size)
        time.sleep(SETTLE_S)
        loaded = measure(service, client, job_id, seconds)
        counts = loading.result()
    client.cancel(job_id)
    return quiet, loaded, counts


def main() -> int:
    """Runs the rounds and prints one JSON object on the last line. Returns the exit status."""
    parser = argparse.ArgumentParser(description="the service under load")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each phase")
    parser.add_argument("--engine", default="process", choices=("process", "ray"))
    options = parser.parse_args()
    quiet, loaded, counts = Phase(), Phase(), Counter[str]()
    ratios: list[float] = []
    memory: list[float] = []
    cores: list[float] = []
    with (
        tempfile.TemporaryDirectory(prefix="headstart-load-") as folder,
        running_service(Path(folder) / "data", "--engine", options.engine, is_warm=False) as service,
        Client(service.url) as client,
    ):
        client.wait_ready()
        # Its process takes seconds to start.
        client.preview({"robot": "panda", "count": PREVIEW_ROWS})
        for seed in range(options.rounds):
            one, two, answered = run_round(service, client, seed, options.seconds)
            ratios.append(two.rows_per_s / one.rows_per_s)
            memory.append(statistics.median(two.memory_mb))
            cores.append(two.cores)
            counts.update(answered)
            for total, part in ((quiet, one), (loaded, two)):
                total.health_ms += part.health_ms
                total.memory_mb += part.memory_mb
            print(f"{seed}: {one.rows_per_s:.0f}/s, {two.rows_per_s:.0f}/s; {two.memory_mb[-1]:.0f} MB", flush=True)
    report = {
        "rows_ratio": round(statistics.median(ratios), 2),
        "quiet_health_p99_ms": round(quantile(quiet.health_ms, 0.99), 1),
        "loaded_health_p50_ms": round(quantile(loaded.health_ms, 0.5), 1),
        "loaded_health_p99_ms": round(quantile(loaded.health_ms, 0.99), 1),
        "memory_quiet_mb": round(quiet.memory_mb[0]),
        "memory_loaded_first_mb": round(loaded.memory_mb[0]),
        "memory_loaded_last_mb": round(loaded.memory_mb[-1]),
        "memory_loaded_max_mb": round(max(loaded.memory_mb)),
        "memory_growth_mb": round(_growth(memory)),
        "service_cores": round(statistics.median(cores), 2),
        "load_cores": round(counts.pop("load_cpu_ms") / 1e3 / options.rounds / (options.seconds + 2 * SETTLE_S), 2),
        **{f"answered_{name}": counts[name] for name in sorted({"errors", *counts})},
    }
    return conclude(report, BARS)


def _growth(values: list[float]) -> float:
    """From the first half to the second."""
    half = len(values) // 2
    return statistics.median(values[half:]) - statistics.median(values[:half] or values)


def quantile(values: list[float], at: float) -> float:
    """The smallest value that the fraction `at` of them does not exceed."""
    return sorted(values)[min(len(values) - 1, int(at * len(values)))]


if __name__ == "__main__":
    sys.exit(main())
