"""How a service ends: with all that it started, and nothing in it waited for in sequence."""

import argparse
import gc
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from services.commands import serve
from services.engine import ProcessEngine
from services.engine.worker import Child
from tests.services.example import LONG_BODY, RunningService, child_processes, running_service

_GONE_S = 30
"""Of the processes of a Ray that are killed one by one, two are left for 62 s."""


@pytest.mark.timeout(600)
def test_ray_ends_with_its_service_however_that_ends(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_service(data, "--engine", "ray", "--workers", "2", is_warm=False) as service:
        driver, below = _making_shards(service)
        # As on a machine so busy that it answers nothing in time.
        driver.suspend()
        assert service.stop() == 0
        assert _left([driver, *below]) == []
        assert "Traceback" not in service.log.read_text()
    with running_service(data, "--engine", "ray", "--workers", "2", is_warm=False) as service:
        driver, below = _making_shards(service)
        service.kill()
        assert _left([driver, *below]) == []


def _making_shards(service: RunningService) -> tuple[psutil.Process, list[psutil.Process]]:
    """Ray's driver, and all that is below it, once two workers make shards."""
    with httpx.Client(base_url=service.url, timeout=60, trust_env=False) as api:
        api.post("/v1/jobs", json=LONG_BODY).raise_for_status()
    marks = ("ray::make_shard", "ray::DashboardAgent", "ray::RuntimeEnvAgent")
    while [len(child_processes(mark, service.pid)) for mark in marks] != [2, 1, 1]:
        assert service.process.poll() is None, service.log.read_text()
        time.sleep(0.1)
    (head,) = child_processes("gcs_server", service.pid)
    driver = head.parent()
    assert driver is not None
    return driver, driver.children(recursive=True)


def _left(processes: list[psutil.Process]) -> list[str]:
    gone, alive = psutil.wait_procs(processes, _GONE_S)
    assert len(gone) + len(alive) >= 6
    return [process.name() for process in alive]


def test_workers_are_ended_before_any_of_them_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[tuple[str, int | None]] = []

    def noted(step: str, do: Callable[[Child], None]) -> Callable[[Child], None]:
        def noting(child: Child) -> None:
            steps.append((step, child.pid))
            do(child)

        return noting

    monkeypatch.setattr(Child, "end", noted("end", Child.end))
    monkeypatch.setattr(Child, "kill", noted("kill", Child.kill))
    engine = ProcessEngine(3)
    engine.start()
    engine.close()
    assert [step for step, _ in steps[:4]] == ["end", "end", "end", "kill"]
    assert len({pid for _, pid in steps[:3]}) == 3


def test_what_is_imported_is_not_searched_for_garbage_while_calls_are_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []

    def instead_of_serving(announced: Any) -> None:
        counts.append(gc.get_freeze_count())
        assert announced.cr_frame is not None
        serving = announced.cr_frame.f_locals["serving"]
        for listening in serving.cr_frame.f_locals["sockets"]:
            listening.close()
        serving.close()
        announced.close()

    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    options = parser.parse_args(["--data", str(tmp_path), "--port", "0", "--engine", "process"])
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("services.commands.serve.asyncio.run", instead_of_serving)
    for name in [name for name in os.environ if name.startswith("HEADSTART_")]:
        monkeypatch.delenv(name)
    try:
        # It has not served.
        assert serve.run(options) == 2
    finally:
        signal.signal(signal.SIGTERM, before)
        gc.unfreeze()
    # 148,000 in a process of its own.
    assert counts[0] > 100_000
