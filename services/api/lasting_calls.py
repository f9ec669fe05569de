"""Calls that last, as streams do: how many there may be, and how they wait."""

from collections.abc import AsyncIterator, Callable
from typing import Annotated

import anyio
from fastapi import Depends, Query, Request

from services.api.problems import ProblemError

POLL_S = 0.1
"""Between looks at a job, which are cheap: it is in memory."""
MAX_WAIT_S = 30.0


class Followers:
    """Counts the calls that last. For the event loop's thread only.

    Attributes:
        count: of those there are now.
    """

    def __init__(self, most: int) -> None:
        """Lets in at most so many."""
        self._most = most
        self.count = 0

    def enter(self) -> None:
        """Counts one more. Raises ProblemError (429) if there are too many."""
        if self.count >= self._most:
            raise ProblemError(
                429, f"{self.count} streams, downloads and waiting calls are open already, as many as may be; try later"
            )
        self.count += 1

    def leave(self) -> None:
        """Counts one less."""
        self.count -= 1


async def _follow(call: Request) -> AsyncIterator[None]:
    followers = call.app.state.followers
    followers.enter()
    try:
        yield
    finally:
        followers.leave()


async def _wait(
    call: Request,
    wait: Annotated[
        float, Query(ge=0, le=MAX_WAIT_S, description="seconds to wait for something beyond `after`")
    ] = 0.0,
) -> AsyncIterator[float]:
    if not wait:
        yield 0.0
        return
    async for _ in _follow(call):
        yield wait


FOLLOWS = Depends(_follow)
"""For routes that answer with a stream."""
Wait = Annotated[float, Depends(_wait)]
"""A route's parameter: how long it may wait until it answers."""


async def until(call: Request, condition: Callable[[], bool], seconds: float) -> None:
    """Waits until the condition holds, the time is over, or the caller has gone."""
    deadline = anyio.current_time() + seconds
    while not condition() and anyio.current_time() < deadline and not await call.is_disconnected():
        await anyio.sleep(POLL_S)
