"""Who may call: a bearer key where one is set, else only this machine by its own names."""

import hashlib
import hmac
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from services.api.problems import problem

OPEN_PATHS = frozenset({"/healthz", "/readyz", "/version", "/openapi.json"})
"""Answered without a key."""
_OWN_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})


class AccessGuard:
    """ASGI middleware. Plain ASGI, so that streams pass through it unbuffered."""

    def __init__(self, app: ASGIApp, keys: Sequence[str], open_paths: AbstractSet[str] = OPEN_PATHS) -> None:
        """Guards all of `app` but `open_paths`.

        Without any of `keys`, a page that points a foreign name at this machine is still kept out.
        """
        self._app = app
        self._open_paths = open_paths
        self._digests = [hashlib.sha256(key.encode()).digest() for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the call on, or answers 401 or 403."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = None
        if not self._digests:
            # A browser sends an Origin with whatever a page of another site makes it send, even unasked.
            places = [headers.get("host", ""), *(urlsplit(origin).netloc for origin in headers.getlist("origin"))]
            if not all((place.rpartition(":")[0] or place) in _OWN_NAMES for place in places):
                refusal = problem(403, "without an API key this service answers to 127.0.0.1 and localhost only")
        elif scope["path"] not in self._open_paths and not self.knows(headers.get("authorization", "")):
            refusal = problem(
                401,
                "this service asks for its API key, as the header `Authorization: Bearer KEY`",
                headers={"WWW-Authenticate": "Bearer"},
            )
        await (refusal or self._app)(scope, receive, send)

    def knows(self, authorization: str) -> bool:
        """Whether an Authorization header has one of the keys."""
        scheme, _, key = authorization.partition(" ")
        # Digests of equal length, so that neither the key nor its length shows in the time this takes.
        given = hashlib.sha256(key.strip().encode()).digest()
        # All of them, so that it does not show which one it was.
        same = [hmac.compare_digest(given, digest) for digest in self._digests]
        return scheme.lower() == "bearer" and any(same)
