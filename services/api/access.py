"""Who may call: a bearer key where one is set, else only this machine by its own names."""

import hashlib
import hmac

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from services.api.problems import problem

OPEN_PATHS = frozenset({"/healthz", "/readyz", "/version", "/openapi.json"})
"""Answered without a key."""
_OWN_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})


class AccessGuard:
    """ASGI middleware. Plain ASGI, so that streams pass through it unbuffered."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        """Guards `app`; without a `key`, a page that points a foreign name at this machine is still kept out."""
        self._app = app
        self._digest = hashlib.sha256(key.encode()).digest() if key else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the call on, or answers 401 or 403."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = None
        if self._digest is None:
            host = headers.get("host", "").rpartition(":")[0] or headers.get("host", "")
            if host not in _OWN_NAMES:
                refusal = problem(403, "without an API key this service answers to 127.0.0.1 and localhost only")
        elif scope["path"] not in OPEN_PATHS and not self._knows(headers.get("authorization", "")):
            refusal = problem(
                401,
                "this service asks for its API key, as the header `Authorization: Bearer KEY`",
                headers={"WWW-Authenticate": "Bearer"},
            )
        await (refusal or self._app)(scope, receive, send)

    def _knows(self, authorization: str) -> bool:
        scheme, _, key = authorization.partition(" ")
        # Digests of equal length, so that neither the key nor its length shows in the time this takes.
        given = hashlib.sha256(key.strip().encode()).digest()
        return scheme.lower() == "bearer" and self._digest is not None and hmac.compare_digest(given, self._digest)
