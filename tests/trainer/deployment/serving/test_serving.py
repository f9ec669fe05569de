"""The policy server in a process of its own, over HTTP and WebSocket, and what it refuses."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgpack
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from tests import warm
from tests.pages import blocks, commands, free_port, runnable, running
from tests.trainer.policies import ROOT, serving
from trainer.deployment.policy import Policy
from trainer.deployment.serving.ensemble import TemporalEnsemble
from trainer.deployment.serving.messages import array

TYPE = {"Content-Type": "application/msgpack"}
PAGE = "docs/policies.md"
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def url(low_dim_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    arguments = ("--robots", "8", "--device", "cpu", "--ensemble", "0.1")
    with serving(low_dim_run, tmp_path_factory.mktemp("server"), *arguments) as found:
        yield found


def message(robots: int, **more: Any) -> tuple[np.ndarray, dict[str, Any]]:
    """Random observations (robots, 2, 9) and the message that has them."""
    seen = RNG.uniform(-1, 1, (robots, 2, 9)).astype(np.float32)
    keys = {"target": array(seen[..., :3]), "tcp_rotation_6d": array(seen[..., 3:])}
    return seen, {"observations": keys, **more}


def unpacked(content: bytes) -> np.ndarray:
    given = msgpack.unpackb(content)["actions"]
    return np.frombuffer(given["data"], given["dtype"]).reshape(given["shape"])


def post(url: str, content: bytes, **headers: str) -> httpx.Response:
    return httpx.post(f"{url}/v1/actions", content=content, headers={**TYPE, **headers}, trust_env=False)


def problem(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    assert "Traceback" not in response.text
    return body


def test_it_answers_as_the_policy_does_over_both(url: str, low_dim_run: Path) -> None:
    policy = Policy.load(low_dim_run)
    about = httpx.get(f"{url}/v1/policy", trust_env=False).json()
    assert about["observations"] == {"target": 3, "tcp_rotation_6d": 6}
    assert (about["action_dim"], about["n_obs_steps"], about["n_action_steps"]) == (10, 2, 8)
    assert (about["prediction_type"], about["sampling_steps"]) == ("epsilon", 10)
    with connect(url.replace("http", "ws") + "/v1/actions") as socket:
        for robots in (1, 3, 8):
            seen, asked = message(robots)
            expected = policy(seen)
            content = msgpack.packb(asked)
            by_http = unpacked(post(url, content).raise_for_status().content)
            socket.send(content)
            by_socket = unpacked(bytes(socket.recv()))  # type: ignore[arg-type]
            assert np.array_equal(by_http, expected)
            assert np.array_equal(by_socket, expected)


def test_sessions_are_ensembled_each_by_itself(url: str, low_dim_run: Path) -> None:
    policy, ensemble = Policy.load(low_dim_run), TemporalEnsemble(0.1, "ee_pose")
    for step in range(3):
        seen, asked = message(2, sessions=["one", "two"], steps=[step, 5 * step])
        chunks = policy.predict(seen)
        expected = [ensemble("one", step, chunks[0])[:8], ensemble("two", 5 * step, chunks[1])[:8]]
        assert np.abs(unpacked(post(url, msgpack.packb(asked)).content) - np.stack(expected)).max() < 1e-6


def test_bad_calls_get_a_problem(url: str) -> None:
    _, good = message(1)
    content = msgpack.packb(good)
    problem(post(url, content, **{"Content-Type": "application/json"}), 415)
    problem(post(url, b"\xc1"), 422)
    problem(post(url, b""), 422)
    assert (
        problem(post(url, msgpack.packb({"observations": {}})), 422)["errors"][0]["pointer"] == "/observations/target"
    )
    about = httpx.get(f"{url}/v1/policy", trust_env=False).json()
    problem(post(url, bytes(about["most_bytes"] + 1)), 413)
    problem(post(url, msgpack.packb(message(9)[1])), 422)
    problem(httpx.get(f"{url}/v1/actions", trust_env=False), 405)
    problem(httpx.get(f"{url}/nothing", trust_env=False), 404)
    for header in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Origin": "http://["}):
        problem(post(url, content, **header), 403)
    with (
        pytest.raises(InvalidStatus, match="403"),
        connect(url.replace("http", "ws") + "/v1/actions", origin=Origin("http://evil.example")),
    ):
        pass
    with connect(url.replace("http", "ws") + "/v1/actions") as socket:
        for bad, status in ((b"\xc1", 422), ("text", 415)):
            socket.send(bad)
            assert msgpack.unpackb(socket.recv())["problem"]["status"] == status
        socket.send(content)
        assert unpacked(bytes(socket.recv())).shape == (1, 8, 10)  # type: ignore[arg-type]
        socket.send(bytes(about["most_bytes"] + 1))
        with pytest.raises(ConnectionClosedError, match="1009"):
            socket.recv()


def test_other_machines_need_a_key(low_dim_run: Path, tmp_path: Path) -> None:
    command = [warm.python("trainer"), "-m", "trainer", "serve", str(low_dim_run), "--host", "0.0.0.0", "--port", "0"]
    refused = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert refused.returncode == 2
    assert "an API key is needed" in refused.stderr
    key_file, content = tmp_path / "key", msgpack.packb(message(1)[1])
    arguments = ("--host", "0.0.0.0", "--api-key-file", str(key_file), "--device", "cpu")
    with serving(low_dim_run, tmp_path, *arguments) as found:
        url = found.replace("0.0.0.0", "127.0.0.1")
        key = key_file.read_text().strip()
        problem(post(url, content), 401)
        problem(post(url, content, Authorization="Bearer " + "x" * 32), 401)
        assert httpx.get(f"{url}/healthz", trust_env=False).status_code == 200
        assert post(url, content, Authorization=f"Bearer {key}").status_code == 200
        without = msgpack.packb(message(1, sessions=["a"], steps=[0])[1])
        assert "--ensemble" in problem(post(url, without, Authorization=f"Bearer {key}"), 422)["detail"]
        with pytest.raises(InvalidStatus, match="403"), connect(url.replace("http", "ws") + "/v1/actions"):
            pass


def test_compiled_it_answers_the_same_but_for_rounding(low_dim_run: Path, tmp_path: Path) -> None:
    command = [
        warm.python("trainer"),
        "-m",
        "trainer",
        "serve",
        str(low_dim_run),
        "--robots",
        "8",
        "--compile-for",
        "9",
    ]
    refused = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert (refused.returncode, refused.stderr) == (2, "error: --compile-for 9: a message has 1 to 8 robots\n")
    policy = Policy.load(low_dim_run)
    with serving(low_dim_run, tmp_path, "--device", "cpu", "--compile-for", "1") as url:
        for robots, most in ((1, 0.01), (3, 0.0), (1, 0.01)):
            seen, asked = message(robots)
            answer = post(url, msgpack.packb(asked)).raise_for_status()
            assert np.abs(unpacked(answer.content) - policy(seen)).max() <= most


def test_the_pages_server_and_its_clients_work_with_pictures(
    camera_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "my-policy").symlink_to(camera_run)
    serve = next(command for command in commands(PAGE) if " serve " in command)
    clients, port = blocks(PAGE, "python")[:2], str(free_port())
    for text in (serve, *clients):
        assert "8100" in text
    with running(runnable(serve).replace("8100", port), tmp_path, f"http://127.0.0.1:{port}/healthz"):
        script = "\n".join(clients).replace("8100", port)
        answer: dict[str, Any] = {}
        exec(script, answer)
    assert capsys.readouterr().out.splitlines()[-1] == "(2, 8, 10)"
    assert answer["answer"]["actions"]["shape"] == [2, 8, 10]
