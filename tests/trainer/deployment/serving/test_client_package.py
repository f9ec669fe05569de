"""The client package's connection to a real policy server."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from headstart_client import PolicyClient, PolicyError
from tests.pages import free_port
from tests.trainer.policies import serving
from trainer.deployment.policy import Policy

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def url(camera_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(camera_run, tmp_path_factory.mktemp("server"), "--device", "cpu") as found:
        yield found


def test_it_gets_the_actions_of_the_policy(url: str, camera_run: Path) -> None:
    policy, pictures = Policy.load(camera_run), RNG.integers(0, 256, (2, 40, 44, 3), np.uint8)
    low_dim = RNG.uniform(-1, 1, (2, 9)).astype(np.float32)
    seen = {"target": low_dim[:, :3], "tcp_rotation_6d": low_dim[:, 3:], "front": pictures}
    with PolicyClient(url) as client:
        assert client.about["cameras"] == {"front": [40, 44]}
        first = client(seen)
        assert np.array_equal(first, policy.predict(low_dim[None], {"front": pictures[None]})[0])
        prefix = first[2:5].astype(np.float32)
        joined = client(seen, prefix, n_action_steps=4)
        expected = policy.predict(low_dim[None], {"front": pictures[None]}, prefix[None])[0, :4]
        assert np.array_equal(joined, expected)


def test_what_the_server_refuses_is_an_error_and_the_connection_stays(url: str) -> None:
    with PolicyClient(url) as client:
        for _ in range(2):
            with pytest.raises(PolicyError, match="front"):
                client({"target": np.zeros((2, 3)), "tcp_rotation_6d": np.zeros((2, 6))})


def test_no_server_is_an_error_that_names_it() -> None:
    address = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(PolicyError, match=address):
        PolicyClient(address)
