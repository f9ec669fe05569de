"""The policy server: GET /v1/policy says what it sees; POST /v1/actions and a WebSocket there answer with actions."""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
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
from shared.errors import HeadstartError
from trainer.deployment.policy import Policy
from trainer.deployment.serving.ensemble import TemporalEnsemble
from trainer.deployment.serving.messages import most_bytes, read_message, write_actions
from trainer.deployment.serving.openpi import OpenpiKeys, read_keys, read_observation, write_answer
from trainer.deployment.serving.problems import ProblemError, answer, problem

MEDIA_TYPE = "application/msgpack"
_OPEN_PATHS = frozenset({"/healthz"})
_MOST_WAITING = 64
_BODY_SECONDS = 30.0

_log = logging.getLogger(__name__)


class PolicyServer:
    """Answers messages with one policy, one after the other.

    Attributes:
        most_bytes: of a message.
    """

    def __init__(
        self, policy: Policy, *, robots: int, decay: float | None, openpi_keys: OpenpiKeys | None = None
    ) -> None:
        """Takes a policy.

        Args:
            policy: that answers.
            robots: most of them in a message.
            decay: of the ensemble; None is no ensembling.
            openpi_keys: what openpi's clients call that which the policy sees; None is as the policy does.
        """
        self._policy, self._robots = policy, robots
        self._openpi_keys = openpi_keys or read_keys(None, policy.info)
        self._ensemble = None if decay is None else TemporalEnsemble(decay, policy.info.head.action)
        self.most_bytes = most_bytes(policy.info, robots)
        # One: the sessions' chunks have no lock, and two inferences at once would only slow each other down.
        self._turn = anyio.CapacityLimiter(1)

    def describe(self) -> dict[str, Any]:
        """What the policy sees and answers."""
        info, policy = self._policy.info, self._policy
        return {
            "robot": info.robot,
            "task": info.task,
            "rate_hz": info.rate_hz,
            "action": info.head.action,
            "action_label": info.action_label,
            "action_dim": info.normalizer.action_dim,
            "n_obs_steps": policy.n_obs_steps,
            "n_action_steps": policy.n_action_steps,
            "prediction_type": info.head.prediction_type,
            "sampling_steps": policy.sampling_steps,
            "directions": policy.directions,
            "most_action_steps": info.head.longest_answer,
            "most_prefix_steps": info.head.horizon,
            "observations": info.observation_widths,
            "cameras": {name: asdict(camera)["size"] for name, camera in info.cameras.items()},
            "ensembles": self._ensemble is not None,
            "most_robots": self._robots,
            "most_bytes": self.most_bytes,
        }

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

    def _openpi_actions(self, content: bytes) -> bytes:
        began = time.perf_counter()
        asked = read_observation(content, self._policy.info, self._openpi_keys)
        (chunk,) = self._policy.predict(asked.low_dim, asked.pictures, asked.prefix)[:, : asked.n_action_steps]
        return write_answer(chunk, self._policy.info.rate_hz, 1000 * (time.perf_counter() - began))

    def _actions(self, content: bytes) -> bytes:
        asked = read_message(content, self._policy.info, self._robots)
        if asked.sessions is not None and self._ensemble is None:
            raise ProblemError(
                422, "this server does not ensemble; leave out sessions and steps, or start it with --ensemble"
            )
        chunks = self._policy.predict(asked.low_dim, asked.pictures, asked.prefix)
        if asked.sessions is not None and self._ensemble is not None:
            for index, (session, step) in enumerate(zip(asked.sessions, asked.steps, strict=True)):
                chunks[index] = self._ensemble(session, step, chunks[index])
        return write_actions(chunks[:, : asked.n_action_steps], self._policy.info.rate_hz)


def create_app(server: PolicyServer, keys: Sequence[str] = ()) -> Starlette:
    """The application; without keys it answers to this machine's own names only."""

    async def healthz(call: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def policy(call: Request) -> Response:
        return JSONResponse(server.describe())

    async def actions(call: Request) -> Response:
        # Also keeps other sites' pages out: a browser asks before it sends this type across origins.
        if call.headers.get("content-type", "").partition(";")[0].strip().lower() != MEDIA_TYPE:
            raise ProblemError(415, f"send the message with the header `Content-Type: {MEDIA_TYPE}`")
        return Response(await server.actions(await _body(call, server.most_bytes)), media_type=MEDIA_TYPE)

    app = Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/v1/policy", policy),
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
            await socket.send_bytes(msgpack.packb(server.describe()))
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
    say = {404: "there is nothing at this path; /v1/policy and /v1/actions are", 405: "/v1/actions takes POST"}
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
            authorization=headers.get("authorization", "").replace("Api-Key ", "Bearer ", 1),
            is_open=scope["path"] in _OPEN_PATHS,
        )
        if refused is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await answer(ProblemError(*refused))(scope, receive, send)
        else:
            # Before it is accepted: the handshake is answered with 403.
            await send({"type": "websocket.close", "code": 1008, "reason": refused.detail})
