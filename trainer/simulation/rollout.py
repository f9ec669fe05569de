"""Rolling a policy out in closed loop, many episodes side by side."""

from collections.abc import Callable, Container, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from shared.errors import SimulationError
from trainer.simulation.reached import Reached
from trainer.simulation.task import EnvironmentFault, Task
from trainer.simulation.watched_episode import Onlooker, Seen, WatchedEpisode

_T = TypeVar("_T")

Policy = Callable[..., NDArray[np.floating]]
"""From observations and what is fixed already, and pictures where cameras are seen, to actions, as `rollout` says."""


@dataclass(frozen=True, eq=False)
class Rollout:
    """The outcome of one episode.

    Attributes:
        seed: of the environment.
        success: whether the task's check was true after any control step.
        steps: control steps until then, or until the episode's limit or its own end.
        positions: (steps + 1, nq) float32 generalized positions, for pictures; of other simulators' nothing, nq = 0.
        reached: where arm and objects were, of each name (steps + 1, numbers), as far as the task tells (reached.py);
            nothing if it was not followed.
        commands: (steps, action_width) float32, the actions that were carried out.
        chunks: (length, action_width) float32 each, all that the policy answered.
        n_action_steps: how many were carried out from one answer to the next; 0 where it never answered.
        committed: of these, how many at the beginning were of the answer before.
        fault: what was wrong with the environment, where that ended the episode.
    """

    seed: int
    success: bool
    steps: int
    positions: NDArray[np.float32]
    reached: Reached
    commands: NDArray[np.float32]
    chunks: tuple[NDArray[np.float32], ...]
    n_action_steps: int
    committed: int
    fault: str | None = None


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
    threads: int = 1,
    seen: Seen | None = None,
    onlooker: Onlooker | None = None,
    followed: Container[int] = (),
    finished: Callable[[Rollout], None] | None = None,
) -> list[Rollout]:
    """One episode for each seed, in the order of the seeds.

    An episode is a function of its seed and the policy's actions: what runs beside it changes nothing. One whose
    environment has a fault has failed, and says so; the others go on.
    Interrupted, what `finished` was given stays true: to go on, ask for the seeds that are missing.

    Args:
        task: the task.
        policy: from (live, n_obs_steps, obs_dim) observations, oldest first and the first one repeated at the start,
            and the (live, n_obs_steps - 1 + committed, 10) actions that are fixed already, those commanded since the
            oldest and those committed, NaN where there are none, to (live, length, 10) `ee_pose` actions from now on;
            of other tasks not 10 but their `action_width`. Where `seen` has cameras, it is given a third argument:
            of each camera (live, n_picture_steps, height, width, 3) pictures, as `seen` says.
        seeds: one episode each.
        episode_limit: control steps, the task's own if None.
        n_obs_steps: observations that the policy sees.
        n_action_steps: of its actions that are carried out before it is asked again; all of them if None.
        committed: actions that are carried out of the answer before while the policy thinks about the next one, which
            they replace the beginning of.
        n_envs: episodes side by side.
        threads: that carry actions out; more than one where episodes are in processes of their own.
        seen: what of the task the policy sees; by default all of the observation, and no camera.
        onlooker: is shown pictures of the episodes.
        followed: seeds of which it is noted where arm and objects are.
        finished: called with each outcome as soon as it is known.

    Raises:
        SimulationError: the policy's answer has the wrong shape or is not finite.
    """
    results: dict[int, Rollout] = {}
    limit = task.episode_limit if episode_limit is None else episode_limit
    pace = _Pace(limit, n_obs_steps, n_action_steps, committed)
    shown = Seen.everything(task) if seen is None else seen
    with ThreadPoolExecutor(threads) as pool:
        each = _Batch(task, policy, pace, shown, onlooker, followed, pool if threads > 1 else None)
        for start in range(0, len(seeds), n_envs):
            for result in each.run(seeds[start : start + n_envs]):
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
    """A running episode and its track.

    Attributes:
        outcome: None while it goes on.
        fixed: the actions that are fixed already, (n_obs_steps - 1 + committed, width), NaN where there are none.
    """

    def __init__(self, task: Task, pace: _Pace, watched: WatchedEpisode) -> None:
        self.seed = watched.seed
        self.outcome: Rollout | None = None
        self.fixed = np.full((pace.n_obs_steps - 1 + pace.committed, task.action_width), np.nan, np.float32)
        self._pace, self._width = pace, task.action_width
        self._n_action_steps = 0
        self._commands: list[NDArray[np.float32]] = []
        self._chunks: list[NDArray[np.float32]] = []
        self.watched = watched
        self._guarded(self.watched.begin)

    def run(self, chunk: NDArray[np.float32]) -> None:
        """Carries out what is committed and then the chunk (length, width), in the place of whose beginning it is."""
        self._guarded(lambda: self._carry_out(chunk))

    def _guarded(self, what: Callable[[], None]) -> None:
        try:
            what()
        except EnvironmentFault as fault:
            self._end(False, str(fault))

    def _carry_out(self, chunk: NDArray[np.float32]) -> None:
        pace, past = self._pace, self._pace.n_obs_steps - 1
        self._n_action_steps = n_action_steps = pace.n_action_steps or len(chunk) - pace.committed
        committed = self.fixed[past:]
        if np.isnan(committed).any():
            committed = committed[:0]
        self._chunks.append(chunk)
        actions = np.concatenate([committed, chunk[len(committed) :]])[:n_action_steps]
        for left, action in zip(range(len(actions) - 1, -1, -1), actions, strict=True):
            self.watched.step(action)
            self._commands.append(action)
            success = self.watched.succeeded()
            if success or len(self._commands) >= pace.limit or self.watched.over():
                self._end(success)
                return
            self.watched.look(left)
        commanded = [*np.full((past, self._width), np.nan, np.float32), *self._commands]
        ahead = chunk[n_action_steps : n_action_steps + pace.committed]
        self.fixed = np.stack([*commanded[len(commanded) - past :], *ahead]) if len(self.fixed) else self.fixed

    def _end(self, success: bool, fault: str | None = None) -> None:
        self.watched.close()
        commands = np.array(self._commands, np.float32).reshape(-1, self._width)
        self.outcome = Rollout(
            seed=self.seed,
            success=success,
            steps=len(commands),
            positions=self.watched.positions(),
            reached=self.watched.reached(),
            commands=commands,
            chunks=tuple(self._chunks),
            n_action_steps=self._n_action_steps,
            committed=self._pace.committed,
            fault=fault,
        )


@dataclass(frozen=True)
class _Batch:
    """Episodes side by side."""

    task: Task
    policy: Policy
    pace: _Pace
    seen: Seen
    onlooker: Onlooker | None
    followed: Container[int]
    pool: ThreadPoolExecutor | None

    def run(self, seeds: Sequence[int]) -> Iterator[Rollout]:
        """Their outcomes, as they end."""
        live = list(self._each(self._begin, seeds))
        try:
            while live:
                yield from (episode.outcome for episode in live if episode.outcome is not None)
                live = [episode for episode in live if episode.outcome is None]
                if live:
                    list(self._each(_Episode.run, live, self._answer(live)))
        finally:
            for episode in live:
                episode.watched.close()

    def _begin(self, seed: int) -> _Episode:
        followed = seed in self.followed
        watched = WatchedEpisode(self.task, seed, self.pace.n_obs_steps, self.seen, self.onlooker, followed)
        return _Episode(self.task, self.pace, watched)

    def _each(self, what: Callable[..., _T], *arguments: Any) -> Iterator[_T]:
        return map(what, *arguments) if self.pool is None else self.pool.map(what, *arguments)

    def _answer(self, live: Sequence[_Episode]) -> NDArray[np.float32]:
        """The policy's actions (live, length, width). Raises SimulationError where they are none."""
        observations = np.stack([episode.watched.observations for episode in live])
        fixed = np.stack([episode.fixed for episode in live])
        pictures = {name: np.stack([one.watched.pictures[name] for one in live]) for name in self.seen.cameras}
        width = self.task.action_width
        actions = np.asarray(self.policy(observations, fixed, *([pictures] if pictures else [])))
        if actions.ndim != 3 or actions.shape[0] != len(live) or actions.shape[2] != width:
            raise SimulationError(
                f"the policy returned actions of shape {actions.shape}, expected ({len(live)}, n, {width})"
            )
        if not np.isfinite(actions).all():
            raise SimulationError("the policy returned actions that are not finite")
        return actions.astype(np.float32)
