import os
import random
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from services.engine import Engine, InlineEngine, ProcessEngine, RayEngine, open_engine
from services.jobs import begin
from services.synthesis.pipeline import ShardPlan, plan_shards
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.dataset import Dataset
from shared.errors import ConfigError, EngineError, SynthesisError
from shared.manifest import Commit
from tests.services.example import LONG_BODY, REQUEST, child_processes, contents

ENGINES = ("inline", "process 1", "process 2", "process 4", "ray 2")


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An engine by name and worker count; Ray is the session's one Ray of two."""
    name, _, workers = request.param.partition(" ")
    if name == "ray":
        yield request.getfixturevalue("ray_of_two")
        return
    made = open_engine(name, int(workers) if workers else None)
    made.start()
    yield made
    made.close()


def _run(engine: Engine, dataset: Dataset, on_commit: Callable[[Commit], None] = lambda commit: None) -> list[Commit]:
    commits: list[Commit] = []

    def record(commit: Commit) -> None:
        commits.append(commit)
        on_commit(commit)

    assert engine.run_shards(plan_shards(REQUEST), dataset.root, record, lambda: False)
    return commits


def _workers(engine: Engine) -> list[psutil.Process]:
    """Processes that are making shards now."""
    return child_processes("ray::make_shard" if engine.name == "ray" else "spawn_main")


@pytest.mark.parametrize("engine", ENGINES, indirect=True)
def test_every_engine_and_worker_count_makes_the_same_bytes(engine: Engine, empty: Dataset, reference: Dataset) -> None:
    commits = _run(engine, empty)
    assert sorted(commit.index for commit in commits) == list(range(12))
    assert sum(commit.rows for commit in commits) == 230
    assert contents(empty) == contents(reference)
    # The files too, as long as the same Arrow writes them.
    assert [c.file_sha256 for c in empty.commits()] == [c.file_sha256 for c in reference.commits()]
    assert not list((empty.root / ".tmp").glob("*.part"))


@pytest.mark.parametrize("engine", ["process 2", "ray 2"], indirect=True)
def test_killed_workers_cost_nothing_but_time(engine: Engine, empty: Dataset, reference: Dataset) -> None:
    rng = random.Random(3)
    kill_at, seen, killed = sorted(rng.sample(range(1, 10), 2)), 0, 0

    def kill_one(commit: Commit) -> None:
        nonlocal seen, killed
        seen += 1
        # Between two shards nobody makes one, so the next commit is as good.
        victims = _workers(engine) if killed < 2 and seen >= kill_at[killed] else []
        if victims:
            os.kill(rng.choice(victims).pid, signal.SIGKILL)
            killed += 1

    commits = _run(engine, empty, kill_one)
    assert killed
    assert sorted(commit.index for commit in commits) == list(range(12))
    assert contents(empty) == contents(reference)


@pytest.mark.parametrize("engine", ["process 2", "ray 2"], indirect=True)
def test_stopping_takes_less_than_two_seconds_and_leaves_whole_shards(engine: Engine, tmp_path: Path) -> None:
    # An arm of many hulls: no shard is made in the seconds until it is stopped.
    request = TrajectoryRequest.parse({**LONG_BODY, "robot": "tiago_pro", "workspace": {"kind": "reachable"}})
    dataset = begin(request, tmp_path / "long")
    asked_at: list[float] = []
    begun = time.monotonic()

    def should_stop() -> bool:
        if not asked_at and time.monotonic() - begun > 3:
            asked_at.append(time.monotonic())
        return bool(asked_at)

    assert not engine.run_shards(plan_shards(request), dataset.root, lambda commit: None, should_stop)
    assert time.monotonic() - asked_at[0] < 2
    assert dataset.commits() == ()
    time.sleep(0.3)
    assert not [worker for worker in _workers(engine) if worker.cpu_percent(0.2) > 50]


def test_a_worker_that_always_dies_is_an_error_and_not_a_loop(empty: Dataset) -> None:
    engine = ProcessEngine(1)
    done = threading.Event()

    def kill_all() -> None:
        while not done.wait(0.02):
            for worker in _workers(engine):
                worker.kill()

    killer = threading.Thread(target=kill_all)
    killer.start()
    try:
        with pytest.raises(EngineError, match="shard 0: its worker died 4 times"):
            engine.run_shards(plan_shards(REQUEST), empty.root, lambda commit: None, lambda: False)
    finally:
        done.set()
        killer.join()
        engine.close()
    # And the engine is fit for the next dataset.
    assert len(_run(engine, empty)) == 12
    engine.close()


@pytest.mark.parametrize("engine", ["inline", "process 2", "ray 2"], indirect=True)
def test_what_a_shard_raises_arrives_whole(engine: Engine, tmp_path: Path) -> None:
    unreachable = TrajectoryRequest.parse(
        {"robot": "panda", "count": 4, "workspace": {"kind": "box", "min": [3, 3, 3], "max": [4, 4, 4]}}
    )
    dataset = begin(unreachable, tmp_path / "unreachable")
    with pytest.raises(SynthesisError) as caught:
        engine.run_shards(plan_shards(unreachable), dataset.root, lambda commit: None, lambda: False)
    assert caught.value.attempts == sum(caught.value.rejections.values()) > 0
    assert set(caught.value.rejections) == {"unreachable"}
    assert dataset.commits() == ()


@pytest.mark.parametrize("engine", ["inline", "process 2", "ray 2"], indirect=True)
def test_an_unwritable_folder_is_an_error_of_the_system(engine: Engine, empty: Dataset) -> None:
    (empty.root / "shards").rmdir()
    (empty.root / "shards").write_text("in the way")
    with pytest.raises(NotADirectoryError):
        engine.run_shards(plan_shards(REQUEST), empty.root, lambda commit: None, lambda: False)
    assert empty.commits() == ()


def test_plans_are_drawn_as_workers_become_free(empty: Dataset) -> None:
    engine = ProcessEngine(2)
    drawn, ahead = 0, []

    def plans() -> Iterator[ShardPlan]:
        nonlocal drawn
        for plan in plan_shards(REQUEST):
            drawn += 1
            yield plan

    done = []

    def on_commit(commit: Commit) -> None:
        done.append(commit)
        ahead.append(drawn - len(done))

    assert engine.run_shards(plans(), empty.root, on_commit, lambda: False)
    engine.close()
    assert max(ahead) <= 2


def test_a_committed_shard_is_not_made_again(empty: Dataset) -> None:
    plans = plan_shards(REQUEST)
    _run(InlineEngine(), empty)
    # A plan that could not be synthesized: only its index matters now.
    engine = InlineEngine()
    assert engine.run_shards([replace(plans[0], rows=-1)], empty.root, lambda commit: None, lambda: False)


@pytest.mark.parametrize(
    ("name", "workers", "message"),
    [
        ("gpu", None, "unknown engine 'gpu'; there are inline, process, ray"),
        ("process", 0, "at least 1 is needed"),
        ("inline", 2, "the inline engine has one worker"),
    ],
)
def test_wrong_engines_say_what_is_right(name: str, workers: int | None, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        open_engine(name, workers)


def test_ray_that_can_not_be_joined_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address)
        with pytest.raises(EngineError, match=f"Ray at {address} could not be joined: .*; correct RAY_ADDRESS"):
            RayEngine(1).start()


@pytest.mark.usefixtures("ray_of_two")
def test_embedded_ray_asks_for_a_key() -> None:
    environments = [child.environ() for child in child_processes("raylet/raylet")]
    assert environments
    for environment in environments:
        assert environment["RAY_AUTH_MODE"] == "token"
        assert len(environment["RAY_AUTH_TOKEN"]) == 64
    # The program that Ray works for keeps none of it in its own environment.
    assert "RAY_AUTH_TOKEN" not in os.environ
