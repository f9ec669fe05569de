"""A service on several machines that share nothing but an object store, while they come and go: the same rows."""

import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from headstart_client.data.object_store import below
from services.engine import InlineEngine
from services.jobs import begin
from services.synthesis.pipeline import plan_shards
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.client import Client
from shared.dataset import Dataset
from shared.manifest import Commit
from tests.machines import HERE, Machine, network
from tests.object_server import BUCKET, ENVIRONMENT, running_object_server
from tests.pages import ROOT

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

BODY = {"robot": "panda", "count": 10**8, "seed": 8, "shard_rows": 1000, "workspace": {"kind": "reachable"}}
"""A job that ends when it is told to, of shards that take long enough to be met in the making."""
HEAD = 2
"""Ends the address of whatever machine is the head."""
COMPARED = 20
"""Of the shards that were made, evenly."""
_PATIENCE_S = 120.0
_BIN = Path(sys.executable).parent
_RAY = f"{_BIN}/ray start --block --disable-usage-stats --node-ip-address {{address}} --object-store-memory 80000000"
_SERVE = f"{_BIN}/python -m services serve --host 0.0.0.0 --state /tmp/ray/state"


class Machines:
    """A head, workers of one processor each, and one with the service; none sees the disk of another."""

    def __init__(self, data: str, key: str, environment: dict[str, str], ended: ExitStack) -> None:
        self._data, self._key, self._environment, self._ended = data, key, environment, ended
        self._numbers = iter(range(HEAD + 1, 255))
        self.head = self.start_head()
        self.workers = [self.add_worker(), self.add_worker()]
        self.service = self.start_service()

    @property
    def client(self) -> Client:
        """Of the service."""
        return Client(f"http://{self.service.address}:8000", self._key, patience=_PATIENCE_S)

    def start_head(self) -> Machine:
        """Always at the same address; what was there before is not known to it."""
        return self._started(HEAD, f"{_RAY} --head --port 6379 --num-cpus 0 --include-dashboard false")

    def add_worker(self) -> Machine:
        """One more."""
        return self._started(next(self._numbers), f"{_RAY} --address 10.77.0.{HEAD}:6379 --num-cpus 1")

    def start_service(self) -> Machine:
        """On a machine of its own."""
        return self._start(next(self._numbers), f"{_SERVE} --data '{self._data}'")

    def _start(self, number: int, command: str) -> Machine:
        machine = Machine(number, f"cd {ROOT} && {command}", self._environment)
        self._ended.callback(machine.close)
        return machine

    def _started(self, number: int, command: str) -> Machine:
        machine = self._start(number, command)
        until(lambda: "Ray runtime started" in machine.log, lambda: machine.log)
        return machine


def until(so: Callable[[], bool], report: Callable[[], object]) -> None:
    """Waits for what lasts, or comes again and again."""
    deadline = time.monotonic() + _PATIENCE_S
    while not so():
        assert time.monotonic() < deadline, report()
        time.sleep(0.05)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A prefix in an object store on this machine, which is on a network with the others."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    with network(), running_object_server(tmp_path / "objects", HERE) as endpoint:
        yield f"s3://{BUCKET}/data?endpoint_override={endpoint}"


@pytest.fixture
def machines(data: str, tmp_path: Path) -> Iterator[Machines]:
    """All of them."""
    (tmp_path / "token").write_text(secrets.token_hex(32))
    key = secrets.token_hex(32)
    settings = {
        "HEADSTART_API_KEY": key,
        "RAY_ADDRESS": f"10.77.0.{HEAD}:6379",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(tmp_path / "token"),
        # A machine that is lost without a word is missed after seconds, not after Ray's minute.
        "RAY_health_check_initial_delay_ms": "1000",
        "RAY_health_check_period_ms": "1000",
        "RAY_health_check_timeout_ms": "2000",
        "RAY_health_check_failure_threshold": "3",
        "RAY_gcs_rpc_server_reconnect_timeout_s": "5",
    }
    with ExitStack() as ended:
        yield Machines(data, key, {**os.environ, **settings}, ended)


def test_machines_that_come_and_go_make_the_same_rows(machines: Machines, data: str, tmp_path: Path) -> None:
    with machines.client as client:
        client.wait_ready()
        job = client.submit(BODY)["id"]

    def goes_on(by: int = 3) -> None:
        with machines.client as client:
            goal = client.job(job)["progress"]["shards_committed"] + by
            until(lambda: client.job(job)["progress"]["shards_committed"] >= goal, lambda: client.job(job))

    def makes(machine: Machine) -> None:
        until(lambda: machine.runs("ray::make_shard"), lambda: machine.log)

    goes_on()
    first, second = machines.workers
    makes(first)
    first.lose()
    goes_on()
    added = machines.add_worker()
    makes(added)
    second.lose()
    goes_on()
    machines.head.lose()
    machines.head = machines.start_head()
    goes_on()
    machines.service.lose()
    machines.service = machines.start_service()
    goes_on()
    with machines.client as client:
        client.cancel(job)
        assert client.wait(job)["state"] == "cancelled"
    made = {commit.index: commit.content_sha256 for commit in Dataset(below(data, job)).commits()}
    assert len(made) >= 15
    some = sorted(made)[:: -(-len(made) // COMPARED)]
    assert inline(some, tmp_path / "inline") == {index: made[index] for index in some}


def inline(indices: list[int], folder: Path) -> dict[int, str]:
    """Content hashes of some of the job's shards as the inline engine makes them."""
    request, found = TrajectoryRequest.parse(BODY), dict[int, str]()
    plans = plan_shards(request)

    def on_commit(commit: Commit) -> None:
        found[commit.index] = commit.content_sha256

    dataset = begin(request, folder)
    assert InlineEngine().run_shards([plans[index] for index in indices], dataset.where, on_commit, lambda: False)
    return found
