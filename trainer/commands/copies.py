"""`python -m trainer copies`."""

import json
import os
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from shared.errors import ConfigError
from trainer.settings import check_number


def run(
    motions: Positional[Path],
    out: Path,
    count: int = 3000,
    seed: int = 0,
    robot: str | None = None,
    service: str | None = None,
    widen: float = 0.0,
    source: Literal["any", "nearest"] = "any",
    shard_rows: int | None = None,
) -> None:
    """Ask the service for copies of demonstrations; says where they are, and does not wait for them.

    Args:
        motions: motions file that `python -m trainer motions` wrote.
        out: JSON to write, which `adapt --copies` takes.
        count: copies.
        seed: of their draws.
        robot: that is to follow them; by default the one that demonstrated.
        service: its URL; by default HEADSTART_URL.
        widen: how much farther than in the demonstrations objects may lie, on every side [m].
        source: which demonstration is copied: any, each as often as the others, or the one whose objects lay nearest.
        shard_rows: copies in a shard; smaller ones arrive sooner. By default the service chooses.
    """
    check_number("--count", count, 1)
    check_number("--seed", seed, 0)
    check_number("--widen", widen, 0)
    if shard_rows is not None:
        check_number("--shard-rows", shard_rows, 1)
    from shared.client import Client
    from shared.motions_file import read_motions
    from trainer.tensor_file import publish

    url = service or os.environ.get("HEADSTART_URL", "")
    if not url:
        raise ConfigError("where is the service? Give its URL with --service, or set HEADSTART_URL")
    known = read_motions(motions)
    workspace = {"kind": "objects", "motions": known.content_sha256, "widen": widen, "source": source}
    request = {
        "robot": robot or known.robot,
        "count": count,
        "seed": seed,
        "rate_hz": known.rate_hz,
        "workspace": workspace,
        **({} if shard_rows is None else {"shard_rows": shard_rows}),
    }
    with Client(url) as client:
        client.upload_motions(motions.read_bytes())
        job = client.submit(request)
    where = f"{url.rstrip('/')}/v1/jobs/{job['id']}"
    out.parent.mkdir(parents=True, exist_ok=True)
    publish(out, json.dumps({"url": where, "request": request}, indent=1).encode())
    print(f"{count} copies: {where} ({job['state']})")
