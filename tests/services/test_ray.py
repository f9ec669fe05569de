"""Ray that is lost: embedded, and a cluster of processes of its own that RAY_ADDRESS names."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.engine import RayEngine
from services.synthesis.pipeline import plan_shards
from shared.dataset import Dataset
from shared.errors import EngineError
from shared.manifest import Commit
from tests.ray_head import RayHead
from tests.services.example import REQUEST, child_processes, contents
from tests.shared.example import remove_commits

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[RayHead]]:
    """The heads started so far, the first of them up and named by RAY_ADDRESS."""
    heads = [RayHead(2)]
    try:
        heads[0].wait()
        for name, value in {**heads[0].environment, "RAY_ADDRESS": heads[0].address}.items():
            monkeypatch.setenv(name, value)
        yield heads
    finally:
        for head in heads:
            head.close()


def _run(engine: RayEngine, dataset: Dataset, at: int = 0, act: Callable[[], None] = lambda: None) -> None:
    """Makes every shard that is missing, and acts after the commit number `at`."""
    done = 0

    def on_commit(commit: Commit) -> None:
        nonlocal done
        done += 1
        if done == at:
            act()

    missing = [plan for plan in plan_shards(REQUEST) if dataset.commit(plan.index) is None]
    assert engine.run_shards(missing, dataset.where, on_commit, lambda: False)


@pytest.mark.parametrize("victim", ["head", "driver"])
def test_embedded_ray_or_what_speaks_with_it_is_killed_and_started_again(
    ray_of_two: RayEngine, empty: Dataset, reference: Dataset, victim: str
) -> None:
    def kill() -> None:
        (head,) = child_processes("gcs_server")
        driver = head.parent()
        assert driver is not None
        (head if victim == "head" else driver).kill()
        # Ray ends the driver some seconds after its head, and the shards that are left are made by the next ones.
        driver.wait(60)

    _run(ray_of_two, empty, 3, kill)
    assert ray_of_two.problem == ""
    assert contents(empty) == contents(reference)


def test_a_job_that_is_cancelled_while_ray_is_lost_leaves_no_problem_behind(
    ray_of_two: RayEngine, empty: Dataset
) -> None:
    def kill(_: Commit) -> None:
        for process in child_processes("gcs_server"):
            driver = process.parent()
            assert driver is not None
            driver.kill()
            driver.wait(60)

    def lost() -> bool:
        return "is being started or joined again" in ray_of_two.problem

    assert not ray_of_two.run_shards(plan_shards(REQUEST), empty.where, kill, lost)
    assert lost()
    ray_of_two.start()
    assert ray_of_two.problem == ""


def test_a_cluster_is_joined_lost_and_joined_again(
    cluster: list[RayHead], empty: Dataset, reference: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    engine = RayEngine()
    try:
        engine.start()
        # What the cluster has, not what this machine has.
        assert engine.workers == 2

        def replace_head() -> None:
            cluster[0].kill()
            again = RayHead(2, port=cluster[0].port)
            again.token.write_text(cluster[0].token.read_text())
            cluster.append(again)
            # There before anyone has noticed, which is when a driver would wait for its old node without end.
            again.wait()

        _run(engine, empty, 3, replace_head)
        assert contents(empty) == contents(reference)
        assert engine.problem == ""

        with pytest.raises(EngineError, match=r"nowhere is not there on .*: mount the data folder at the same path"):
            engine.run_shards(plan_shards(REQUEST), tmp_path / "nowhere", lambda commit: None, lambda: False)

        cluster[1].kill()
        remove_commits(empty, 0)
        monkeypatch.setattr("services.engine.ray_cluster._PATIENCE_S", 0.0)
        with pytest.raises(EngineError, match=r"Ray is lost, and was not there again .* submit the same request"):
            _run(engine, empty)
        assert "Ray is lost" in engine.problem
        with pytest.raises(EngineError, match="stopped before Ray was up"):
            engine.start(lambda: True)
    finally:
        engine.close()
