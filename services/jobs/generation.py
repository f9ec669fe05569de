"""Making a dataset: begun once, then every shard that is not committed yet; sealed when it is whole."""

import itertools
from collections.abc import Callable

from headstart_client.data.commit_block import BLOCK
from services.catalogue.robot_folder import write_robot
from services.engine import Engine
from services.engine.parts import in_parts, part_plans, remove_parts
from services.jobs.header import dataset_header
from services.jobs.progress import Tally
from services.synthesis.pipeline import plan_shards
from services.synthesis.request.trajectory_request import TrajectoryRequest
from services.synthesis.request.workspace import Fitted, Objects
from shared.dataset import Dataset
from shared.errors import DatasetError, EngineError, HeadstartError
from shared.manifest import Commit
from shared.motions_file import store_motions
from shared.storage import Location, open_storage
from shared.summary_file import store_summary

_ABANDONED_S = 600.0


def begin(request: TrajectoryRequest, where: Location) -> Dataset:
    """Begins the request's dataset in a directory or at a URI, or opens it where it was begun before.

    Raises:
        GeneratorVersionError: it was begun by another generator_version.
        CommitConflictError: another dataset is in this directory.
        OSError: the directory can't be written.
    """
    if Dataset.is_at(where):
        dataset = Dataset(where)
        if dataset.header.dataset_id == request.dataset_id:
            if dataset.manifest().state in ("failed", "cancelled"):
                dataset.set_state("growing")
            return dataset
    else:
        # First: a dataset that is there can be resumed.
        write_robot(open_storage(where), request.arm)
        if isinstance(request.workspace, Fitted):
            store_summary(open_storage(where), request.workspace.summary)
        if isinstance(request.workspace, Objects):
            store_motions(open_storage(where), request.workspace.motions)
    # Also for a directory that holds something else: `create` says what.
    return Dataset.create(where, dataset_header(request))


def generate(
    request: TrajectoryRequest,
    where: Location,
    engine: Engine,
    on_progress: Callable[[Tally, Commit | None], None] = lambda tally, commit: None,
) -> Dataset:
    """The request's dataset in a directory or at a URI, whole: made, gone on with, or there already.

    Args:
        request: what to make.
        where: the dataset's directory or URI.
        engine: that makes the shards; started here if it is not, and left to its owner to close.
        on_progress: see make_dataset.

    Raises:
        HeadstartError, OSError: as `begin` and `make_dataset` do; what is committed stays, and is not made again.
    """
    dataset = begin(request, where)
    if dataset.manifest().state != "sealed":
        make_dataset(request, dataset, engine, on_progress=on_progress)
        dataset.set_state("sealed")
    return dataset


def make_dataset(
    request: TrajectoryRequest,
    dataset: Dataset,
    engine: Engine,
    *,
    on_progress: Callable[[Tally, Commit | None], None] = lambda tally, commit: None,
    should_stop: Callable[[], bool] = lambda: False,
    priority: Callable[[], int] = lambda: 0,
) -> bool:
    """Makes every shard that is not committed; sealing is left to the caller.

    Args:
        request: whose dataset this is.
        dataset: as `begin` opened it.
        engine: that makes the shards; started here if it is not.
        on_progress: called at the start and after each commit, which is then given too, in this thread. What it
            raises fails the job.
        should_stop: see Engine.run_shards.
        priority: see Engine.run_shards.

    Returns:
        True if all shards are committed, False if it was stopped and can be resumed.

    Raises:
        HeadstartError, OSError: why a shard failed; the dataset's state then says `failed` and the reason. Anything
            else is a bug, and recorded in the same way.
    """
    try:
        dataset.storage.sweep(_ABANDONED_S)
        dataset.compact()
        commits = dataset.commits()
        engine.start(should_stop)
        tally = Tally(dataset.header, commits.totals(), commits.indices)
        on_progress(tally, None)

        def on_commit(commit: Commit) -> None:
            tally.add(commit)
            if tally.progress.shards_committed % BLOCK == 0:
                dataset.compact()
            on_progress(tally, commit)

        every = plan_shards(request)
        missing = (every[index] for index in commits.indices.missing(len(every)))
        first = in_parts(list(itertools.islice(missing, engine.workers)), engine.workers)
        parts = part_plans(first)
        try:
            if parts and not engine.run_shards(parts, dataset.where, on_commit, should_stop, priority):
                return False
            plans = itertools.chain(first, missing)
            return engine.run_shards(plans, dataset.where, on_commit, should_stop, priority)
        finally:
            if parts:
                remove_parts(dataset, parts)
    except Exception as error:
        if should_stop() and isinstance(error, EngineError):
            # It was ended, or not even begun, because the service stops.
            return False
        try:
            dataset.set_state("failed", failure_reason(error))
        except (OSError, DatasetError) as second:
            # A full disk: what failed stays the error; the state is still `growing`, so it resumes when there is room.
            error.add_note(f"and its state could not be written: {second}")
        raise


def failure_reason(error: Exception) -> str:
    """Why a job failed and what to do, in one line."""
    if isinstance(error, OSError):
        where = error.filename or "the data folder"
        return f"{error.strerror or error}: {where}; mend that, then the same request goes on where this one stopped"
    if isinstance(error, HeadstartError):
        return str(error)
    return f"internal error, please report it: {type(error).__name__}: {error}"
