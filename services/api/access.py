"""Lets calls in by shared.api_keys."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from services.api.problems import problem
from shared.api_keys import AccessRule

OPEN_PATHS = frozenset({"/healthz", "/readyz", "/version", "/openapi.json"})
"""Answered without a key."""


class AccessGuard:
    """ASGI middleware. Plain ASGI, so that streams pass through it unbuffered."""

    def __init__(self, app: ASGIApp, keys: Sequence[str], open_paths: AbstractSet[str] = OPEN_PATHS) -> None:
        """Guards all of `app` but `open_paths`."""
        self._app = app
        self._open_paths = open_paths
        self._rule = AccessRule(keys)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the call on, or answers 401 or 403."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refused = self._rule.refusal(
            host=headers.get("host", ""),
            origins=headers.getlist("origin"),
            authorization=headers.get("authorization", ""),
            is_open=scope["path"] in self._open_paths,
        )
        if refused is None:
            await self._app(scope, receive, send)
            return
        extra = {"WWW-Authenticate": "Bearer"} if refused.status == 401 else None
        await problem(*refused, headers=extra)(scope, receive, send)
