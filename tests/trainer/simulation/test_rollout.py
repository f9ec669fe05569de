from pathlib import Path

import numpy as np
import pytest

from shared.errors import SimulationError
from trainer.data.demonstrations import read_demonstrations
from trainer.data.demonstrations.episode import Demonstrations
from trainer.simulation.collect import collect
from trainer.simulation.rollout import Rollout, rollout
from trainer.simulation.task import find_task, task_names

LIFT = find_task("lift")


def reaching(observations: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """A deterministic policy that lifts: down on the cube, close when there, up when closed."""
    latest = observations[:, -1].astype(np.float64)
    tcp, fingers, cube = latest[:, :3], latest[:, 9:11].sum(1), latest[:, 11:14]
    near = np.linalg.norm(tcp - cube, axis=1) < 0.012
    closed = fingers < 0.05
    above = np.linalg.norm((tcp - cube)[:, :2], axis=1) < 0.01
    height = np.where(closed, 0.1, np.where(above, 0.0, 0.05))
    target = cube + height[:, None] * [0.0, 0.0, 1.0]
    grip = np.where(near | closed, 1.0, -1.0)[:, None]
    action = np.concatenate([target, facing(latest[:, 14:20]), grip], axis=1)
    return np.repeat(action[:, None], 4, axis=1)


def facing(cube_rot6d: np.ndarray) -> np.ndarray:
    """rotation_6d of the tool facing down with the yaw of the cube."""
    cos, sin = cube_rot6d[:, 0], -cube_rot6d[:, 1]
    zero = np.zeros_like(cos)
    return np.stack([cos, sin, zero, sin, -cos, zero], axis=1)


class Replay:
    """Gives recorded actions, eight at a time."""

    def __init__(self, actions: np.ndarray) -> None:
        self.chunks = iter(np.array_split(actions, range(8, len(actions), 8)))

    def __call__(self, observations: np.ndarray, fixed: np.ndarray) -> np.ndarray:
        return np.asarray(next(self.chunks))[None]


@pytest.fixture(scope="module")
def demonstrations(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Demonstrations]:
    folder: Path = tmp_path_factory.mktemp("demonstrations")
    return {
        name: read_demonstrations(collect(name, folder / f"{name}.hdf5", first_seed=40, successes=2))
        for name in task_names()
    }


def test_the_test_policy_lifts() -> None:
    assert [result.success for result in rollout(LIFT, reaching, range(6))] == [True] * 6


def test_outcomes_do_not_depend_on_batch_or_order() -> None:
    seeds = [100_000, 100_001, 100_002, 100_003]
    together = rollout(LIFT, reaching, seeds, n_envs=4, episode_limit=40)
    alone = rollout(LIFT, reaching, seeds, n_envs=1, episode_limit=40)
    backwards = rollout(LIFT, reaching, seeds[::-1], n_envs=3, episode_limit=40)[::-1]
    for a, b, c in zip(together, alone, backwards, strict=True):
        assert (a.seed, a.success, a.steps) == (b.seed, b.success, b.steps) == (c.seed, c.success, c.steps)
        assert np.array_equal(a.positions, b.positions)
        assert np.array_equal(a.positions, c.positions)


def test_an_interrupted_evaluation_goes_on_with_the_missing_seeds() -> None:
    seeds = list(range(5))
    whole = rollout(LIFT, reaching, seeds, n_envs=2, episode_limit=20)
    known: dict[int, Rollout] = {}

    def interrupt_after_three(result: Rollout) -> None:
        known[result.seed] = result
        if len(known) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rollout(LIFT, reaching, seeds, n_envs=2, episode_limit=20, finished=interrupt_after_three)
    missing = [seed for seed in seeds if seed not in known]
    known |= {one.seed: one for one in rollout(LIFT, reaching, missing, n_envs=2, episode_limit=20)}
    for one in whole:
        assert (one.success, one.steps) == (known[one.seed].success, known[one.seed].steps)
        assert np.array_equal(one.positions, known[one.seed].positions)


def test_the_policy_sees_two_steps_the_first_one_repeated() -> None:
    seen: list[np.ndarray] = []

    def watching(observations: np.ndarray, fixed: np.ndarray) -> np.ndarray:
        seen.append(observations.copy())
        return reaching(observations, fixed)

    rollout(LIFT, watching, [0, 1], episode_limit=9)
    assert [one.shape for one in seen] == [(2, 2, 23)] * 3
    assert seen[0].dtype == np.float32
    assert np.array_equal(seen[0][:, 0], seen[0][:, 1])
    assert not np.array_equal(seen[1][:, 0], seen[1][:, 1])


@pytest.mark.parametrize(("n_obs_steps", "committed"), [(2, 0), (2, 1), (1, 2), (3, 2), (1, 0)])
def test_a_policy_is_told_what_is_fixed_already(n_obs_steps: int, committed: int) -> None:
    """Chunk k commands heights k + 0.01 j above the table, j being the step of the chunk; 4 steps lie between calls."""
    told: list[np.ndarray] = []
    chunks: list[np.ndarray] = []

    def counting(observations: np.ndarray, fixed: np.ndarray) -> np.ndarray:
        assert observations.shape[1] == n_obs_steps
        told.append(fixed[0].copy())
        chunk = np.repeat(reaching(observations, fixed)[:, :1], 8, axis=1)
        chunk[..., 2] = 0.05 + 0.01 * len(chunks) + 0.001 * np.arange(8)
        chunks.append(chunk[0].astype(np.float32))
        return chunk

    (result,) = rollout(
        LIFT, counting, [0], episode_limit=12, n_obs_steps=n_obs_steps, n_action_steps=4, committed=committed
    )
    assert (len(chunks), result.steps, result.n_action_steps, result.committed) == (3, 12, 4, committed)
    assert np.array_equal(np.stack(result.chunks), np.stack(chunks))
    # The first chunk's first actions are carried out; of later ones the first `committed` are of the chunk before.
    later = [np.concatenate([chunks[k - 1][4 : 4 + committed], chunks[k][committed:4]]) for k in (1, 2)]
    assert np.array_equal(result.commands, np.concatenate([chunks[0][:4], *later]))
    past = n_obs_steps - 1
    assert told[0].shape == (past + committed, 10)
    assert np.isnan(told[0]).all()
    for k in (1, 2):
        before = result.commands[4 * k - past : 4 * k]
        assert np.array_equal(told[k], np.concatenate([before, chunks[k - 1][4 : 4 + committed]]))


def test_a_policy_that_does_nothing_fails_at_the_limit() -> None:
    def still(observations: np.ndarray, fixed: np.ndarray) -> np.ndarray:
        hold = np.concatenate([observations[:, -1, :9], -np.ones((len(observations), 1))], axis=1)
        return hold[:, None]

    (result,) = rollout(LIFT, still, [3], episode_limit=5)
    assert (result.success, result.steps) == (False, 5)
    assert result.positions.shape == (6, 16)


@pytest.mark.parametrize("shape", [(1, 10), (2, 8, 10), (1, 8, 9)])
def test_actions_of_the_wrong_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(SimulationError, match=r"expected \(1, n, 10\)"):
        rollout(LIFT, lambda observations, fixed: np.zeros(shape), [0])


@pytest.mark.parametrize("name", task_names())
def test_replaying_a_demonstration_succeeds(name: str, demonstrations: dict[str, Demonstrations]) -> None:
    """Its float32 tool poses, through the rollout, from its seed alone."""
    for episode in demonstrations[name].episodes:
        (result,) = rollout(find_task(name), Replay(episode.actions), [episode.seed])
        assert result.success
        assert abs(result.steps - (len(episode.actions) - 4)) <= 1
