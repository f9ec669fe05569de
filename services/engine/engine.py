"""What every engine does, and the one task they all run: make a shard and commit it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal, Protocol, get_args

from services.engine.parts import made_in_parts, make_part
from services.engine.stored_request import kept_request_of
from services.memory import keep_memory
from services.synthesis import GENERATOR_VERSION
from services.synthesis.pipeline import ShardPlan, plan_shards, synthesize
from shared.dataset import Dataset
from shared.errors import EngineError, GeneratorVersionError, HeadstartError
from shared.manifest import Commit
from shared.storage import Location

EngineName = Literal["inline", "process", "ray"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)

MAX_DEATHS = 3
"""How often a shard's worker may die before the job fails: more is not bad luck but too little memory, or a bug."""
POLL_S = 0.1
"""Longest wait between looks at `should_stop` [s]."""


@dataclass(frozen=True)
class ShardTask:
    """What a worker is told to make: a shard of a dataset, or a part of one. As in ShardPlan.

    Attributes:
        index: of the shard.
        parts: how many parts the shard is made in.
        part: which of them to make, None to make the shard.
    """

    index: int
    parts: int
    part: int | None

    @classmethod
    def of(cls, plan: ShardPlan) -> "ShardTask":
        """The task of a plan."""
        return cls(plan.index, plan.parts, plan.part)


def never() -> bool:
    """A `should_stop` that doesn't."""
    return False


def usual() -> int:
    """The priority of a job that was submitted without one."""
    return 0


class Engine(Protocol):
    """Makes shards. Started once, used for any number of datasets, also at once: their shards take turns.

    Every method may be called from any thread.
    """

    @property
    def name(self) -> EngineName:
        """Its name on the command line."""
        ...

    @property
    def workers(self) -> int:
        """Shards in the making at once; known after `start`."""
        ...

    @property
    def problem(self) -> str:
        """Why it can make no shards at the moment, though it was started, or ""."""
        ...

    def start(self, should_stop: Callable[[], bool] = ...) -> None:
        """Brings its workers up, which may take seconds. Raises EngineError, also once `should_stop` is true."""
        ...

    def run_shards(
        self,
        plans: Iterable[ShardPlan],
        root: Location,
        on_commit: Callable[[Commit], None],
        should_stop: Callable[[], bool],
        priority: Callable[[], int] = ...,
    ) -> bool:
        """Makes and commits every planned shard, a bounded number at once, in any order.

        A part of a shard is made and left for the shard: see services.engine.parts.

        Calls in several threads share the workers: see services.engine.fair_share.

        Args:
            plans: of the shards; drawn from as workers become free.
            root: the dataset's directory or URI.
            on_commit: called in this thread for each shard as it is committed.
            should_stop: asked every POLL_S; once it is true, unfinished shards are dropped within 2 s.
            priority: asked for each shard; those of a higher one go first.

        Returns:
            True if all shards were made, False if it was stopped. Only whole shards are ever committed.

        Raises:
            SynthesisError: what was raised for the first shard in order that can't be made, whichever was found first.
            HeadstartError, OSError: what any other failed shard raised; the others in the making are dropped.
            EngineError: a shard's worker died more than MAX_DEATHS times.
        """
        ...

    def close(self) -> None:
        """Ends its workers."""
        ...


def make_shard(task: ShardTask, root: Location) -> Commit | None:
    """The task: a shard's rows, written and committed. Returns only the commit; safe to run twice.

    Of a part, which is left for its shard, there is none.

    What to make is said by the dataset: its request, and the robot and demonstrations beside it.

    Raises:
        HeadstartError, OSError: as they were raised.
        EngineError: for anything else, which is a bug, in a form that crosses processes.
    """
    try:
        dataset = Dataset(root)
        if dataset.header.generator_version != GENERATOR_VERSION:
            raise GeneratorVersionError(
                f"was begun by generator_version {dataset.header.generator_version}, this worker's is "
                f"{GENERATOR_VERSION}; install one release on every machine",
                dataset.header.dataset_id[:12],
            )
        done = dataset.commit(task.index)
        if done is not None:
            return done
        plan = replace(plan_shards(kept_request_of(dataset))[task.index], parts=task.parts)
        if task.part is not None:
            make_part(dataset, plan.part_plan(task.part))
            return None
        rows = made_in_parts(dataset, plan) if plan.parts > 1 else synthesize(plan)
        return dataset.publish(
            task.index, rows.table, rows.attempts, rows.rejections, rows.rejections_by_family, rows.redraws_by_family
        )
    except (HeadstartError, OSError):
        raise
    except Exception as error:
        raise EngineError(f"shard {task.index}: {type(error).__name__}: {error}") from error


def make_shard_alone(task: ShardTask, root: Location) -> Commit | None:
    """As make_shard, in a process that does nothing else."""
    keep_memory()
    return make_shard(task, root)


def dying_workers(plan: ShardPlan) -> EngineError:
    """The error of a shard whose workers keep dying."""
    return EngineError(
        f"shard {plan.index}: its worker died {MAX_DEATHS + 1} times without an error of its own, as when memory runs "
        "out; use fewer workers or smaller shard_rows, then submit again to go on from the committed shards"
    )
