"""A shard made in parts, side by side: what is committed is what one worker makes of it whole."""

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from services.engine import Engine, open_engine
from services.engine.parts import LEAST_ROWS, in_parts, made_in_parts, make_part, part_plans
from services.jobs import begin, make_dataset
from services.synthesis.pipeline import ShardPlan, plan_shards, synthesize
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.dataset import Dataset
from shared.errors import SynthesisError
from shared.manifest import Commit
from tests.services.example import child_processes

ROWS = 2 * LEAST_ROWS + 100
ONE_SHARD: dict[str, Any] = {
    "robot": "panda",
    "count": ROWS,
    "seed": 8,
    "rate_hz": 5,
    "shard_rows": 2048,
    "self_collision": False,
    # Boxes that reject candidates, so that there is something to count.
    "workspace": {"kind": "box", "min": [0.3, -0.6, 0.0], "max": [0.9, 0.6, 0.8]},
    "columns": ["profile_time", "profile_jerk"],
}
REQUEST = TrajectoryRequest.parse(ONE_SHARD)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The request's dataset, of one shard, made by one worker."""
    dataset = begin(REQUEST, tmp_path_factory.mktemp("whole"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("services.jobs.generation.in_parts", lambda plans, workers: plans)
        assert make_dataset(REQUEST, dataset, open_engine("inline"))
    return dataset


class Watched:
    """An engine whose plans are looked at, and which may be told to do something before it begins one."""

    def __init__(self, engine: Engine, workers: int) -> None:
        self.made: list[ShardPlan] = []
        self._engine, self.workers = engine, workers
        self.at_begin: Callable[[ShardPlan], None] = lambda plan: None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def run_shards(self, plans: Any, *arguments: Any) -> bool:
        """See Engine.run_shards."""

        def watched() -> Iterator[ShardPlan]:
            for plan in plans:
                self.made.append(plan)
                self.at_begin(plan)
                yield plan

        return self._engine.run_shards(watched(), *arguments)


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Iterator[Watched]:
    """An engine by name, as of two workers; Ray is the session's one."""
    if request.param == "ray":
        yield Watched(request.getfixturevalue("ray_of_two"), 2)
        return
    made = open_engine(request.param, 2 if request.param == "process" else None)
    yield Watched(made, 2)
    made.close()


def _commit(dataset: Dataset) -> Commit:
    (commit,) = dataset.commits()
    return commit


def _left(dataset: Dataset) -> list[str]:
    return [path.name for path in (dataset.root / ".tmp").iterdir()]


@pytest.mark.parametrize("engine", ["inline", "process", "ray"], indirect=True)
def test_a_shard_of_parts_is_the_shard_that_one_worker_makes(engine: Watched, whole: Dataset, tmp_path: Path) -> None:
    dataset = begin(REQUEST, tmp_path / "parts")
    assert make_dataset(REQUEST, dataset, engine)
    assert [(plan.part, plan.first_id, plan.rows) for plan in engine.made] == [
        (0, 0, ROWS // 2),
        (1, ROWS // 2, ROWS // 2),
        (None, 0, ROWS),
    ]
    assert _commit(dataset) == _commit(whole)
    assert _commit(dataset).attempts > ROWS
    assert _left(dataset) == []


def test_parts_are_even_and_no_more_than_there_are_workers_or_rows_for() -> None:
    (plan,) = plan_shards(TrajectoryRequest.parse({**ONE_SHARD, "count": 2000}))
    assert [one.parts for one in in_parts([plan], 4)] == [4]
    assert [one.parts for one in in_parts([plan], 64)] == [2000 // LEAST_ROWS]
    assert [one.parts for one in in_parts([plan, plan], 5)] == [2, 2]
    assert [one.parts for one in in_parts([plan] * 3, 3)] == [1, 1, 1]
    parts = part_plans(in_parts([replace(plan, rows=1999)], 3))
    assert [(part.first_id, part.rows) for part in parts] == [(0, 666), (666, 666), (1332, 667)]
    assert part_plans(in_parts([replace(plan, rows=LEAST_ROWS)], 8)) == []


def test_a_part_whose_file_is_gone_is_made_anew(whole: Dataset, tmp_path: Path) -> None:
    dataset = begin(REQUEST, tmp_path / "parts")
    plan = in_parts(list(plan_shards(REQUEST)), 2)[0]
    make_part(dataset, plan.part_plan(1))
    rows, one = made_in_parts(dataset, plan), synthesize(plan_shards(REQUEST)[0])
    assert rows.table.equals(one.table, check_metadata=True)
    assert (rows.attempts, rows.rejections) == (one.attempts, one.rejections)
    assert rows.rejections_by_family == one.rejections_by_family
    assert rows.redraws_by_family == one.redraws_by_family


def test_a_part_that_another_release_left_is_made_anew(tmp_path: Path) -> None:
    dataset = begin(REQUEST, tmp_path / "parts")
    part = in_parts(list(plan_shards(REQUEST)), 2)[0].part_plan(0)
    make_part(dataset, part)
    (path,) = (dataset.root / ".tmp").iterdir()
    table = pa.ipc.open_stream(path.read_bytes()).read_all()
    counts = json.loads(table.schema.metadata[b"headstart_counts"])
    del counts["nbytes"]
    table = table.slice(0, 1).replace_schema_metadata({b"headstart_counts": json.dumps(counts)})
    with pa.ipc.new_stream(str(path), table.schema) as writer:
        writer.write_table(table)
    assert made_in_parts(dataset, in_parts(list(plan_shards(REQUEST)), 2)[0]).table.num_rows == ROWS


@pytest.mark.parametrize("engine", ["process"], indirect=True)
def test_a_part_that_loses_its_worker_is_made_again(engine: Watched, whole: Dataset, tmp_path: Path) -> None:
    dataset, killed = begin(REQUEST, tmp_path / "parts"), []

    def kill_one(plan: ShardPlan) -> None:
        # The first part is in the making; its worker takes a second to import what it needs.
        if plan.part == 1:
            killed.extend(child_processes("spawn_main")[:2])
            for worker in killed:
                os.kill(worker.pid, signal.SIGKILL)

    engine.at_begin = kill_one
    assert make_dataset(REQUEST, dataset, engine)
    assert len(killed) == 2
    assert _commit(dataset) == _commit(whole)
    assert _left(dataset) == []


@pytest.mark.parametrize("engine", ["inline", "process", "ray"], indirect=True)
def test_a_part_that_fails_fails_the_job_as_its_shard_does(engine: Watched, tmp_path: Path) -> None:
    nowhere = {"kind": "box", "min": [3, 3, 3], "max": [4, 4, 4]}
    request = TrajectoryRequest.parse({**ONE_SHARD, "workspace": nowhere})
    dataset = begin(request, tmp_path / "unreachable")
    with pytest.raises(SynthesisError, match="unreachable") as caught:
        make_dataset(request, dataset, engine)
    assert caught.value.attempts == sum(caught.value.rejections.values()) > 0
    assert dataset.manifest().state == "failed"
    assert dataset.commits() == ()
    assert _left(dataset) == []


@pytest.mark.parametrize("engine", ["process", "ray"], indirect=True)
def test_a_job_cancelled_among_its_parts_leaves_nothing(engine: Watched, tmp_path: Path) -> None:
    dataset, stopped = begin(REQUEST, tmp_path / "parts"), threading.Event()
    engine.at_begin = lambda plan: stopped.set() if plan.part == 1 else None
    assert not make_dataset(REQUEST, dataset, engine, should_stop=stopped.is_set)
    assert [plan.part for plan in engine.made] == [0, 1]
    assert dataset.commits() == ()
    assert _left(dataset) == []
