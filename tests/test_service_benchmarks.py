"""The service's benchmarks in small: what they find that does not depend on how fast this machine is.

`python -m benchmarks.service_load`, `service_streams` and `service_kills` are the same with their full counts.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import service_kills, service_streams
from benchmarks._bars import judge
from benchmarks.service_kills import Bench, undisturbed
from benchmarks.service_load import Load, run_round
from shared.client import Client
from tests.services.example import RunningService, running_service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    data = tmp_path_factory.mktemp("benchmarks") / "data"
    with running_service(data, "--engine", "process", "--workers", "1", is_warm=False) as running:
        with Client(running.url) as client:
            client.wait_ready()
        yield running


def test_streams_that_are_read_slowly_or_left_leave_nothing_open(service: RunningService) -> None:
    with Client(service.url) as client:
        job_id = service_streams.make(client, 0.03)
    slow = service_streams.read_slowly(service, job_id, 4e6, 2.0)
    left = service_streams.disconnect(service, job_id, 8)
    assert judge({**slow, **left}, service_streams.BARS), (slow, left)


def test_under_load_nothing_is_answered_with_an_error(service: RunningService) -> None:
    with Client(service.url) as client:
        client.preview({"robot": "panda", "count": 1})
        _, loaded, counts = run_round(service, client, 0, 1.0, Load(pollers=10, followers=3, previews_per_s=1.0))
    assert counts["errors"] == 0
    assert min(counts["polls"], counts["previews"], counts["stream_bytes"], len(loaded.health_ms)) > 0


def test_killed_at_any_moment_no_row_is_lost_or_doubled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_kills, "_FURTHER_SHARDS", 4)
    body = {"robot": "panda", "count": 500, "shard_rows": 50}
    bench = Bench(tmp_path, "process", body, undisturbed(body, tmp_path), seed=0)
    try:
        for victim in ("api", "worker"):
            bench.run(victim, 1)
    finally:
        bench.close()
    counts = bench.counts
    assert counts["api"] == counts["worker"] == 1
    wrong = {name: counts[name] for name in ("failed", "lost", "doubled", "differ", "orphans")}
    assert not any(wrong.values()), wrong
    assert counts["jobs"] >= 1
