"""What servers of ours listen on, and how they say that they answer."""

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NamedTuple


class Listener(NamedTuple):
    """A bound socket and its URL."""

    socket: socket.socket
    url: str


def listen(host: str, port: int) -> Listener:
    """Binds a TCP socket; port 0 takes a free one. Raises OSError."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    bound = socket.socket(family, kind, protocol)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(address)
    name, number = bound.getsockname()[:2]
    return Listener(bound, f"http://[{name}]:{number}" if ":" in name else f"http://{name}:{number}")


async def serve_and_announce(
    serving: Coroutine[Any, Any, None], is_up: Callable[[], bool], words: str, url: str, ready_file: Path | None
) -> None:
    """Runs a server to its end.

    Args:
        serving: the server.
        is_up: whether it answers.
        words: said on stderr, with the URL, once it does.
        url: of the server.
        ready_file: where the URL is written then.
    """
    task = asyncio.create_task(serving)
    while not is_up() and not task.done():
        await asyncio.sleep(0.02)
    if is_up():
        print(f"{words} {url}", file=sys.stderr, flush=True)
        if ready_file is not None:
            part = ready_file.with_name(f"{ready_file.name}.part")
            part.write_text(url + "\n")
            os.replace(part, ready_file)
    await task
