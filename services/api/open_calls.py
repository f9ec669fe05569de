"""The calls under way, and how they end when the service does."""

import asyncio

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.api.problems import problem


class OpenCalls:
    """Those calls that are not answered yet. For the event loop's thread only."""

    def __init__(self) -> None:
        self.scopes: set[anyio.CancelScope] = set()
        self.are_cut = False

    def cut(self) -> None:
        """Ends them where they are, and those that still come."""
        self.are_cut = True
        for scope in self.scopes:
            scope.cancel()


class CallCutter:
    """ASGI middleware that lets calls be cut: what is being answered breaks off, the others are told that it stops."""

    def __init__(self, app: ASGIApp, calls: OpenCalls) -> None:
        """Enters the calls to `app` in `calls`."""
        self._app, self._calls = app, calls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the call on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_answered = False

        async def watched(message: Message) -> None:
            nonlocal is_answered
            is_answered = True
            await send(message)

        with anyio.CancelScope() as cutting:
            self._calls.scopes.add(cutting)
            try:
                await self._app(scope, receive, watched)
            except asyncio.CancelledError:
                # Of the server, which waits no longer for a thread that this call left to itself.
                if not self._calls.are_cut:
                    raise
            finally:
                self._calls.scopes.discard(cutting)
        if self._calls.are_cut and not is_answered:
            await problem(503, "the service stops; call again when it is back")(scope, receive, send)
