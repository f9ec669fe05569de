"""openpi's own client, as it is on PyPI, asks a real policy server and drives a rollout."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from openpi_client.websocket_client_policy import WebsocketClientPolicy
from websockets.exceptions import InvalidStatus

from shared.errors import ConfigError, RequestError
from tests.trainer.example import HEADS, training
from tests.trainer.policies import serving
from trainer.config import AdaptConfig
from trainer.data.demonstrations import read_demonstrations
from trainer.deployment.policy import Policy
from trainer.deployment.serving.openpi import read_keys, read_observation, unpack
from trainer.simulation.collect import collect
from trainer.simulation.observation import observation_widths
from trainer.simulation.rollout import rollout
from trainer.simulation.task import find_task
from trainer.stages.adapt import adapt
from trainer.training.checkpoint import load_checkpoint
from trainer.training.checkpoint_info import CheckpointInfo

KEYS = """
[observations]
target = "observation/state[0:3]"
tcp_rotation_6d = "observation/state[3:9]"
[pictures]
front = "observation/image"
"""
RNG = np.random.default_rng(0)
# It connects in a way that websockets now deprecates, and does not always close.
pytestmark = [
    pytest.mark.filterwarnings("ignore:connect.. must be used as a context manager:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]


def openpi(url: str, **more: str) -> WebsocketClientPolicy:
    return WebsocketClientPolicy(url.replace("http", "ws"), **more)


@pytest.fixture(scope="module")
def url(camera_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    (folder / "keys.toml").write_text(KEYS)
    with serving(camera_run, folder, "--device", "cpu", "--openpi-keys", str(folder / "keys.toml")) as found:
        yield found


@pytest.fixture(scope="module")
def info(camera_run: Path) -> CheckpointInfo:
    return load_checkpoint(camera_run)[1]


def test_its_client_gets_the_actions_of_the_policy(url: str, camera_run: Path) -> None:
    policy, client = Policy.load(camera_run), openpi(url)
    assert client.get_server_metadata()["n_obs_steps"] == 2
    state, picture = RNG.uniform(-1, 1, (2, 9)).astype(np.float32), RNG.integers(0, 256, (2, 40, 44, 3), np.uint8)
    steps = {"observation/state": state, "observation/image": picture, "prompt": "put it there"}
    answer = client.infer(steps)
    assert np.array_equal(answer["actions"], policy(state[None], {"front": picture[None]})[0])
    assert answer["rate_hz"] == 20.0
    assert answer["server_timing"]["infer_ms"] > 0
    # Maps in one another, and one step alone.
    latest = client.infer({"observation": {"state": state[1].astype(np.float64), "image": picture[1]}})
    repeated = policy(state[None, [1, 1]], {"front": picture[None, [1, 1]]})[0]
    assert np.array_equal(latest["actions"], repeated)
    joined = client.infer({**steps, "prefix": answer["actions"][1:3]})["actions"]
    assert np.array_equal(joined, policy(state[None], {"front": picture[None]}, answer["actions"][None, 1:3])[0])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"observation/state": None}, "/observation/state: must hold numbers alone"),
        ({"observation/image": np.zeros((3, 40, 44), np.float32)}, "/pictures/front"),
        ({"observation/image": np.zeros((20, 44, 3), np.uint8)}, "/pictures/front: has shape"),
        ({"observation/state": np.full(9, np.nan)}, "/observations/target: holds numbers that are not finite"),
        ({"observation/state": np.zeros(4)}, "/observations/tcp_rotation_6d: has shape"),
    ],
)
def test_what_does_not_fit_is_an_error_and_the_connection_stays(url: str, change: dict[str, Any], said: str) -> None:
    client = openpi(url)
    good = {"observation/state": np.zeros(9), "observation/image": np.zeros((40, 44, 3), np.uint8)}
    with pytest.raises(RuntimeError, match=said):
        client.infer({**good, **change})
    assert client.infer(good)["actions"].shape == (8, 10)


def test_what_is_no_message_of_openpis_is_refused(info: CheckpointInfo) -> None:
    keys = read_keys(None, info)
    for content, said in (
        (b"\xc1", "not MessagePack"),
        (msgpack.packb([1]), "not a map"),
        (msgpack.packb({"target": [0, 0, 0]}), "/tcp_rotation_6d: is missing; the message has target"),
        (_packed(dtype="|O"), "one of"),
        (_packed(shape=[3, -1]), "a shape of sizes"),
        (_packed(shape=[2**31 - 1, 2**31 - 1]), "12 bytes, which is not shape"),
        (_packed(data="text"), "a shape of sizes"),
    ):
        with pytest.raises(RequestError, match=said):
            read_observation(unpack(content), info, keys)


def _packed(**change: Any) -> bytes:
    array = {"__ndarray__": True, "data": bytes(12), "dtype": "<f4", "shape": [3], **change}
    packed: bytes = msgpack.packb({"target": {key.encode(): value for key, value in array.items()}})
    return packed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[observations", "can't be read"),
        ("[actions]\n", "its tables are observations and pictures"),
        ('[observations]\nforce = "x"\n', "does not see 'force'; it sees target, tcp_rotation_6d"),
        ('[observations]\ntarget = "x[0:3"\n', "write the client's key"),
        ("[observations]\ntarget = 3\n", "write the client's key"),
        ("pictures = 3\n", "must be a table"),
    ],
)
def test_wrong_keys_are_named(text: str, said: str, info: CheckpointInfo, tmp_path: Path) -> None:
    (tmp_path / "keys.toml").write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_keys(tmp_path / "keys.toml", info)


def test_its_key_is_asked_for(low_dim_run: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a-key-of-enough-characters\n")
    with serving(low_dim_run, tmp_path, "--device", "cpu", "--api-key-file", str(tmp_path / "key")) as found:
        with pytest.raises(InvalidStatus):
            openpi(found)
        client = openpi(found, api_key="a-key-of-enough-characters")
        assert client.infer({"target": np.zeros(3), "tcp_rotation_6d": np.zeros(6)})["actions"].shape == (8, 10)


def test_it_drives_a_rollout(tmp_path: Path) -> None:
    lift = find_task("lift")
    demonstrations = read_demonstrations(collect("lift", tmp_path / "lift.hdf5", successes=2))
    config = AdaptConfig(mode="random_body", head=HEADS["dp_mlp-adaln_zero"], training=training(2))
    spans = {"position": {"min": [-1.0] * 3, "max": [1.0] * 3}, "joint_position": {"min": [-3.0] * 7, "max": [3.0] * 7}}
    adapt(tmp_path / "run", demonstrations, config, action_range=spans)
    policy, ends = Policy.load(tmp_path / "run"), np.cumsum(list(observation_widths(lift).values()))

    def one_by_one(seen: np.ndarray, fixed: np.ndarray) -> np.ndarray:
        # As the server is asked: on some processors rounding depends on how many there are in a batch.
        return np.concatenate([policy(one[None]) for one in seen])

    direct = rollout(lift, one_by_one, (7, 8), episode_limit=24)
    with serving(tmp_path / "run", tmp_path, "--device", "cpu") as url:
        client = openpi(url)

        def asked(seen: np.ndarray, fixed: np.ndarray) -> np.ndarray:
            keys = [dict(zip(observation_widths(lift), np.split(one, ends[:-1], axis=-1), strict=True)) for one in seen]
            return np.stack([client.infer(one)["actions"] for one in keys])

        through = rollout(lift, asked, (7, 8), episode_limit=24)
    for one, other in zip(direct, through, strict=True):
        assert one.steps == other.steps == 24
        assert np.array_equal(one.commands, other.commands)
        assert np.array_equal(one.positions, other.positions)
