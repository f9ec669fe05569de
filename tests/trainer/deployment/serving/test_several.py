"""One server of fifty policies of one backbone and of one of another: each is asked by its name."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgpack
import numpy as np
import pytest
from openpi_client.websocket_client_policy import WebsocketClientPolicy
from websockets.sync.client import connect

from headstart_client import PolicyClient, PolicyError
from shared.errors import ConfigError
from tests.pages import commands, free_port, runnable, running
from tests.trainer.adapters import make_adapters
from tests.trainer.policies import serving
from trainer.__main__ import main
from trainer.deployment.policy import Policy
from trainer.deployment.serving.ensemble import TemporalEnsemble
from trainer.deployment.serving.messages import array
from trainer.deployment.serving.names import named_paths

TYPE = {"Content-Type": "application/msgpack"}
RNG = np.random.default_rng(0)
KEYS = '[observations]\ntarget = "state[0:3]"\ntcp_rotation_6d = "state[3:9]"\n[pictures]\nfront = "image"\n'
NAMES = [f"task-{index:02}" for index in range(50)]


class Served(NamedTuple):
    """A server's URL, and the run of each of its names."""

    url: str
    runs: dict[str, Path]


@pytest.fixture(scope="module")
def served(low_dim_run: Path, camera_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("several")
    runs = make_adapters(low_dim_run, folder, 50)
    (folder / "keys.toml").write_text(KEYS)
    arguments = ("--device", "cpu", "--ensemble", "0.1", "--openpi-keys", str(folder / "keys.toml"))
    with serving([*map(str, runs), f"with-camera={camera_run}"], folder, *arguments) as url:
        yield Served(url, {run.name: run for run in runs} | {"with-camera": camera_run})


def message(robots: int, **more: Any) -> tuple[np.ndarray, dict[str, Any]]:
    """Random observations (robots, 2, 9) and the message that has them."""
    seen = RNG.uniform(-1, 1, (robots, 2, 9)).astype(np.float32)
    keys = {"target": array(seen[..., :3]), "tcp_rotation_6d": array(seen[..., 3:])}
    return seen, {"observations": keys, **more}


def unpacked(content: bytes | str) -> np.ndarray:
    assert isinstance(content, bytes)
    given = msgpack.unpackb(content)["actions"]
    return np.frombuffer(given["data"], given["dtype"]).reshape(given["shape"])


def post(url: str, asked: dict[str, Any]) -> httpx.Response:
    return httpx.post(f"{url}/v1/actions", content=msgpack.packb(asked), headers=TYPE, trust_env=False)


def test_each_is_listed_and_the_first_is_the_one_of_v1_policy(served: Served) -> None:
    policies = httpx.get(f"{served.url}/v1/policies", trust_env=False).json()["policies"]
    assert [about["name"] for about in policies] == [*NAMES, "with-camera"]
    assert [about["task"] for about in policies[:50]] == [f"task {index}" for index in range(50)]
    assert len({about["backbone"] for about in policies[:50]}) == 1
    assert (policies[50]["backbone"], policies[50]["cameras"]) == (None, {"front": [40, 44]})
    assert httpx.get(f"{served.url}/v1/policy", trust_env=False).json() == policies[0]


def test_each_answers_over_both_as_it_does_alone(served: Served) -> None:
    with connect(served.url.replace("http", "ws") + "/v1/actions") as socket:
        for name in NAMES:
            seen, asked = message(2, policy=name)
            socket.send(msgpack.packb(asked))
            assert np.array_equal(unpacked(socket.recv()), Policy.load(served.runs[name])(seen))
    for name in (NAMES[0], NAMES[49]):
        seen, asked = message(1, policy=name)
        assert np.array_equal(unpacked(post(served.url, asked).content), Policy.load(served.runs[name])(seen))
    seen, asked = message(1)
    first = Policy.load(served.runs[NAMES[0]])(seen)
    assert np.array_equal(unpacked(post(served.url, asked).content), first)
    assert np.array_equal(unpacked(post(served.url, {**asked, "policy": None}).content), first)


def test_an_unknown_name_is_a_problem_that_lists_those_there_are(served: Served) -> None:
    _, asked = message(1)
    for name in ("lift", "", 3, ["task-00"], {"name": "task-00"}):
        response = post(served.url, {**asked, "policy": name})
        assert response.status_code == 422
        (said,) = response.json()["errors"]
        assert said["pointer"] == "/policy"
        assert said["detail"].startswith(f"there is no policy {str(name)!r} here; there are task-00, task-01, ")
        assert said["detail"].endswith(", task-49, with-camera")
    with connect(served.url.replace("http", "ws") + "/v1/actions") as socket:
        socket.send(msgpack.packb({**asked, "policy": "lift"}))
        assert msgpack.unpackb(socket.recv())["problem"]["errors"][0]["pointer"] == "/policy"
        socket.send(msgpack.packb(asked))
        assert unpacked(socket.recv()).shape == (1, 8, 10)


def test_a_message_must_fit_the_policy_that_it_chooses(served: Served) -> None:
    response = post(served.url, message(1, policy="with-camera")[1])
    assert response.status_code == 422
    assert response.json()["errors"] == [{"pointer": "/pictures/front", "detail": "is missing"}]


def test_sessions_are_each_policys_own(served: Served) -> None:
    names, ensembles = NAMES[:2], [TemporalEnsemble(0.1, "ee_pose") for _ in range(2)]
    policies = [Policy.load(served.runs[name]) for name in names]
    for step in range(2):
        for name, policy, ensemble in zip(names, policies, ensembles, strict=True):
            seen, asked = message(1, policy=name, sessions=["arm"], steps=[step])
            expected = ensemble("arm", step, policy.predict(seen)[0])[:8]
            assert np.array_equal(unpacked(post(served.url, asked).content)[0], expected)


def test_the_client_package_asks_the_one_that_it_names(served: Served) -> None:
    pictures = RNG.integers(0, 256, (2, 40, 44, 3), np.uint8)
    (low_dim,), _ = message(1)
    seen = {"target": low_dim[:, :3], "tcp_rotation_6d": low_dim[:, 3:]}
    with PolicyClient(served.url, policy="task-07") as client:
        assert client.about["task"] == "task 7"
        assert np.array_equal(client(seen), Policy.load(served.runs["task-07"]).predict(low_dim[None])[0])
    with PolicyClient(served.url) as client:
        assert np.array_equal(client(seen), Policy.load(served.runs["task-00"]).predict(low_dim[None])[0])
    with PolicyClient(served.url, policy="with-camera") as client:
        expected = Policy.load(served.runs["with-camera"]).predict(low_dim[None], {"front": pictures[None]})[0]
        assert np.array_equal(client({**seen, "front": pictures}), expected)
    with pytest.raises(PolicyError, match=r"has no policy 'lift'; it has task-00, .*, with-camera$"):
        PolicyClient(served.url, policy="lift")


@pytest.mark.filterwarnings("ignore:connect.. must be used as a context manager:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_openpis_client_chooses_by_a_key_of_the_observation(served: Served) -> None:
    client = WebsocketClientPolicy(served.url.replace("http", "ws"))
    about = client.get_server_metadata()
    assert (about["name"], about["policies"]) == ("task-00", [*NAMES, "with-camera"])
    (state,), _ = message(1)
    picture = RNG.integers(0, 256, (2, 40, 44, 3), np.uint8)
    for name in ("task-00", "task-31"):
        answer = client.infer({"state": state, "policy": name})
        assert np.array_equal(answer["actions"], Policy.load(served.runs[name])(state[None])[0])
    assert np.array_equal(
        client.infer({"state": state})["actions"], Policy.load(served.runs["task-00"])(state[None])[0]
    )
    seen = client.infer({"state": state, "image": picture, "policy": "with-camera"})["actions"]
    camera = Policy.load(served.runs["with-camera"])
    assert np.array_equal(seen, camera(state[None], {"front": picture[None]})[0])
    with pytest.raises(RuntimeError, match="there is no policy 'lift' here; there are task-00"):
        client.infer({"state": state, "policy": "lift"})


def test_the_pages_command_serves_several(served: Served, tmp_path: Path) -> None:
    (_, serve), port = (command for command in commands("docs/policies.md") if " serve " in command), str(free_port())
    (tmp_path / "runs").mkdir()
    for name, run in zip(("lift", "stack", "my-policy"), served.runs.values(), strict=False):
        (tmp_path / "runs" / name).symlink_to(run)
    url = f"http://127.0.0.1:{port}"
    with running(runnable(serve).replace("8100", port), tmp_path, f"{url}/healthz"):
        policies = httpx.get(f"{url}/v1/policies", trust_env=False).json()["policies"]
        assert [(about["name"], about["task"]) for about in policies] == [
            ("lift", "task 0"),
            ("stack", "task 1"),
            ("drawer", "task 2"),
        ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("runs/a/lift", "runs/b/lift"),
            "two policies are called 'lift': runs/a/lift and runs/b/lift; call one otherwise, as in other=runs/b/lift",
        ),
        (("lift=a", "lift=b"), "two policies are called 'lift': a and b; call one otherwise, as in other=b"),
        (("=a",), "'=a': a policy's name has 1 to 100 characters; give it as NAME=PATH"),
        (("lift", "can", "--compile-for", "1"), "--compile-for is for one policy: what is compiled has its backbone "),
    ],
)
def test_what_can_not_be_served_together_is_refused_at_the_start(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"error: {said}")


def test_a_policy_is_called_as_its_run_or_as_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a=b").mkdir()
    monkeypatch.chdir(tmp_path)
    given = [
        "runs/lift/", "runs/can/checkpoints/step-00000005.safetensors", "kept/stack.safetensors", "door=runs/x=1",
        "runs/x=1/square", "a=b", ".",
    ]  # fmt: skip
    assert {name: str(path) for name, path in named_paths(given).items()} == {
        "lift": "runs/lift",
        "can": "runs/can/checkpoints/step-00000005.safetensors",
        "stack": "kept/stack.safetensors",
        "door": "runs/x=1",
        "square": "runs/x=1/square",
        "a=b": "a=b",
        tmp_path.name: ".",
    }
    with pytest.raises(ConfigError, match=re.escape(f"{'n' * 101}=a")):
        named_paths([f"{'n' * 101}=a"])
