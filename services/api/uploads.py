"""Uploaded files: bounded, of a known type, and so many at once."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import anyio
from fastapi import Request

from services.api.bodies import read_bounded
from services.api.problems import ProblemError


class Uploads:
    """Places for uploads of one kind of thing, each with its body in memory."""

    def __init__(self, most: int, what: str) -> None:
        """So many at once; `what` is what messages call one, such as "robot"."""
        self._most, self._what = most, what
        self._places = anyio.Semaphore(most)

    @asynccontextmanager
    async def body(self, call: Request, kinds: Collection[str], wanted: str, most_bytes: int) -> AsyncIterator[bytes]:
        """A call's body, which counts as an upload until the block ends.

        Args:
            call: that sends it.
            kinds: content types that are taken.
            wanted: what to send, for who sends another type.
            most_bytes: of the body.

        Raises:
            ProblemError: of another type, too large or too slow, or there are as many uploads already.
        """
        if content_type(call) not in kinds:
            raise ProblemError(415, f"send {wanted}")
        try:
            self._places.acquire_nowait()
        except anyio.WouldBlock:
            busy = f"{self._most} {self._what}s are being uploaded already; try again in a minute"
            raise ProblemError(429, busy) from None
        try:
            yield await read_bounded(call, most_bytes, f"a {self._what}")
        finally:
            self._places.release()


def content_type(call: Request) -> str:
    """A call's content type, without its parameters."""
    return str(call.headers.get("content-type", "").partition(";")[0].strip().lower())
