import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from shared.errors import DemonstrationError, SimulationError
from shared.rotation import matrix_to_rot6d
from tests.trainer.data.demonstrations.proposal.example import chain_of
from trainer.data.demonstrations import read_demonstrations
from trainer.data.demonstrations.episode import Episode
from trainer.data.demonstrations.formats.simulator import read_header
from trainer.simulation.collect import attempt, collect, satisfies
from trainer.simulation.environment import Environment
from trainer.simulation.observation import observation_widths
from trainer.simulation.scene import load_scene
from trainer.simulation.task import find_task


def same(a: Episode, b: Episode) -> bool:
    return (
        (a.name, a.seed, a.success) == (b.name, b.seed, b.success)
        and np.array_equal(a.actions, b.actions)
        and np.array_equal(a.initial_state, b.initial_state)
        and all(np.array_equal(a.observations[key], b.observations[key]) for key in a.observations)
    )


@pytest.fixture(scope="module")
def lifts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return collect("lift", tmp_path_factory.mktemp("lift") / "lift.hdf5", first_seed=10, successes=5)


@pytest.mark.parametrize(("name", "first_seed"), [("lift", 0), ("stack", 300)])
def test_experts_succeed(name: str, first_seed: int) -> None:
    task = find_task(name)
    attempts = [attempt(task, seed) for seed in range(first_seed, first_seed + 12)]
    assert sum(one.success for one in attempts) >= 11
    assert max(len(one.actions) for one in attempts) < task.episode_limit
    for one in attempts:
        speed = np.linalg.norm(np.diff(one.observations["tcp_position"], axis=0), axis=1) * 20
        assert speed.max() < 0.8
        assert np.linalg.norm(np.diff(one.actions[:, :3], axis=0), axis=1).max() * 20 < 0.6


def test_its_joints_bring_the_tool_where_it_was_seen(lifts: Path) -> None:
    chain = chain_of("panda")
    for episode in read_demonstrations(lifts).episodes:
        assert episode.counterpart is not None
        assert episode.tool is not None
        position, rotation = chain.tool_poses(episode.counterpart.astype(np.float64))
        assert np.abs(position - episode.tool[:, :3]).max() < 1e-5
        assert np.abs(matrix_to_rot6d(rotation) - episode.tool[:, 3:]).max() < 1e-5


def test_a_collection_reads_back(lifts: Path) -> None:
    demonstrations = read_demonstrations(lifts)
    task = find_task("lift")
    assert (demonstrations.task, demonstrations.robot) == ("lift", "panda")
    assert (demonstrations.rate_hz, demonstrations.action_label) == (20.0, "command")
    assert tuple(demonstrations.observation_widths) == tuple(observation_widths(task))
    assert [episode.validation for episode in demonstrations.episodes] == [False] * 4 + [True]
    recorded = attempt(task, demonstrations.episodes[0].seed)
    episode = demonstrations.episodes[0]
    np.testing.assert_allclose(episode.actions, recorded.actions, atol=1e-6)
    np.testing.assert_array_equal(episode.initial_state, recorded.states[0])
    for key, values in recorded.observations.items():
        np.testing.assert_array_equal(episode.observations[key], values)


def test_the_recorded_state_is_where_the_seed_begins(lifts: Path) -> None:
    scene = load_scene(find_task("lift"))
    for episode in read_demonstrations(lifts).episodes:
        environment = Environment(scene, episode.seed)
        np.testing.assert_array_equal(environment.state(), episode.initial_state)


def test_the_layout_is_robomimics(lifts: Path) -> None:
    with h5py.File(lifts) as file:
        assert json.loads(file["data"].attrs["env_args"])["env_name"] == "Lift"
        assert list(file["mask/train"][:]) == [b"demo_0", b"demo_1", b"demo_2", b"demo_3"]
        assert list(file["mask/valid"][:]) == [b"demo_4"]
        total = 0
        for demo in file["data"].values():
            steps = demo.attrs["num_samples"]
            total += steps
            assert demo["actions"].shape == (steps, 7)
            assert demo["states"].shape == (steps, 1 + 16 + 15)
            assert demo["rewards"].shape == demo["dones"].shape == (steps,)
            assert demo["rewards"][-1] == 1.0
            assert demo.attrs["model_file"].startswith("<mujoco")
        assert file["data"].attrs["total"] == total


def test_the_number_of_workers_changes_nothing(lifts: Path, tmp_path: Path) -> None:
    again = collect("lift", tmp_path / "two.hdf5", first_seed=10, successes=5, workers=2)
    ours, theirs = read_demonstrations(lifts), read_demonstrations(again)
    assert read_header(lifts) == read_header(again)
    assert all(same(a, b) for a, b in zip(ours.episodes, theirs.episodes, strict=True))


def test_what_is_there_is_used_again(lifts: Path) -> None:
    before = lifts.stat().st_mtime_ns
    reported: list[int] = []
    collect("lift", lifts, first_seed=10, successes=4, progress=lambda done, total, note="": reported.append(done))
    assert lifts.stat().st_mtime_ns == before
    assert reported == []
    assert len(read_demonstrations(lifts, 4).episodes) == 4


def test_another_collection_is_not_overwritten(lifts: Path) -> None:
    assert satisfies(lifts, "lift", first_seed=10, successes=5)
    assert satisfies(lifts, "lift", first_seed=10, attempts=5)
    assert not satisfies(lifts, "lift", first_seed=10, successes=6)
    assert not satisfies(lifts, "lift", first_seed=0, successes=5)
    assert not satisfies(lifts, "stack", first_seed=10, successes=5)
    assert not satisfies(lifts.with_name("none.hdf5"), "lift", successes=1)
    before = lifts.read_bytes()
    with pytest.raises(DemonstrationError, match=r"lift\.hdf5: has 5 demonstrations of 'lift'.*delete it"):
        collect("lift", lifts, first_seed=10, successes=6)
    assert lifts.read_bytes() == before


def test_an_interrupted_collection_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(done: int, total: int, note: str = "") -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collect("lift", tmp_path / "lift.hdf5", successes=3, progress=interrupt)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"successes": 1, "attempts": 1},
        {"successes": 0},
        {"attempts": 1, "workers": 0},
        {"attempts": 1, "first_seed": -1},
    ],
)
def test_a_senseless_request_is_refused(request_: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(SimulationError):
        collect("lift", tmp_path / "lift.hdf5", **request_)  # type: ignore[arg-type]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DemonstrationError, match="can't be written"):
        collect("lift", tmp_path / "file" / "lift.hdf5", successes=1)
