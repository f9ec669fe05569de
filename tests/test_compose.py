"""The images, built and run by a real Docker engine. Asked for with `-m compose`, they fail without one: no skips."""

import hashlib
import io
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from services.catalogue import ARMS
from tests.compose_stack import Stack
from tests.test_docs import check_curl_lines, curl_lines

pytestmark = [pytest.mark.compose, pytest.mark.timeout(1800)]

REQUEST = {"robot": "panda", "count": 20_000, "workspace": {"kind": "reachable"}, "shard_rows": 2500}
SMALL = {**REQUEST, "count": 2000, "shard_rows": 100}
CLUSTER = {"COMPOSE_PROFILES": "cluster", "RAY_ADDRESS": "ray-head:6379"}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    if shutil.which("docker") is None or subprocess.run(["docker", "info"], capture_output=True).returncode != 0:
        pytest.fail("no Docker engine answers; start one, or leave these tests out with -m 'not compose'")
    stack = Stack()
    try:
        stack.compose("up", "--build", "--detach")
        stack.wait_healthy("service")
        stack.wait_healthy("trainer")
        stack.key = stack.inside("service", "cat", "/data/api-key")
        yield stack
    finally:
        stack.compose("down", "--volumes", "--timeout", "10", check=False)


def test_a_job_over_rest_and_its_shards_read_back(stack: Stack) -> None:
    job = stack.wait_until_ended(stack.submit(REQUEST)["id"])
    assert job["state"] == "succeeded", job
    shards = stack.get(f"/v1/jobs/{job['id']}/shards")["shards"]
    assert [shard["rows"] for shard in shards] == [2500] * 8
    ids: list[int] = []
    for shard in shards:
        content = stack.curl(shard["url"])
        assert hashlib.sha256(content).hexdigest() == shard["file_sha256"]
        ids += pq.read_table(io.BytesIO(content), columns=["trajectory_id"]).column(0).to_pylist()
    assert ids == list(range(20_000))
    assert "0 violations" in stack.inside("service", "python", "-m", "services", "audit", f"/data/{job['id']}")


def test_the_curl_lines_of_the_readme(stack: Stack, tmp_path: Path) -> None:
    environment = {**os.environ, "HEADSTART_API_KEY": stack.key, "NO_PROXY": "localhost"}
    subprocess.run(["bash", "-c", curl_lines(stack.port)], cwd=tmp_path, env=environment, check=True)
    check_curl_lines(tmp_path)


def test_the_key_is_asked_for_and_the_trainer_has_it(stack: Stack) -> None:
    assert json.loads(stack.curl("/v1/jobs", keyed=False))["status"] == 401
    script = "from shared.client import Client; import os; print(len(Client(os.environ['HEADSTART_URL']).robots()))"
    assert stack.inside("trainer", "python", "-c", script) == str(len(ARMS))


def test_containers_run_without_privileges_and_with_only_what_they_need(stack: Stack) -> None:
    for service, absent in (("service", "torch"), ("trainer", "pinocchio")):
        assert stack.inside(service, "id", "-u") == "1000"
        # An init reaps what Ray's workers leave behind.
        assert "init" in stack.inside(service, "cat", "/proc/1/comm")
        script = f"import importlib.util; print(importlib.util.find_spec('{absent}'))"
        assert stack.inside(service, "python", "-c", script) == "None"
    # Nothing but loopback is published.
    for service, port in (("service", "8000"), ("trainer", "6006")):
        assert stack.compose("port", service, port).startswith("127.0.0.1:")


def test_tensorboard_is_served(stack: Stack) -> None:
    url = f"http://localhost:{stack.tensorboard_port}/"
    page = subprocess.run(["curl", "-sS", "--noproxy", "*", url], capture_output=True, check=True).stdout
    assert b"TensorBoard" in page


def test_a_service_that_is_restarted_goes_on_where_it_stopped(stack: Stack) -> None:
    job = stack.submit({**SMALL, "seed": 1})
    stack.wait_for_shards(job["id"], 3)
    stack.compose("kill", "-s", "SIGKILL", "service")
    stack.compose("up", "--detach", "service")
    stack.wait_healthy("service")
    ended = stack.wait_until_ended(job["id"])
    assert (ended["state"], ended["progress"]["accepted"]) == ("succeeded", 2000)
    assert stack.inside("service", "cat", "/data/api-key") == stack.key


def test_the_recipe_runs_in_the_trainer_container(stack: Stack) -> None:
    output = stack.compose("run", "--rm", "-T", "trainer", "make", "train-decoupled", "PRESET=tiny")
    assert "http://service:8000/v1/jobs/" in output
    report = json.loads(stack.inside("trainer", "cat", "runs/tiny/report.json"))
    assert [(result["mode"], result["episodes"]) for result in report["results"]] == [
        ("decoupled", 2),
        ("normal", 2),
        ("decoupled", 2),
    ]


def test_a_cluster_makes_the_same_rows_though_a_worker_is_killed(stack: Stack) -> None:
    # Enough that a worker is killed amid them on any machine.
    request = {**SMALL, "count": 60_000, "shard_rows": 1000, "seed": 2}
    stack.environment |= CLUSTER
    stack.compose("up", "--detach", "--scale", "ray-worker=2")
    stack.wait_healthy("service")
    # From now on each has a shard in the making until there is none left.
    stack.wait_for_workers(2)
    job = stack.submit(request)
    stack.wait_for_shards(job["id"], 5)
    _docker("kill", stack.compose("ps", "-q", "ray-worker").split()[0])
    assert stack.get(f"/v1/jobs/{job['id']}")["state"] == "running"
    ended = stack.wait_until_ended(job["id"])
    assert (ended["state"], ended["progress"]["accepted"]) == ("succeeded", 60_000), ended
    shards = stack.get(f"/v1/jobs/{job['id']}/shards")["shards"]

    stack.inside("service", "sh", "-c", f"echo '{json.dumps(request)}' > /tmp/request.json")
    inline = "python -m services generate --request /tmp/request.json --out /tmp/undisturbed --engine inline"
    stack.inside("service", *inline.split())
    hashes = (
        "from shared.dataset import Dataset; print(*(c.content_sha256 for c in Dataset('/tmp/undisturbed').commits()))"
    )
    assert [shard["content_sha256"] for shard in shards] == stack.inside("service", "python", "-c", hashes).split()
    # Only who has the token may run programs there.
    keyless = ["sh", "-c", "RAY_AUTH_TOKEN_PATH= RAY_AUTH_TOKEN= ray status --address ray-head:6379; test $? -ne 0"]
    stack.inside("service", *keyless)
    assert stack.inside("ray-head", "stat", "--format=%a %U", "/data/ray-token") == "600 headstart"


def test_the_trainer_asks_for_a_gpu_in_its_profile_only(stack: Stack) -> None:
    config = stack.compose("--profile", "gpu", "config")
    assert config.count("driver: nvidia") == 1
    assert config.index("trainer-gpu:") < config.index("driver: nvidia")


def _docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout
