"""docs/deployment.md: its commands as they stand, with all of its machines on this one."""

import json
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from shared.client import Client
from tests.pages import ROOT, blocks, free_port, runnable

pytestmark = pytest.mark.timeout(600)

ELSEWHERE = "docker compose up --build --detach --scale ray-worker=2"
"""Run by tests/test_compose.py."""
REQUEST = {"robot": "panda", "count": 40, "shard_rows": 20}
BLOCKS = blocks("docs/deployment.md", "sh")


@pytest.fixture
def places(tmp_path: Path) -> dict[str, str]:
    """What the page's places are called here."""
    (tmp_path / "ray-token").write_text("a random text of sixty-four characters, as long as Ray's own is.")
    ray = free_port()
    found = {
        "localhost:8000": f"localhost:{free_port()}",
        "head:6379": f"127.0.0.1:{ray}",
        "--port 6379": f"--port {ray} --node-ip-address 127.0.0.1",
        "/srv/headstart": str(tmp_path / "data"),
        "/etc/headstart": str(tmp_path),
    }
    return {**found, "--port 8000": f"--port {found['localhost:8000'].rpartition(':')[2]}"}


@contextmanager
def _running(command: str, folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            ["bash", "-c", f"exec env {command}"],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if ELSEWHERE not in block], ids=["one", "keys", "s3", "ray"]
)
def test_the_lines_of_the_page_work(
    block: str, tmp_path: Path, places: dict[str, str], request: pytest.FixtureRequest
) -> None:
    if "localhost:9000" in block:
        places["http://localhost:9000"] = request.getfixturevalue("object_server")
    for place, here in places.items():
        block = block.replace(place, here)
    block = runnable(block)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HEADSTART_")}
    environment["NO_PROXY"] = "localhost"
    url, key_file = f"http://{places['localhost:8000']}", tmp_path / "api-key"
    nodes = 0
    with ExitStack() as running:
        for line in block.splitlines():
            if line.startswith(("export ", "BUCKET=")):
                environment |= dict(pair.split("=", 1) for pair in shlex.split(line.removeprefix("export ")))
            elif " start --block " in line:
                running.enter_context(_running(line, tmp_path, environment))
                nodes += 1
                # A reader starts them one after another, too.
                while (tmp_path / "log").read_text().count("Ray runtime started") < nodes:
                    time.sleep(0.2)
            elif " serve " in line:
                # Starts faster, where it is not about Ray.
                engine = "" if "RAY_ADDRESS" in line else " --engine process --workers 1"
                running.enter_context(_running(line + engine, tmp_path, environment))
                Client(url, api_key="", patience=60).version()
            elif line.startswith("curl"):
                done = subprocess.run(["bash", "-c", line], env=environment, capture_output=True, check=True)
                assert json.loads(done.stdout)["jobs"] == []
            else:
                assert line.startswith("#"), line
        with Client(url, api_key=key_file.read_text().strip() if "api-key" in block else "") as client:
            client.wait_ready(240)
            assert client.wait(client.submit(REQUEST)["id"])["state"] == "succeeded", (tmp_path / "log").read_text()


def test_containers_are_started_elsewhere() -> None:
    assert sum(ELSEWHERE in block for block in BLOCKS) == 1
    assert ELSEWHERE.split()[-1] in (ROOT / "tests" / "test_compose.py").read_text()
