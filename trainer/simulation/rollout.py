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

Policy = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.floating]]


@dataclass(frozen=True, eq=False)
class Rollout:
    """The outcome of one episode.

    Attributes:
        seed: of the environment.
        success: whether robosuite's check was true at any control step, of a simulation that stayed stable.
        steps: control steps until then, or until the episode's limit.
        positions: (steps + 1, nq) float32 generalized positions, for pictures.
        commands: (steps, 10) float32, the actions that were carried out.
        chunks: (length, 10) float32 each, all that the policy answered.
        n_action_steps: how many were carried out from one answer to the next.
        committed: of these, how many at the beginning were of the answer before.
    """

    seed: int
    success: bool
    steps: int
    positions: NDArray[np.float32]
    commands: NDArray[np.float32]
    chunks: tuple[NDArray[np.float32], ...]
    n_action_steps: int
    committed: int


def rollout(
    task: Task,
    policy: Policy,
    seeds: Sequence[int],
    *,
    episode_limit: int | None = None,
    n_obs_steps: int = 2,
    n_action_steps: int | None = None,
    committed: int = 0,
    n_envs: int = 50,
    finished: Callable[[Rollout], None] | None = None,
) -> list[Rollout]:
    """One episode for each seed, in the order of the seeds.

    An episode is a function of its seed and the policy's actions: what runs beside it changes nothing.
    Interrupted, what `finished` was given stays true: to go on, ask for the seeds that are missing.

    Args:
        task: the task.
        policy: from (live, n_obs_steps, obs_dim) observations, oldest first and the first one repeated at the start,
            and the (live, n_obs_steps - 1 + committed, 10) actions that are fixed already, those commanded since the
            oldest and those committed, NaN where there are none, to (live, length, 10) `ee_pose` actions from now on.
        seeds: one episode each.
        episode_limit: control steps, the task's own if None.
        n_obs_steps: observations that the policy sees.
        n_action_steps: of its actions that are carried out before it is asked again; all of them if None.
        committed: actions that are carried out of the answer before while the policy thinks about the next one, which
            they replace the beginning of.
        n_envs: episodes side by side.
        finished: called with each outcome as soon as it is known.

    Raises:
        SimulationError: the policy's answer has the wrong shape or is not finite.
    """
    results: dict[int, Rollout] = {}
    scene = load_scene(task)
    limit = task.episode_limit if episode_limit is None else episode_limit
    pace = _Pace(limit, n_obs_steps, n_action_steps, committed)
    for start in range(0, len(seeds), n_envs):
        for result in _run_batch(scene, policy, seeds[start : start + n_envs], pace):
            results[result.seed] = result
            if finished is not None:
                finished(result)
    return [results[seed] for seed in seeds]


@dataclass(frozen=True)
class _Pace:
    """How often a policy is asked, and what it is told, as `rollout` says."""

    limit: int
    n_obs_steps: int
    n_action_steps: int | None
    committed: int


class _Episode:
    """A running episode, its latest observations and its track.

    Attributes:
        fixed: the actions that are fixed already, (n_obs_steps - 1 + committed, 10), NaN where there are none.
    """

    def __init__(self, scene: Scene, seed: int, pace: _Pace) -> None:
        self.seed = seed
        self.environment = Environment(scene, seed)
        first = join_observation(self.environment.observation())
        self.observations = np.repeat(first[None], pace.n_obs_steps, axis=0)
        self.positions = [self._position()]
        self.fixed = np.full((pace.n_obs_steps - 1 + pace.committed, ACTION_WIDTH), np.nan, np.float32)
        self._pace = pace
        self._commands: list[NDArray[np.float32]] = []
        self._chunks: list[NDArray[np.float32]] = []

    @property
    def steps(self) -> int:
        return len(self.positions) - 1

    def _position(self) -> NDArray[np.float32]:
        return np.asarray(self.environment.data.qpos, dtype=np.float32).copy()

    def run(self, chunk: NDArray[np.float32]) -> Rollout | None:
        """Carries out what is committed and then the chunk (length, 10), in the place of whose beginning it is.

        Returns:
            The outcome if the episode ended on the way.
        """
        pace, past = self._pace, self._pace.n_obs_steps - 1
        n_action_steps = pace.n_action_steps or len(chunk) - pace.committed
        committed = self.fixed[past:]
        if np.isnan(committed).any():
            committed = committed[:0]
        self._chunks.append(chunk)
        for action in np.concatenate([committed, chunk[len(committed) :]])[:n_action_steps]:
            self.environment.step(action)
            self.positions.append(self._position())
            self._commands.append(action)
            # What an unstable simulation says of success is worth nothing.
            diverged = self.environment.diverged()
            success = self.environment.succeeded() and not diverged
            if success or self.steps >= pace.limit or diverged:
                return self._outcome(success, n_action_steps)
            latest = join_observation(self.environment.observation())
            self.observations = np.concatenate([self.observations[1:], latest[None]])
        commanded = [*np.full((past, ACTION_WIDTH), np.nan, np.float32), *self._commands]
        ahead = chunk[n_action_steps : n_action_steps + pace.committed]
        self.fixed = np.stack([*commanded[len(commanded) - past :], *ahead]) if len(self.fixed) else self.fixed
        return None

    def _outcome(self, success: bool, n_action_steps: int) -> Rollout:
        positions, commands = np.stack(self.positions), np.stack(self._commands)
        chunks, committed = tuple(self._chunks), self._pace.committed
        return Rollout(self.seed, success, self.steps, positions, commands, chunks, n_action_steps, committed)


def _run_batch(scene: Scene, policy: Policy, seeds: Sequence[int], pace: _Pace) -> Iterator[Rollout]:
    live = [_Episode(scene, seed, pace) for seed in seeds]
    while live:
        observations = np.stack([episode.observations for episode in live])
        actions = np.asarray(policy(observations, np.stack([episode.fixed for episode in live])))
        if actions.ndim != 3 or actions.shape[0] != len(live) or actions.shape[2] != ACTION_WIDTH:
            raise SimulationError(
                f"the policy returned actions of shape {actions.shape}, expected ({len(live)}, n, {ACTION_WIDTH})"
            )
        going_on = []
        for episode, own_actions in zip(live, actions.astype(np.float32), strict=True):
            result = episode.run(own_actions)
            if result is None:
                going_on.append(episode)
            else:
                yield result
        live = going_on
