"""The policy server: GET /v1/policies says what is seen; POST /v1/actions and a WebSocket there answer with actions."""

import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio
import msgpack
from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from shared.api_keys import AccessRule
from shared.errors import HeadstartError, RequestError
from trainer.deployment.serving import messages, openpi
from trainer.deployment.serving.names import NAME_CHARACTERS
from trainer.deployment.serving.problems import ProblemError, answer, problem
from trainer.deployment.serving.served_policy import ServedPolicy

MEDIA_TYPE = "application/msgpack"
_OPEN_PATHS = frozenset({"/healthz"})
_MOST_WAITING = 64
_BODY_SECONDS = 30.0

_log = logging.getLogger(__name__)


class PolicyServer:
    """Answers messages with the policies that they choose, one after the other.

    Attributes:
        most_bytes: of a message.
    """

    def __init__(self, policies: Sequence[ServedPolicy]) -> None:
        """Takes policies of different names; the first one answers messages that choose none."""
        self._policies = {policy.name: policy for policy in policies}
        self._first = policies[0]
        self.most_bytes = max(policy.most_bytes for policy in policies)
        # One: the sessions' chunks have no lock, and two inferences at once would only slow each other down.
        self._turn = anyio.CapacityLimiter(1)

    def describe(self) -> dict[str, Any]:
        """What the first policy sees and answers."""
        return self._first.describe()

    def describe_all(self) -> list[dict[str, Any]]:
        """The same of every policy, in order."""
        return [policy.describe() for policy in self._policies.values()]

    def greeting(self) -> bytes:
        """What openpi's clients are sent first: what the first policy is, and all names."""
        packed: bytes = msgpack.packb({**self.describe(), "policies": list(self._policies)})
        return packed

    async def actions(self, content: bytes) -> bytes:
        """The answer to a message. Raises HeadstartError where it has none."""
        return await self._in_turn(self._actions, content)

    async def openpi_actions(self, content: bytes) -> bytes:
        """The answer to a message of openpi's. Raises HeadstartError where it has none."""
        return await self._in_turn(self._openpi_actions, content)

    async def _in_turn(self, answer: Callable[[bytes], bytes], content: bytes) -> bytes:
        if self._turn.statistics().tasks_waiting >= _MOST_WAITING:
            raise ProblemError(503, f"{_MOST_WAITING} messages wait already; send again later")
        return await run_sync(answer, content, limiter=self._turn)

    def _actions(self, content: bytes) -> bytes:
        message = messages.unpack(content)
        return self._chosen(message.get("policy")).actions(message)

    def _openpi_actions(self, content: bytes) -> bytes:
        message = openpi.unpack(content)
        name = message.get("policy")
        # What is no text may be an observation that is called so.
        return self._chosen(name if isinstance(name, str) else None).openpi_actions(message)

    def _chosen(self, name: Any) -> ServedPolicy:
        if name is None:
            return self._first
        policy = self._policies.get(name) if isinstance(name, str) else None
        if policy is None:
            detail = f"there is no policy {str(name)[:NAME_CHARACTERS]!r} here; there are {', '.join(self._policies)}"
            raise RequestError("the message is not valid", [("/policy", detail)])
        return policy


def create_app(server: PolicyServer, keys: Sequence[str] = ()) -> Starlette:
    """The application; without keys it answers to this machine's own names only."""

    async def healthz(call: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def policy(call: Request) -> Response:
        return JSONResponse(server.describe())

    async def policies(call: Request) -> Response:
        return JSONResponse({"policies": server.describe_all()})

    async def actions(call: Request) -> Response:
        # Also keeps other sites' pages out: a browser asks before it sends this type across origins.
        if call.headers.get("content-type", "").partition(";")[0].strip().lower() != MEDIA_TYPE:
            raise ProblemError(415, f"send the message with the header `Content-Type: {MEDIA_TYPE}`")
        return Response(await server.actions(await _body(call, server.most_bytes)), media_type=MEDIA_TYPE)

    app = Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/v1/policy", policy),
            Route("/v1/policies", policies),
            Route("/v1/actions", actions, methods=["POST"]),
            WebSocketRoute("/v1/actions", _conversation(server)),
            # Where openpi's client looks for its server.
            WebSocketRoute("/", _openpi_conversation(server)),
        ],
        exception_handlers={HeadstartError: _ours, HTTPException: _framework, Exception: _bug},
    )
    app.add_middleware(_AccessGuard, rule=AccessRule(keys))
    return app


def _conversation(server: PolicyServer) -> Callable[[WebSocket], Awaitable[None]]:
    async def conversation(socket: WebSocket) -> None:
        """Each message is answered by one: actions, or {"problem": ...}; the connection stays."""
        await socket.accept()
        try:
            while True:
                received = await socket.receive()
                if received["type"] == "websocket.disconnect":
                    return
                content = received.get("bytes")
                try:
                    if content is None:
                        raise ProblemError(415, "send binary messages of MessagePack, not text")
                    said = await server.actions(content)
                except HeadstartError as error:
                    said = msgpack.packb({"problem": problem(error)})
                except Exception:
                    _log.exception("a message could not be answered")
                    said = msgpack.packb({"problem": problem(_BUG)})
                await socket.send_bytes(said)
        except WebSocketDisconnect:
            return

    return conversation


def _openpi_conversation(server: PolicyServer) -> Callable[[WebSocket], Awaitable[None]]:
    async def conversation(socket: WebSocket) -> None:
        """What the policy is, then an answer to each message: actions, or an error as text; the connection stays."""
        await socket.accept()
        try:
            await socket.send_bytes(server.greeting())
            while True:
                received = await socket.receive()
                if received["type"] == "websocket.disconnect":
                    return
                try:
                    if received.get("bytes") is None:
                        raise ProblemError(415, "send binary messages of MessagePack, not text")
                    said: bytes | str = await server.openpi_actions(received["bytes"])
                except HeadstartError as error:
                    said = str(error)
                except Exception:
                    _log.exception("a message could not be answered")
                    said = str(_BUG)
                await (socket.send_text(said) if isinstance(said, str) else socket.send_bytes(said))
        except WebSocketDisconnect:
            return

    return conversation


async def _body(call: Request, most: int) -> bytes:
    body = bytearray()
    try:
        with anyio.fail_after(_BODY_SECONDS):
            async for chunk in call.stream():
                body += chunk
                if len(body) > most:
                    raise ProblemError(413, f"a message has at most {most} bytes")
    except TimeoutError:
        raise ProblemError(408, f"the message was not here whole after {_BODY_SECONDS:g} s") from None
    return bytes(body)


_BUG = ProblemError(500, "the policy server has a bug; its log says more")


async def _ours(call: Request, error: Exception) -> Response:
    assert isinstance(error, HeadstartError)
    return answer(error)


async def _framework(call: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    say = {404: "there is nothing at this path; /v1/policies and /v1/actions are", 405: "/v1/actions takes POST"}
    return answer(ProblemError(error.status_code, say.get(error.status_code, str(error.detail))))


async def _bug(call: Request, error: Exception) -> Response:
    return answer(_BUG)


class _AccessGuard:
    """ASGI middleware that lets calls and connections in by shared.api_keys."""

    def __init__(self, app: ASGIApp, rule: AccessRule) -> None:
        self._app, self._rule = app, rule

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refused = self._rule.refusal(
            host=headers.get("host", ""),
            origins=headers.getlist("origin"),
            # openpi's client says `Api-Key KEY`.
            authorization=re.sub("^Api-Key ", "Bearer ", headers.get("authorization", "")),
            is_open=scope["path"] in _OPEN_PATHS,
        )
        if refused is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await answer(ProblemError(*refused))(scope, receive, send)
        else:
            # Before it is accepted: the handshake is answered with 403.
            await send({"type": "websocket.close", "code": 1008, "reason": refused.detail})
