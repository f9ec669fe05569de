"""`python -m trainer serve`."""

import asyncio
import os
import signal
from pathlib import Path

from tyro.conf import Positional

from shared.errors import ConfigError
from trainer.config import DIFFUSION_STEPS, Precision
from trainer.settings import check_number

_DRAIN_S = 3
_MOST_CONNECTIONS = 256


def run(
    checkpoint: Positional[Path],
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
    """Serve a policy over HTTP and WebSocket: observations in, action chunks out.

    Args:
        checkpoint: of Stage 2, or its run folder.
        host: address to listen on; any but this machine's own asks for a key (HEADSTART_API_KEY or --api-key-file).
        port: to listen on; 0 takes a free one.
        backbone: file of the backbone, if it isn't in the run's backbones/.
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
    import torch
    import uvicorn

    from shared.api_keys import keys_of
    from shared.listening import listen, serve_and_announce
    from trainer.deployment.policy import Policy
    from trainer.deployment.serving.app import PolicyServer, create_app
    from trainer.deployment.serving.openpi import read_keys

    if compile_for is not None and not 1 <= compile_for <= robots:
        raise ConfigError(f"--compile-for {compile_for}: a message has 1 to {robots} robots")
    torch.set_num_threads(threads)
    keys = keys_of(host, os.environ.get("HEADSTART_API_KEY"), api_key_file)
    policy = Policy.load(
        checkpoint,
        backbone=backbone,
        device=device,
        sampling_steps=sampling_steps,
        precision=precision,
        compile_for=compile_for,
        directions=directions,
    )
    keys_of_openpi = read_keys(openpi_keys, policy.info)
    server = PolicyServer(policy, robots=robots, decay=ensemble, openpi_keys=keys_of_openpi)
    try:
        listener = listen(host, port)
    except OSError as error:
        raise ConfigError(f"can't serve on {host}:{port}: {error}") from None
    config = uvicorn.Config(
        create_app(server, keys),
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=_DRAIN_S,
        limit_concurrency=_MOST_CONNECTIONS,
        ws="websockets-sansio",
        ws_max_size=server.most_bytes,
    )
    uvicorn_server = uvicorn.Server(config)
    # uvicorn raises the signal that stopped it once more when all is done; by then it has had its effect.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: setattr(uvicorn_server, "should_exit", True))
    serving = uvicorn_server.serve(sockets=[listener.socket])
    announced = serve_and_announce(
        serving, lambda: uvicorn_server.started, "the policy answers on", listener.url, ready_file
    )
    asyncio.run(announced)
