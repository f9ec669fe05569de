"""Rolling a policy out in closed loop, many episodes side by side on one model."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.errors import SimulationError
from trainer.simulation.environment import ACTION_WIDTH, Environment
from trainer.simulation.observation import join_observation
from trainer.simulation.scene import Scene, load_scene
from trainer.simulation.task import Task

Policy = Callable[[NDArray[np.float32]], NDArray[np.floating]]


@dataclass(frozen=True, eq=False)
class Rollout:
    """The outcome of one episode.

    Attributes:
        seed: of the environment.
        success: whether robosuite's check was true at any control step.
        steps: control steps until then, or until the episode's limit.
        positions: (steps + 1, nq) float32 generalized positions, for pictures.
    """

    seed: int
    success: bool
    steps: int
    positions: NDArray[np.float32]


def rollout(
    task: Task,
    policy: Policy,
    seeds: Sequence[int],
    *,
    episode_limit: int | None = None,
    n_obs_steps: int = 2,
    n_envs: int = 50,
    finished: Callable[[Rollout], None] | None = None,
) -> list[Rollout]:
    """One episode for each seed, in the order of the seeds.

    An episode is a function of its seed and the policy's actions: what runs beside it changes nothing.
    Interrupted, what `finished` was given stays true: to go on, ask for the seeds that are missing.

    Args:
        task: the task.
        policy: from (live, n_obs_steps, obs_dim) observations, oldest first and the first one repeated at the start,
            to (live, n_action_steps, 10) `ee_pose` actions, which are carried out before it is asked again.
        seeds: one episode each.
        episode_limit: control steps, the task's own if None.
        n_obs_steps: observations that the policy sees.
        n_envs: episodes side by side.
        finished: called with each outcome as soon as it is known.

    Raises:
        SimulationError: the policy's answer has the wrong shape or is not finite.
    """
    results: dict[int, Rollout] = {}
    scene = load_scene(task)
    limit = task.episode_limit if episode_limit is None else episode_limit
    for start in range(0, len(seeds), n_envs):
        for result in _run_batch(scene, policy, seeds[start : start + n_envs], limit, n_obs_steps):
            results[result.seed] = result
            if finished is not None:
                finished(result)
    return [results[seed] for seed in seeds]


class _Episode:
    """A running episode, its latest observations and its track."""

    def __init__(self, scene: Scene, seed: int, n_obs_steps: int) -> None:
        self.seed = seed
        self.environment = Environment(scene, seed)
        first = join_observation(self.environment.observation())
        self.observations = np.repeat(first[None], n_obs_steps, axis=0)
        self.positions = [self._position()]

    @property
    def steps(self) -> int:
        return len(self.positions) - 1

    def _position(self) -> NDArray[np.float32]:
        return np.asarray(self.environment.data.qpos, dtype=np.float32).copy()

    def run(self, actions: NDArray[np.floating], limit: int) -> Rollout | None:
        """Carries out (n_action_steps, 10) actions; the outcome if the episode ended on the way."""
        for action in actions:
            self.environment.step(action)
            self.positions.append(self._position())
            success = self.environment.succeeded()
            if success or self.steps >= limit or self.environment.diverged():
                return Rollout(self.seed, success, self.steps, np.stack(self.positions))
            latest = join_observation(self.environment.observation())
            self.observations = np.concatenate([self.observations[1:], latest[None]])
        return None


def _run_batch(scene: Scene, policy: Policy, seeds: Sequence[int], limit: int, n_obs_steps: int) -> Iterator[Rollout]:
    live = [_Episode(scene, seed, n_obs_steps) for seed in seeds]
    while live:
        actions = np.asarray(policy(np.stack([episode.observations for episode in live])))
        if actions.ndim != 3 or actions.shape[0] != len(live) or actions.shape[2] != ACTION_WIDTH:
            raise SimulationError(
                f"the policy returned actions of shape {actions.shape}, expected ({len(live)}, n, {ACTION_WIDTH})"
            )
        going_on = []
        for episode, own_actions in zip(live, actions, strict=True):
            result = episode.run(own_actions, limit)
            if result is None:
                going_on.append(episode)
            else:
                yield result
        live = going_on
