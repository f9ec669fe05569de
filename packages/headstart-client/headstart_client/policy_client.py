"""Asks a policy server for chunks, as docs/policies.md describes its messages."""

import contextlib
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import httpx
import msgpack
import numpy as np
from numpy.typing import ArrayLike, NDArray
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect


class PolicyError(RuntimeError):
    """The policy server gave no actions."""


class PolicyClient:
    """One robot's connection to a policy server; after a failure the next call connects anew. For one thread.

    Attributes:
        about: what the server says of the policy: rate_hz, n_obs_steps, n_picture_steps, observations, cameras, ...
    """

    def __init__(
        self, url: str, *, policy: str | None = None, api_key: str | None = None, timeout_s: float = 5.0
    ) -> None:
        """Reads what the policy is. No proxy is used.

        Args:
            url: of the server, as http://127.0.0.1:8100.
            policy: name of the one to ask, where the server has several; its first where it is None.
            api_key: where it wants one.
            timeout_s: for connecting and for an answer [s].

        Raises PolicyError, also where the policy has to be told the arm's state, which this client does not send.
        """
        self._headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        self._policy = policy
        self._socket: ClientConnection | None = None
        self._connection = contextlib.ExitStack()
        self._timeout_s = timeout_s
        self._address = "ws" + url.rstrip("/").removeprefix("http") + "/v1/actions"
        self.about = self._about(url.rstrip("/"))
        if self.about.get("needs_state"):
            raise PolicyError(
                f"{url}: the policy's actions are relative to the arm's state, which it does not see, and this client "
                "does not send; adapt it with the state among its observations, or send `current_state` in messages of "
                "your own (docs/policies.md)"
            )

    def __call__(
        self, observation: Mapping[str, ArrayLike], prefix: ArrayLike | None = None, n_action_steps: int | None = None
    ) -> NDArray[np.float64]:
        """The actions for an observation, (steps, action_dim), the first for the observation's own moment.

        Args:
            observation: of every key that the policy sees, (n_obs_steps, width), and of every camera,
                (n_picture_steps, height, width, 3) uint8; the latest last.
            prefix: actions that are fixed already, (m, action_dim), as `Executor.prefix` gives them.
            n_action_steps: how many to answer with; all that the policy predicts where it is None.

        Raises PolicyError.
        """
        cameras = self.about["cameras"]
        message: dict[str, Any] = {
            "observations": {key: _packed([value], "<f4") for key, value in observation.items() if key not in cameras},
            "n_action_steps": n_action_steps or self.about["most_action_steps"],
        }
        if self._policy is not None:
            message["policy"] = self._policy
        if cameras:
            message["pictures"] = {key: _packed([observation[key]], "|u1") for key in cameras if key in observation}
        if prefix is not None:
            message["prefix"] = _packed([prefix], "<f4")
        answer = self._exchange(msgpack.packb(message))
        if "problem" in answer:
            raise PolicyError(f"the policy server refused the message: {answer['problem']}")
        try:
            given = answer["actions"]
            actions = np.frombuffer(given["data"], given["dtype"]).reshape(given["shape"])
            first: NDArray[np.float64] = actions[0].astype(np.float64)
            return first
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise PolicyError(f"the policy server's answer is none: {error!r}") from error

    def _about(self, url: str) -> dict[str, Any]:
        try:
            with httpx.Client(headers=self._headers, timeout=self._timeout_s, trust_env=False) as client:
                answer = client.get(f"{url}/v1/policy" if self._policy is None else f"{url}/v1/policies")
            found: dict[str, Any] = answer.raise_for_status().json()
            if self._policy is None:
                return found
            policies: dict[str, dict[str, Any]] = {about["name"]: about for about in found["policies"]}
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
            raise PolicyError(f"{url} does not answer as a policy server: {error}") from error
        if self._policy not in policies:
            raise PolicyError(f"{url} has no policy {self._policy!r}; it has {', '.join(policies)}")
        return policies[self._policy]

    def _exchange(self, message: bytes) -> dict[str, Any]:
        try:
            if self._socket is None:
                opening = connect(
                    self._address,
                    additional_headers=self._headers,
                    max_size=None,
                    open_timeout=self._timeout_s,
                    proxy=None,
                )
                self._socket = self._connection.enter_context(opening)
            self._socket.send(message)
            answer = msgpack.unpackb(self._socket.recv(timeout=self._timeout_s, decode=False))
        except (OSError, WebSocketException, ValueError, msgpack.UnpackException) as error:
            # An answer that comes later would be taken for that of the next message.
            self.close()
            raise PolicyError(f"{self._address}: {error!r}") from error
        if not isinstance(answer, dict):
            raise PolicyError(f"the policy server's answer is no map but {type(answer).__name__}")
        return answer

    def close(self) -> None:
        """Closes the connection."""
        self._socket = None
        with contextlib.suppress(OSError, WebSocketException):
            self._connection.close()

    def __enter__(self) -> "PolicyClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _packed(values: Any, dtype: str) -> dict[str, Any]:
    array = np.ascontiguousarray(values, dtype)
    return {"dtype": array.dtype.name, "shape": array.shape, "data": array.tobytes()}
