"""What `headstart_client.generate` calls where it is given no service."""

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from services.engine import open_engine
from services.jobs import generate
from services.synthesis.request.trajectory_request import TrajectoryRequest


def generate_here(
    body: Mapping[str, Any], folder: Path, engine: str, workers: int | None, show: Callable[[int], None]
) -> Path:
    """The dataset of a request, whole: made, gone on with, or there already.

    Args:
        body: the request as JSON has it.
        folder: under which it is made, in a folder named after it.
        engine: one of services.engine.ENGINES.
        workers: see open_engine.
        show: told how many rows are committed.

    Returns:
        The dataset's directory.

    Raises:
        HeadstartError, OSError: as TrajectoryRequest.parse, open_engine and generate do.
    """
    request = TrajectoryRequest.parse(dict(body))
    where = folder / request.dataset_id
    with closing(open_engine(engine, workers)) as running:
        generate(request, where, running, lambda tally, commit: show(tally.progress.accepted))
    show(request.count)
    return where
