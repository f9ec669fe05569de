import http.server
import json
import socket
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest

from headstart_client.data.arrow_stream import record_batches
from headstart_client.data.commits import Commits
from headstart_client.service.connection import NONE
from headstart_client.service.job import Event, Trajectory
from shared.client import Client
from shared.dataset import Dataset, verify_shard
from shared.errors import CorruptShardError, DatasetCancelledError, DatasetFormatError, ServiceError
from shared.follow import wait_for_shards
from shared.manifest import Commit
from shared.remote_dataset import RemoteDataset, open_dataset
from tests.services.catalogue.own import GANTRY
from tests.services.example import BODY, RunningService, running_service

ENGINE = ("--engine", "process", "--workers", "1")
SLOW_MACHINE = {"HEADSTART_PREVIEW_SECONDS": "200"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with running_service(tmp_path_factory.mktemp("client") / "data", *ENGINE, env=SLOW_MACHINE) as running:
        Client(running.url).wait_ready()
        yield running


@pytest.fixture
def client(service: RunningService) -> Iterator[Client]:
    with Client(service.url) as client:
        yield client


def test_submit_follow_and_fetch_give_the_rows_that_are_on_disk(
    client: Client, service: RunningService, tmp_path: Path
) -> None:
    job = client.submit(BODY, idempotency_key="one")
    assert client.submit(BODY)["id"] == job["id"]
    remote = RemoteDataset(client, job["id"], tmp_path / "cache")
    state = wait_for_shards(remote, remote.header.shards, max_wait=60)
    while remote.state().state != "sealed":
        time.sleep(0.02)
    local = Dataset(service.log.with_suffix("") / job["id"])
    assert remote.header.to_json() == local.header.to_json()
    assert state.watermark == 12
    assert remote.state() == local.state()
    for commit in state.commits:
        assert remote.read_shard(commit).equals(local.read_shard(commit))
    assert remote.read_shard(state.commits[0], ["length"]).column_names == ["length"]
    assert client.job(job["id"])["state"] == "succeeded"
    assert job["id"] in [entry["id"] for entry in client.jobs()]
    assert list(client.jobs(state="running")) == []
    assert "panda" in [robot["name"] for robot in client.robots()]
    assert len(client.preview({**BODY, "count": 2})["trajectories"]) == 2
    assert client.preview_rows({**BODY, "count": 2}).equals(remote.read_shard(state.commits[0]).slice(0, 2))


def test_a_robot_is_uploaded_used_and_deleted(client: Client, tmp_path: Path) -> None:
    urdf, archive = tmp_path / "gantry.urdf", tmp_path / "gantry.zip"
    urdf.write_text(GANTRY)
    robot = client.upload_robot(urdf, "tool", acceleration=4.0, jerk=[40.0] * 6)
    assert robot["limits"]["acceleration"] == [4.0] * 6
    assert robot["limits"]["jerk"] == [40.0] * 6
    assert client.upload_robot(urdf, "tool", acceleration=4.0, jerk=40.0) == robot == client.robot(robot["name"])
    assert b"<robot" in client.robot_urdf(robot["name"])
    assert client.preview({"robot": robot["name"], "count": 1})["robot"]["joint_names"] == robot["joint_names"]
    with zipfile.ZipFile(archive, "w") as packed:
        packed.write(urdf, "arm/gantry.urdf")
    other = client.upload_robot(archive, "tool", base="carriage", acceleration=4.0)
    assert (other["base_frame"], other["tool_frame"]) == ("carriage", "tool")
    for name in (robot["name"], other["name"]):
        client.delete_robot(name)
        with pytest.raises(ServiceError, match="404"):
            client.robot(name)
    with pytest.raises(ServiceError, match="404"):
        client.robot_urdf("../../healthz")
    with pytest.raises(ServiceError, match="has no link 'nowhere'"):
        client.upload_robot(urdf, "nowhere")
    with pytest.raises(ServiceError, match=r"missing.urdf can't be read: No such file"):
        client.upload_robot(tmp_path / "missing.urdf", "tool")


def test_shards_are_fetched_once_and_a_damaged_copy_is_fetched_anew(client: Client, tmp_path: Path) -> None:
    job = client.submit(BODY)
    remote = RemoteDataset(client, job["id"], tmp_path)
    commit = wait_for_shards(remote, 1).commits[0]
    path = client.fetch_shard(job["id"], commit, tmp_path / job["id"])
    verify_shard(path, commit)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    before = path.stat().st_mtime_ns
    client.fetch_shard(job["id"], commit, path.parent)
    assert path.stat().st_mtime_ns == before
    path.write_bytes(path.read_bytes()[:-1])
    assert RemoteDataset(client, job["id"], tmp_path).read_shard(commit).num_rows == commit.rows
    verify_shard(path, commit)


def test_a_full_cache_drops_the_shards_used_longest_ago(client: Client, tmp_path: Path) -> None:
    job = client.submit(BODY)
    client.wait(job["id"])
    folder = tmp_path / job["id"]

    def kept() -> set[int]:
        return {int(path.stem[6:]) for path in folder.iterdir()}

    first = RemoteDataset(client, job["id"], tmp_path)
    commits = first.state().commits
    for commit in commits[:4]:
        first.read_shard(commit)
    assert kept() == {0, 1, 2, 3}
    room = sum(commit.bytes for commit in commits[4:7])
    second = RemoteDataset(client, job["id"], tmp_path, max_bytes=room)
    for index in (4, 5, 4, 6):
        assert second.read_shard(commits[index]).num_rows == 20
    assert kept() == {4, 5, 6}
    second.read_shard(commits[7])
    assert 5 not in kept()
    assert {4, 6, 7} - kept() in ({4}, set())
    # Another process may drop what this one has looked at.
    (folder / "shard-00000007.parquet").unlink()
    assert second.read_shard(commits[7]).num_rows == 20
    tiny = RemoteDataset(client, job["id"], tmp_path, max_bytes=1)
    assert tiny.read_shard(commits[0]).num_rows == 20
    assert kept() == {0}


def test_rows_stream_in_order_while_they_are_made(client: Client, tmp_path: Path) -> None:
    job = client.submit({**BODY, "seed": 77, "count": 70})
    rows = pa.Table.from_batches(client.stream(job["id"]))
    assert rows.column("trajectory_id").to_pylist() == list(range(70))
    remote = RemoteDataset(client, job["id"], tmp_path)
    shards = [remote.read_shard(commit) for commit in client_commits(remote)]
    assert rows.equals(pa.concat_tables(shards))
    first = next(client.stream(job["id"]))
    assert 0 < first.num_rows <= 70
    assert client.wait(job["id"])["state"] == "succeeded"
    assert client.version()["schema_version"] == "2.0"


def test_a_stream_waits_for_its_jobs_turn_for_longer_than_other_calls(client: Client, service: RunningService) -> None:
    first = client.submit({**BODY, "count": 500_000, "rate_hz": 2, "shard_rows": 48_000, "seed": 80})
    second = client.submit({**BODY, "seed": 81, "count": 40})
    with Client(service.url, timeout=3) as hasty:
        rows = hasty.stream(second["id"])
        waited = threading.Timer(4, lambda: client.cancel(first["id"]))
        waited.start()
        assert pa.Table.from_batches(rows).num_rows == 40
        waited.join()
        with hasty._connection.open(f"/v1/jobs/{second['id']}/stream", silent=True) as response:
            connection = response.extensions["network_stream"].get_extra_info("socket")
            assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30


def test_shards_and_single_rows_are_looked_at(client: Client, service: RunningService) -> None:
    job = client.submit(BODY)
    assert client.wait(job["id"])["state"] == "succeeded"
    dataset = Dataset(service.log.with_suffix("") / job["id"])
    page = client.shards(job["id"], after=9, wait=5)
    assert not page["more"]
    for shard, commit in zip(page["shards"], dataset.commits()[10:], strict=True):
        assert (shard["index"], shard["rows"], shard["bytes"]) == (commit.index, commit.rows, commit.bytes)
        assert (shard["file_sha256"], shard["content_sha256"]) == (commit.file_sha256, commit.content_sha256)
        assert shard["url"] == f"/v1/jobs/{job['id']}/shards/{commit.index}"
    row = client.trajectory(job["id"], 27)
    assert set(row) == set(Trajectory.__annotations__)
    table = dataset.read_shard(dataset.commits()[1])
    assert (row["trajectory_id"], row["length"]) == (27, table.column("length")[7].as_py())
    assert [len(sample) for sample in row["joint_position"]] == [7] * row["length"]
    with pytest.raises(ServiceError, match="this dataset has trajectories 0 to 229"):
        client.trajectory(job["id"], 230)


def test_events_tell_every_commit_once_and_how_the_job_ended(client: Client) -> None:
    job = client.submit({**BODY, "seed": 78, "count": 70})
    events = list(client.events(job["id"]))
    assert [event.data["index"] for event in events if event.kind == "commit"] == [0, 1, 2, 3]
    assert events[-1].kind == "state"
    assert events[-1].data == {"state": "succeeded", "reason": ""}
    progress = [event.data for event in events if event.kind == "progress"]
    assert progress[-1]["accepted"] == 70
    middle = next(place for place, event in enumerate(events) if event.kind == "commit" and event.data["index"] == 2)
    rest = list(client.events(job["id"], after=events[middle].id))
    assert [event.data["index"] for event in rest if event.kind == "commit"] == [3]
    assert list(client.events(job["id"], after=events[-1].id)) == []
    assert client.coverage(job["id"])["sampled_rows"] == 70
    assert [entry["index"] for entry in client.manifest(job["id"], after=1, wait=5)["commits"]] == [2, 3]


def test_a_job_is_deleted_once_it_has_ended(client: Client) -> None:
    job = client.submit({**BODY, "count": 500_000, "rate_hz": 2, "shard_rows": 48_000, "seed": 79})
    with pytest.raises(ServiceError) as caught:
        client.delete(job["id"])
    assert caught.value.status == 409
    client.cancel(job["id"])
    assert client.wait(job["id"])["state"] == "cancelled"
    client.delete(job["id"])
    with pytest.raises(ServiceError, match="there is no job"):
        client.job(job["id"])
    again = client.submit({**BODY, "count": 500_000, "rate_hz": 2, "shard_rows": 48_000, "seed": 79})["id"]
    with pytest.raises(ServiceError, match=r"is still (queued|running)"):
        client.wait(again, timeout=0)
    client.cancel(again)


def client_commits(remote: RemoteDataset) -> Commits:
    return wait_for_shards(remote, remote.header.shards).commits


def test_a_dataset_is_opened_by_path_or_url(client: Client, service: RunningService, tmp_path: Path) -> None:
    job = client.submit(BODY)
    url = f"{service.url}/v1/jobs/{job['id']}"
    directory = service.log.with_suffix("") / job["id"]
    for where in (url, url + "/", directory, str(directory)):
        dataset = open_dataset(where, tmp_path)
        assert dataset.header.dataset_id == job["id"]
        wait_for_shards(dataset, 1)
        assert dataset.read_shard(dataset.state().commits[0]).num_rows == 20
    for wrong in (service.url, f"{service.url}/v1/jobs/123", f"{service.url}/v2/jobs/{job['id']}"):
        with pytest.raises(ServiceError, match="is not a job's URL"):
            open_dataset(wrong, tmp_path)
    with pytest.raises(DatasetFormatError):
        open_dataset(tmp_path, tmp_path)


def test_a_cancelled_job_ends_its_followers(client: Client, tmp_path: Path) -> None:
    job = client.submit({**BODY, "count": 500_000, "rate_hz": 2, "shard_rows": 48_000})
    remote = RemoteDataset(client, job["id"], tmp_path)
    assert client.cancel(job["id"])["state"] in ("cancelling", "cancelled")
    with pytest.raises(DatasetCancelledError):
        wait_for_shards(remote, 1, max_wait=10)


def test_errors_say_what_to_do(client: Client, tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match=r"/robot: unknown robot 'nobody'.*; /count: ") as caught:
        client.submit({"robot": "nobody", "count": -1})
    assert caught.value.status == 422
    with pytest.raises(ServiceError, match=r"there is no job ffffffffffff.*GET /v1/jobs lists") as caught:
        client.job("f" * 64)
    assert caught.value.status == 404
    with pytest.raises(ServiceError, match="there is no job"):
        RemoteDataset(client, "f" * 64, tmp_path)
    with pytest.raises(ServiceError, match="not JSON"):
        client.submit({"robot": "panda", "count": float("nan")})
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        with pytest.raises(
            ServiceError, match=f"no service answers at {url} .*; start one with `python -m services"
        ) as caught:
            Client(url).robots()
        assert caught.value.status is None
        with pytest.raises(ServiceError, match="no service answers"):
            Client(url).wait_ready(0.3)
        said: list[str] = []
        with pytest.raises(ServiceError, match="no service answers"):
            Client(url, patience=0.5, tell=said.append).robots()
        assert len(said) == 1
        assert "no service answers" in said[0]
        assert said[0].endswith("trying for another 0 s")
    for wrong in ("127.0.0.1:8000", "ftp://host", "http://[bad", "http://host:99999"):
        with pytest.raises(ServiceError):
            Client(wrong).robots()


def test_keys_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with _answering(lambda headers: (200, {"robots": [], "key": headers.get("Authorization")})) as url:
        monkeypatch.delenv("HEADSTART_API_KEY", raising=False)
        monkeypatch.delenv("HEADSTART_API_KEY_FILE", raising=False)

        def sent(**arguments: Any) -> Any:
            with Client(url, **arguments) as client:
                return client._connection.json("GET", "/", NONE)["key"]

        assert sent() is None
        (tmp_path / "key").write_text("from-file\n")
        monkeypatch.setenv("HEADSTART_API_KEY_FILE", str(tmp_path / "key"))
        assert sent() == "Bearer from-file"
        monkeypatch.setenv("HEADSTART_API_KEY", "from-variable")
        assert sent() == "Bearer from-variable"
        assert sent(api_key="given") == "Bearer given"
        monkeypatch.delenv("HEADSTART_API_KEY")
        monkeypatch.setenv("HEADSTART_API_KEY_FILE", str(tmp_path / "none"))
        with pytest.raises(ServiceError, match="HEADSTART_API_KEY_FILE can't be read"):
            Client(url)


@contextmanager
def _answering(answer: Any) -> Iterator[str]:
    """A server that is not ours."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answer(self.headers)
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (500, b"<html>", "answered 500 without a problem body; is it the service"),
        (404, {"error": "no"}, "answered 404 without a problem body"),
        (200, b"hello", "something else than a JSON object"),
        (200, [1], "something else than a JSON object"),
    ],
)
def test_another_server_is_not_taken_for_the_service(status: int, body: Any, message: str) -> None:
    with _answering(lambda headers: (status, body)) as url, pytest.raises(ServiceError, match=message):
        Client(url).robots()


@pytest.mark.parametrize("pieces", [[], [b"hello"], [b"\xff\xff\xff\xff\x10\x00", b"\x00\x00"]])
def test_a_stream_that_is_none_is_an_error(pieces: list[bytes]) -> None:
    with pytest.raises(ServiceError, match="the stream of rows ended early, or is none"):
        list(record_batches(iter(pieces)))


def test_bytes_that_are_not_those_committed_are_never_kept(tmp_path: Path) -> None:
    commit = Commit(0, 1, 1, 5, "shard-00000000.parquet", "0" * 64, "0" * 64, 1, {})
    asked: list[int] = []

    def answer(_: Any) -> tuple[int, bytes]:
        asked.append(1)
        return 200, b"wrong"

    with _answering(answer) as url, Client(url) as client, pytest.raises(CorruptShardError, match="bytes differ"):
        client.fetch_shard("a" * 64, commit, tmp_path / "cache")
    assert len(asked) == 2
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_service_that_is_killed_and_started_again_is_waited_for(tmp_path: Path, client: Client) -> None:
    undisturbed = RemoteDataset(client, client.submit(BODY)["id"], tmp_path / "undisturbed")
    expected = wait_for_shards(undisturbed, undisturbed.header.shards).commits
    data = tmp_path / "data"
    service = RunningService(data, *ENGINE)
    try:
        port = httpx.URL(service.url).port or 0
        with Client(service.url) as killed:
            killed.wait_ready()
            job = killed.submit(BODY)
            remote = RemoteDataset(killed, job["id"], tmp_path / "cache", patience=60)
            wait_for_shards(remote, 2)
            events: list[Event] = []
            watcher = threading.Thread(target=lambda: events.extend(killed.patient(60).events(job["id"])))
            watcher.start()
            service.kill()
            with pytest.raises(ServiceError, match="no service answers"):
                killed.job(job["id"])
            back = threading.Timer(1.0, lambda: restarted.append(RunningService(data, *ENGINE, port=port)))
            restarted: list[RunningService] = []
            back.start()
            state = wait_for_shards(remote, remote.header.shards, max_wait=60)
            back.join()
            watcher.join()
            service = restarted[0]
            assert [event.data["index"] for event in events if event.kind == "commit"] == list(range(12))
            assert events[-1].data["state"] == "succeeded"
            assert [c.content_sha256 for c in state.commits] == [c.content_sha256 for c in expected]
            assert sum(remote.read_shard(commit).num_rows for commit in state.commits) == 230
            assert next(killed.jobs())["id"] == job["id"]
    finally:
        service.kill()
