"""Serve the REST API: take requests, make their datasets, hand out shards while they are made."""

import argparse
import asyncio
import os
import signal
import socket
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from services.api.app import create_app, end_calls
from services.api.settings import Settings
from services.jobs import claimed, open_dataset_root
from services.memory import give_memory_back, keep_what_is_there
from shared.api_keys import read_or_make_keys
from shared.errors import ConfigError
from shared.listening import listen, serve_and_announce

_DRAIN_S = 1
"""For calls that are cut, but whose thread goes on."""
_KEEP_ALIVE_S = 30
"""Longer than clients keep an idle connection (httpx 5 s): or it is closed just as their next call is sent."""


class _Server(uvicorn.Server):
    """Ends the calls to its application when it is told to stop: uvicorn would wait for streams, which last."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Called by uvicorn once it is told to stop."""
        async with asyncio.TaskGroup() as group:
            group.create_task(end_calls(self._app))
            group.create_task(super().shutdown(sockets))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments; those not given come from HEADSTART_* variables."""
    parser.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on; 0 takes a free one (default: 8000)")
    parser.add_argument("--data", metavar="DIR|URI", help="of the datasets (default: data)")
    parser.add_argument("--state", metavar="DIR", help="of robots and idempotency keys (default: as --data)")
    parser.add_argument("--engine", choices=("process", "ray"), help="default: ray")
    parser.add_argument("--workers", type=int, metavar="N", help="shards at once (default: one for each core)")
    parser.add_argument("--api-key-file", type=Path, metavar="FILE", help="holds the API key; made if missing")
    parser.add_argument("--ready-file", type=Path, metavar="FILE", help="where the URL is written once it answers")


def run(options: argparse.Namespace) -> int:
    """Serves until SIGTERM or Ctrl-C. Raises ConfigError."""
    names = ("host", "port", "data", "state", "engine", "workers", "api_key_file")
    give_memory_back()
    settings = Settings.read(**{name: getattr(options, name) for name in names})
    app = create_app(settings)
    if token_file := os.environ.get("RAY_AUTH_TOKEN_PATH"):
        read_or_make_keys(Path(token_file), "Ray token")
    try:
        settings.state_folder.mkdir(parents=True, exist_ok=True)
        (settings.state_folder / ".writable").touch()
        if problem := open_dataset_root(settings.data).problem():
            raise ConfigError(f"can't serve {settings.data}: {problem}")
        listener = listen(settings.host, settings.port)
        claim = claimed(settings.data, listener.url)
    except OSError as error:
        raise ConfigError(f"can't serve {settings.data} on {settings.host}:{settings.port}: {error}") from None
    config = uvicorn.Config(
        app,
        log_level="info",
        access_log=False,
        timeout_graceful_shutdown=_DRAIN_S,
        timeout_keep_alive=_KEEP_ALIVE_S,
    )
    server = _Server(config, app)
    # uvicorn raises the signal that stopped it once more when all is done; by then it has had its effect.
    signal.signal(signal.SIGTERM, lambda *_: setattr(server, "should_exit", True))
    serving = server.serve(sockets=[listener.socket])
    announced = serve_and_announce(
        serving, lambda: server.started, "Headstart serves on", listener.url, options.ready_file
    )
    keep_what_is_there()
    try:
        asyncio.run(announced)
    finally:
        claim.release()
    return 0 if server.started else 2
