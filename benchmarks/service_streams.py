"""Streams whose readers are slow or leave: what that costs the service in memory, file handles and tasks.

    python -m benchmarks.service_streams [--gigabytes G] [--slow-seconds S] [--disconnects N] [--mb-per-s R]

A dataset of so many gigabytes (as the stream sends it) is made first. Then one client reads its stream at R MB/s for S
seconds, or to its end if S is 0, and then N clients leave in the middle of it. Loopback only. The full count is
--gigabytes 1 --slow-seconds 0 --disconnects 200.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

from benchmarks._bars import Bar, conclude
from benchmarks.service_load import private_mb
from shared.client import Client
from tests.services.example import RunningService, running_service

BARS: dict[str, Bar] = {
    "slow_memory_growth_mb": ("<", 50.0),
    "streams_after": ("==", 0),
    "tasks_leaked": ("<=", 0),
    "handles_leaked": ("<=", 0),
}
REQUEST: dict[str, Any] = {"robot": "panda", "rate_hz": 500.0, "shard_rows": 100}
"""Sampled often, so that a gigabyte takes few rows."""
_ROWS_PER_GB = 2200
_READ_BYTES = 1 << 16


def make(client: Client, gigabytes: float) -> str:
    """Makes the dataset; returns its job's id."""
    count = max(1, round(gigabytes * _ROWS_PER_GB))
    job_id = client.submit({**REQUEST, "count": count})["id"]
    assert client.wait(job_id)["state"] == "succeeded"
    return job_id


def read_slowly(service: RunningService, job_id: str, bytes_per_s: float, seconds: float) -> dict[str, float]:
    """Memory before, and at the most while one client reads at this rate."""
    before, most, got, whole = private_mb(service.pid), 0.0, 0, True
    began, looked_at = time.monotonic(), 0.0
    with (
        httpx.Client(base_url=service.url, trust_env=False, timeout=60) as http,
        http.stream("GET", f"/v1/jobs/{job_id}/stream") as response,
    ):
        for chunk in response.iter_raw(_READ_BYTES):
            got += len(chunk)
            if time.monotonic() - looked_at > 0.5:
                looked_at = time.monotonic()
                most = max(most, private_mb(service.pid))
            if seconds and time.monotonic() - began > seconds:
                whole = False
                break
            time.sleep(max(0.0, began + got / bytes_per_s - time.monotonic()))
    return {
        "slow_read_mb": round(got / 1e6),
        "slow_read_s": round(time.monotonic() - began),
        "slow_read_whole": whole,
        "slow_memory_before_mb": round(before),
        "slow_memory_growth_mb": round(most - before),
    }


def disconnect(service: RunningService, job_id: str, times: int, seed: int = 0) -> dict[str, float]:
    """What is open before and after so many clients that leave in the middle of a stream."""
    rng = random.Random(seed)
    with httpx.Client(base_url=service.url, trust_env=False, timeout=60) as http:
        before = _open(service, http)
        for _ in range(times):
            with http.stream("GET", f"/v1/jobs/{job_id}/stream") as response:
                wanted = rng.uniform(0, 3e6)
                for chunk in response.iter_raw(_READ_BYTES):
                    wanted -= len(chunk)
                    if wanted < 0:
                        break
        deadline = time.monotonic() + 30
        while (after := _open(service, http))["streams"] and time.monotonic() < deadline:
            time.sleep(0.1)
        after = _open(service, http)
    return {
        "disconnects": times,
        **{f"{name}_before": value for name, value in before.items()},
        **{f"{name}_after": value for name, value in after.items()},
        "tasks_leaked": after["tasks"] - before["tasks"],
        "handles_leaked": after["handles"] - before["handles"],
    }


def _open(service: RunningService, http: httpx.Client) -> dict[str, float]:
    families = text_string_to_metric_families(http.get("/metrics").text)
    values = {sample.name: sample.value for family in families for sample in family.samples}
    process = psutil.Process(service.pid)
    return {
        "streams": int(values["headstart_streams"]),
        "tasks": int(values["headstart_tasks"]),
        "handles": process.num_fds(),
        "threads": process.num_threads(),
        "memory_mb": round(private_mb(process.pid)),
    }


def main() -> int:
    """Runs both and prints one JSON object on the last line. Returns the exit status."""
    parser = argparse.ArgumentParser(description="streams whose readers are slow or leave")
    parser.add_argument("--gigabytes", type=float, default=0.2, help="of the dataset's stream (default 0.2)")
    parser.add_argument("--slow-seconds", type=float, default=20.0, help="0 reads to the end (default 20)")
    parser.add_argument("--mb-per-s", type=float, default=1.0, help="of the slow client (default 1)")
    parser.add_argument("--disconnects", type=int, default=50, help="default 50")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="headstart-streams-") as folder,
        running_service(Path(folder) / "data", "--engine", "process", is_warm=False) as service,
        Client(service.url) as client,
    ):
        client.wait_ready()
        job_id = make(client, options.gigabytes)
        slow = read_slowly(service, job_id, options.mb_per_s * 1e6, options.slow_seconds)
        print(json.dumps(slow), flush=True)
        left = disconnect(service, job_id, options.disconnects)
        size = client.job(job_id)["progress"]["bytes"]
    return conclude({"dataset_mb_packed": round(size / 1e6), **slow, **left}, BARS)


if __name__ == "__main__":
    sys.exit(main())
