"""One HTTP connection to the service: its key, patience while it restarts, and its problems as ServiceError."""

import json
import os
import socket
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from headstart_client.errors import ServiceError
from headstart_client.service.loopback import is_loopback

Json = dict[str, Any]
T = TypeVar("T")

_AWAY_STATUS = (502, 503, 504)
_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 2.0
_TELL_EVERY_S = 10.0
_KEEP_ALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""A connection over which nothing comes is asked after 30 s, then every 10 s, and is dead after three silences."""


@dataclass(frozen=True)
class Patience:
    """How long a call is repeated for while the service is away, with pauses that grow from 0.1 to 2 s.

    Attributes:
        seconds: without an answer before the call is given up.
        tell: told, at once and then every ten seconds, that the service is away.
    """

    seconds: float = 0.0
    tell: Callable[[str], None] = lambda text: None


NONE = Patience()


class Connection:
    """Calls to one service. Safe to use from several threads."""

    def __init__(self, url: str, api_key: str | None, timeout: float) -> None:
        """Prepares calls; connects with the first one. See headstart_client.service.client.Client for the arguments."""
        self.url = url.rstrip("/")
        key = _key_from_environment() if api_key is None else api_key
        try:
            self._http = httpx.Client(
                base_url=self.url,
                headers={"Authorization": f"Bearer {key}"} if key else {},
                timeout=timeout,
                # A proxy set for the outside world can't reach a service on this machine.
                trust_env=not is_loopback(httpx.URL(self.url).host),
            )
        except (httpx.InvalidURL, ValueError) as error:
            raise ServiceError(f"{url!r} or its key can't be used: {error}; a URL is like http://host:8000") from None
        # Whoever forgets to close it leaves no socket behind.
        weakref.finalize(self, self._http.close)

    def close(self) -> None:
        """Closes it."""
        self._http.close()

    def json(self, method: str, path: str, patience: Patience, **arguments: Any) -> Json:
        """The JSON object that a call answers; {} if it answers that there is nothing to say (204)."""
        content = self.content(method, path, patience, **arguments)
        try:
            body = json.loads(content) if content else {}
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise ServiceError(f"{self.url}{path} answered something else than a JSON object; is it the service?")
        return body

    def content(self, method: str, path: str, patience: Patience, **arguments: Any) -> bytes:
        """What a call answers."""
        if "json" in arguments:
            arguments["content"] = _encode(arguments.pop("json"))
            arguments["headers"] = {**arguments.get("headers", {}), "Content-Type": "application/json"}

        def once() -> bytes:
            response = self._http.request(method, path, **arguments)
            if response.is_error:
                raise _problem(response, self.url)
            return response.content

        return self.patiently(once, patience)

    def download(self, path: str, target: Path, patience: Patience) -> None:
        """Writes what `path` answers into the file `target`, whole or with an error."""

        def once() -> None:
            with self.open(path) as response, target.open("wb") as file:
                for chunk in response.iter_bytes(1 << 20):
                    file.write(chunk)

        self.patiently(once, patience)

    @contextmanager
    def open(self, path: str, headers: dict[str, str] | None = None, silent: bool = False) -> Iterator[httpx.Response]:
        """An answer as it arrives.

        Args:
            path: of the call.
            headers: of the call.
            silent: nothing may come for hours, while the connection lives; TCP notices within a minute when it is dead.

        Raises:
            ServiceError: it is a problem.
            httpx.TransportError: it breaks off.
        """
        timeout = httpx.Timeout(self._http.timeout)
        if silent:
            timeout.read = None
        with self._http.stream("GET", path, headers=headers or {}, timeout=timeout) as response:
            if response.is_error:
                response.read()
                raise _problem(response, self.url)
            if silent:
                _keep_alive(response.extensions["network_stream"].get_extra_info("socket"))
            yield response

    def patiently(self, action: Callable[[], T], patience: Patience) -> T:
        """What `action` returns, repeated while the service is away. Raises ServiceError once patience ends."""
        began = told = time.monotonic()
        pause = _PAUSE_S
        while True:
            try:
                return action()
            except httpx.TransportError as error:
                problem = broken_off(self.url, error)
            except ServiceError as error:
                if error.status not in _AWAY_STATUS:
                    raise
                problem = error
            now = time.monotonic()
            if now + pause > began + patience.seconds:
                raise problem
            if told == began or now - told > _TELL_EVERY_S:
                told = now
                patience.tell(f"{problem}; trying for another {began + patience.seconds - now:.0f} s")
            time.sleep(pause)
            pause = min(_LONGEST_PAUSE_S, 2 * pause)


def _keep_alive(connection: socket.socket) -> None:
    """Has the system ask now and then whether the other side is there; silence then ends in an OSError."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE.items():
        # Not every system has every one.
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def broken_off(url: str, error: httpx.TransportError) -> ServiceError:
    """The error of a service that can't be reached, or no longer."""
    if isinstance(error, httpx.UnsupportedProtocol):
        return ServiceError(f"{url!r} is not a service's URL; it looks like http://host:8000")
    if isinstance(error, httpx.ConnectError):
        return ServiceError(
            f"no service answers at {url} ({error}); start one with `python -m services serve`, "
            "or set HEADSTART_URL to one that runs"
        )
    return ServiceError(f"the service at {url} broke off ({error or type(error).__name__}); try again")


def _encode(body: Any) -> bytes:
    try:
        return json.dumps(body, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise ServiceError(f"the request is not JSON: {error}") from None


def _key_from_environment() -> str:
    path = os.environ.get("HEADSTART_API_KEY_FILE")
    if os.environ.get("HEADSTART_API_KEY") or not path:
        return os.environ.get("HEADSTART_API_KEY", "")
    try:
        # A service's file may hold several, the newest first.
        return Path(path).read_text().strip().partition("\n")[0].strip()
    except (OSError, ValueError) as error:
        raise ServiceError(f"HEADSTART_API_KEY_FILE can't be read: {error}") from None


def _problem(response: httpx.Response, url: str) -> ServiceError:
    """The error of a problem body (RFC 9457), or of whatever else answered."""
    status = response.status_code
    try:
        body = response.json()
        detail = str(body.get("detail") or body["title"])
        lines = [f"{item['pointer'] or '/'}: {item['detail']}" for item in body.get("errors", [])]
    except (ValueError, KeyError, TypeError, AttributeError):
        return ServiceError(f"{url} answered {status} without a problem body; is it the service?", status)
    if status == 401:
        detail += "; set HEADSTART_API_KEY or HEADSTART_API_KEY_FILE"
    return ServiceError("; ".join([f"{url} answered {status}: {detail}", *lines]), status)
