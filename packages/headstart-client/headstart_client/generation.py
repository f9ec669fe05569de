"""From a request to rows in one call: by a service that runs, or here, where the services are installed."""

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headstart_client.data.dataset import StoredDataset
from headstart_client.data.remote_dataset import PATIENCE_S, RemoteDataset, open_dataset
from headstart_client.errors import HeadstartError, ServiceError
from headstart_client.service.client import Client
from headstart_client.trajectories import Trajectories

_ENDS = {"failed": "failed", "cancelled": "was cancelled"}


def generate(
    robot: str,
    count: int,
    *,
    url: str | None = None,
    folder: Path | str | None = None,
    engine: str = "process",
    workers: int | None = None,
    api_key: str | None = None,
    progress: bool = True,
    **request: Any,
) -> Trajectories:
    """Trajectories of a robot, made now, or read where the same request was made before.

        rows = generate("so101", 1000, seed=1, families={"via_points": 1.0})
        rows[7]["joint_position"]

    Args:
        robot: its name in the catalogue, or of one that was uploaded.
        count: trajectories.
        url: of a service that makes them. Without it they are made here, which needs the services.
        folder: where rows are kept, in a folder named after their dataset; by default `headstart` in the user's cache.
        engine: what makes them here: `process`, with a process for each core, or `inline`, in this one.
        workers: processes.
        api_key: of the service; by default from the environment (see Client).
        progress: whether to show a bar, in a notebook too.
        request: the other keys of a request (docs/data-format.md).

    Raises:
        ServiceError: the service can't be reached, refuses the request, or the job failed.
        HeadstartError: no URL, and no services here; or what they say of the request.
    """
    from tqdm.auto import tqdm

    body, kept = {"robot": robot, "count": count, **request}, _kept(folder)
    made_here = _here() if url is None else None
    with tqdm(total=count, desc=robot, unit=" rows", disable=not progress) as bar:

        def show(rows: int) -> None:
            bar.update(rows - bar.n)

        if made_here is not None:
            return Trajectories(StoredDataset(made_here(body, kept, engine, workers, show)))
        client = Client(str(url), api_key)
        try:
            return _by_service(body, client, kept, show)
        except BaseException:
            client.close()
            raise


def open_trajectories(where: Path | str, folder: Path | str | None = None, api_key: str | None = None) -> Trajectories:
    """The rows of a dataset that is there, or being made: of a directory, or a job's URL (http://host:8000/v1/jobs/ID).

    Args:
        where: the dataset.
        folder: where the shards of a job are kept; by default `headstart` in the user's cache.
        api_key: see `generate`.

    Raises:
        DatasetFormatError: the path is no dataset.
        ServiceError: the URL is no job's, or its service can't be reached.
    """
    dataset = open_dataset(where, _kept(folder), api_key)
    return Trajectories(dataset, dataset.client if isinstance(dataset, RemoteDataset) else None)


def _by_service(body: dict[str, Any], client: Client, kept: Path, show: Callable[[int], None]) -> Trajectories:
    """Has a service make them, and follows its job to the end."""
    job = client.submit(body)
    # A service that isn't there is said at once; one that restarts is waited for.
    for event in client.patient(PATIENCE_S).events(job["id"]):
        if event.kind == "progress":
            show(event.data["accepted"])
        elif event.kind == "state" and event.data["state"] in ("failed", "cancelled"):
            reason = f": {event.data['reason']}" if event.data["reason"] else ""
            raise ServiceError(f"job {job['id'][:12]} of {client.url} {_ENDS[event.data['state']]}{reason}")
    show(body["count"])
    return Trajectories(RemoteDataset(client, job["id"], kept), client)


def _here() -> Callable[..., Path]:
    """What makes a dataset here; the services are looked up by name, since this package stands without them."""
    try:
        made: Callable[..., Path] = importlib.import_module("services.generation_here").generate_here
    except ModuleNotFoundError as error:
        raise HeadstartError(
            f"nothing here makes trajectories ({error}); give the url= of a service that runs, or "
            "install the services: `make setup` in a checkout of Headstart"
        ) from error
    return made


def _kept(folder: Path | str | None) -> Path:
    if folder is not None:
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headstart"
