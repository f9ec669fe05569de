"""`python -m trainer serve`."""

import asyncio
import os
import signal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from shared.errors import ConfigError
from trainer.config import DIFFUSION_STEPS, Precision
from trainer.deployment.serving.names import named_paths
from trainer.settings import check_number

if TYPE_CHECKING:
    from starlette.applications import Starlette

_DRAIN_S = 3
_MOST_CONNECTIONS = 256


def run(
    checkpoint: Positional[str],
    more: Positional[tuple[str, ...]] = (),
    host: str = "127.0.0.1",
    port: int = 8100,
    backbone: Path | None = None,
    device: str = "auto",
    threads: int = 1,
    precision: Precision = "auto",
    sampling_steps: int | None = None,
    robots: int = 64,
    compile_for: int | None = None,
    directions: int | None = None,
    ensemble: float | None = None,
    openpi_keys: Path | None = None,
    api_key_file: Path | None = None,
    ready_file: Path | None = None,
) -> None:
    """Serve policies over HTTP and WebSocket: observations in, action chunks out.

    Args:
        checkpoint: of Stage 2, or its run folder. Messages call the policy by the run's name, or that of NAME=PATH.
        more: further ones, which messages choose by name; a frozen backbone that several have is in memory once.
        host: address to listen on; any but this machine's own asks for a key (HEADSTART_API_KEY or --api-key-file).
        port: to listen on; 0 takes a free one.
        backbone: file of the backbone of all policies, if it isn't in the runs' backbones/.
        device: "auto" or a torch device.
        threads: of the CPU.
        precision: of the network.
        sampling_steps: of the sampler; by default 10 of DDIM, or 2 of flow matching.
        robots: most robots in one message.
        compile_for: compile for messages of so many robots, which takes up to a minute and answers them in less time.
        directions: of the motion basis to project onto, instead of the checkpoint's number; 0 is no basis.
        ensemble: average the chunks of a session that cover the same control step, the newest weighing exp(-ENSEMBLE)
            of the one before (0.01 is usual).
        openpi_keys: TOML file that says what openpi's clients, which connect to the same port, call that which the
            policy sees (docs/policies.md); by default they call it as the policy does.
        api_key_file: holds the keys of which callers must send one, one a line; made if missing.
        ready_file: where the URL is written once it answers.
    """
    check_number("--port", port, 0, 65535)
    check_number("--robots", robots, 1)
    check_number("--threads", threads, 1)
    check_number("--sampling-steps", sampling_steps, 1, DIFFUSION_STEPS)
    check_number("--directions", directions, 0)
    check_number("--ensemble", ensemble, 0)
    if compile_for is not None and not 1 <= compile_for <= robots:
        raise ConfigError(f"--compile-for {compile_for}: a message has 1 to {robots} robots")
    if compile_for is not None and more:
        raise ConfigError("--compile-for is for one policy: what is compiled has its backbone for itself; leave it out")
    paths = named_paths((checkpoint, *more))
    import torch

    from shared.api_keys import keys_of
    from trainer.deployment.policies import load_policies
    from trainer.deployment.policy import Policy
    from trainer.deployment.serving.app import PolicyServer, create_app
    from trainer.deployment.serving.openpi import read_keys
    from trainer.deployment.serving.served_policy import ServedPolicy

    torch.set_num_threads(threads)
    keys = keys_of(host, os.environ.get("HEADSTART_API_KEY"), api_key_file)
    load = partial(
        Policy.load,
        backbone=backbone,
        device=device,
        sampling_steps=sampling_steps,
        precision=precision,
        compile_for=compile_for,
        directions=directions,
    )
    policies = load_policies(paths, load)
    infos = [policy.info for policy in policies.values()]
    answering = [
        ServedPolicy(name, policy, robots=robots, decay=ensemble, openpi_keys=read_keys(openpi_keys, info, infos))
        for (name, policy), info in zip(policies.items(), infos, strict=True)
    ]
    server = PolicyServer(answering)
    who = "the policy answers on" if len(policies) == 1 else f"{len(policies)} policies answer on"
    _serve(create_app(server, keys), server.most_bytes, host, port, who, ready_file)


def _serve(app: "Starlette", most_bytes: int, host: str, port: int, who: str, ready_file: Path | None) -> None:
    """Serves until SIGTERM or Ctrl-C. Raises ConfigError where it can't listen."""
    import uvicorn

    from shared.listening import listen, serve_and_announce

    try:
        listener = listen(host, port)
    except OSError as error:
        raise ConfigError(f"can't serve on {host}:{port}: {error}") from None
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=_DRAIN_S,
        limit_concurrency=_MOST_CONNECTIONS,
        ws="websockets-sansio",
        ws_max_size=most_bytes,
    )
    uvicorn_server = uvicorn.Server(config)
    # uvicorn raises the signal that stopped it once more when all is done; by then it has had its effect.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: setattr(uvicorn_server, "should_exit", True))
    serving = uvicorn_server.serve(sockets=[listener.socket])
    announced = serve_and_announce(serving, lambda: uvicorn_server.started, who, listener.url, ready_file)
    asyncio.run(announced)
