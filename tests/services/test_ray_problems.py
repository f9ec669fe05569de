"""What is said of Ray that could not be joined or started."""

import pytest

from services.engine.ray_driver import not_joined

KEYS = "are RAY_AUTH_MODE and the token the same on both sides?"


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("Version mismatch: The cluster was started with Ray 2.50, this process has 2.60\nmore"),
        ValueError("Can't find a node_ip_address.json file"),
        OSError(28, "No space left on device"),
    ],
)
def test_other_causes_are_not_blamed_on_the_key(error: Exception) -> None:
    for address in ("10.0.0.1:6379", ""):
        said = not_joined(address, error)
        assert KEYS not in said
        assert said.endswith(f"{str(error).splitlines()[0]}; `--engine process` needs no Ray")


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("Token authentication is enabled but the authentication token is invalid or incorrect."),
        RuntimeError("rpc failed: Unauthenticated"),
        TimeoutError("no answer"),
        ConnectionError("Failed to connect to GCS"),
        TimeoutError(),
    ],
)
def test_a_key_is_asked_for_where_a_cluster_may_refuse_it(error: Exception) -> None:
    said = not_joined("10.0.0.1:6379", error)
    assert said.startswith("Ray at 10.0.0.1:6379 could not be joined: ")
    assert said.endswith(f"; {KEYS} `--engine process` needs no Ray")
    # What is started in here has this process's own key.
    assert KEYS not in not_joined("", error)
    assert not_joined("", error).startswith("Ray could not be started: ")
