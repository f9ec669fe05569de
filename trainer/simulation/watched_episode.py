"""An episode as a policy sees it: its latest observations and pictures, checked, and shown to an onlooker."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from trainer.simulation.environment import Environment
from trainer.simulation.reached import Reached, read_reached
from trainer.simulation.task import ONLOOKER, EnvironmentFault, Episode, Task

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Part:
    """Some numbers of an observation: those of `components` of what a task shows under `key`."""

    key: str
    components: slice = field(default_factory=lambda: slice(None))


@dataclass(frozen=True)
class Seen:
    """What of a task a policy sees.

    Attributes:
        parts: of an observation, in the order in which they are joined.
        cameras: by the policy's name for each, the task's name.
        sizes: by the task's name, height and width in which it is seen.
        n_picture_steps: pictures of each camera that it sees, the latest; None is as many as observations.
    """

    parts: tuple[Part, ...]
    cameras: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    n_picture_steps: int | None = None

    @classmethod
    def everything(cls, task: Task) -> "Seen":
        """All that a task shows, without cameras."""
        return cls(all_parts(task))


def all_parts(task: Task) -> tuple[Part, ...]:
    """All that a task shows beside cameras."""
    return tuple(Part(key) for key in task.observation_widths)


class Onlooker(Protocol):
    """Is shown some episodes, after each control step and before the first."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the pictures that it wants."""
        ...

    def watches(self, seed: int) -> bool:
        """Whether it wants to see the episode of a seed."""
        ...

    def show(self, seed: int, picture: Picture) -> None:
        """The next picture (height, width, 3) of an episode."""
        ...


class WatchedEpisode:
    """An episode and what was seen of it last.

    Attributes:
        seed: of the episode.
        observations: (n_obs_steps, numbers) float32, oldest first; the first one repeated at the start.
        pictures: by the policy's name of each camera, (n_picture_steps, height, width, 3), likewise.
    """

    def __init__(
        self, task: Task, seed: int, n_obs_steps: int, seen: Seen, onlooker: Onlooker | None, followed: bool = False
    ) -> None:
        """`followed`: it is noted where its arm and objects are."""
        self._task, self.seed, self._n_obs_steps, self._seen = task, seed, n_obs_steps, seen
        self._n_picture_steps = seen.n_picture_steps or n_obs_steps
        self._followed = followed
        self._onlooker = onlooker if onlooker is not None and onlooker.watches(seed) else None
        self._episode: Episode | None = None
        self._positions: list[NDArray[np.float32]] = []
        self._reached: list[Reached] = []

    def begin(self) -> None:
        """Raises EnvironmentFault, as all of these, where the environment can't or shows what it did not say."""
        self._episode = self._task.begin(self.seed)
        self._note()
        self.observations = np.repeat(self._observation()[None], self._n_obs_steps, axis=0)
        self.pictures = {
            name: np.repeat(picture[None], self._n_picture_steps, axis=0) for name, picture in self._pictures().items()
        }

    def step(self, action: NDArray[np.float32]) -> None:
        """One control step."""
        self.running.step(action)
        self._note()

    def look(self, steps_left: int) -> None:
        """Observes; cameras only if the policy is asked again before this has been forgotten, in `steps_left` steps."""
        self.observations = np.concatenate([self.observations[1:], self._observation()[None]])
        if steps_left < self._n_picture_steps:
            for name, picture in self._pictures().items():
                self.pictures[name] = np.concatenate([self.pictures[name][1:], picture[None]])

    def succeeded(self) -> bool:
        """Whether the task is done now."""
        return bool(self.running.succeeded())

    def over(self) -> bool:
        """Whether the episode ended by itself."""
        return bool(self.running.over())

    def close(self) -> None:
        """Gives the episode back, once."""
        if self._episode is not None:
            self._episode.close()
            self._episode = None

    def positions(self) -> NDArray[np.float32]:
        """(steps + 1, nq) generalized positions; nq is 0 where the simulator isn't ours."""
        return np.stack(self._positions) if self._positions else np.zeros((0, 0), np.float32)

    def reached(self) -> Reached:
        """Where arm and objects were (reached.py), (steps + 1, numbers) of each; nothing if it was not followed."""
        names = self._reached[0] if self._reached else ()
        return {name: np.stack([one[name] for one in self._reached]) for name in names}

    @property
    def running(self) -> Episode:
        """The episode itself."""
        assert self._episode is not None
        return self._episode

    def _note(self) -> None:
        """What is kept of a step for people."""
        qpos = self._episode.data.qpos if isinstance(self._episode, Environment) else ()
        self._positions.append(np.array(qpos, np.float32))
        if self._followed:
            self._reached.append(read_reached(self.running, self._reached[-1] if self._reached else None))
        if self._onlooker is not None:
            self._onlooker.show(self.seed, self._asked({ONLOOKER: self._onlooker.size})[ONLOOKER])

    def _observation(self) -> NDArray[np.float32]:
        shown = self.running.observation()
        found = {}
        for key, width in self._task.observation_widths.items():
            if key not in shown:
                raise EnvironmentFault(f"the observation lacks '{key}'")
            numbers = np.asarray(shown[key], np.float32)
            if numbers.shape != (width,):
                raise EnvironmentFault(f"observation '{key}' has shape {numbers.shape}, the task says ({width},)")
            if not np.isfinite(numbers).all():
                place = int(np.argmin(np.isfinite(numbers)))
                raise EnvironmentFault(f"observation '{key}[{place}]' is {numbers[place]}")
            found[key] = numbers
        return np.concatenate(
            [found[part.key][part.components] for part in self._seen.parts] or [np.zeros(0, np.float32)]
        )

    def _pictures(self) -> dict[str, Picture]:
        if not self._seen.cameras:
            return {}
        # Imported where it is needed: it takes FFmpeg.
        from trainer.data.demonstrations.formats.video import resize

        given = self._asked(self._seen.sizes)
        return {name: resize(given[own], self._seen.sizes[own]) for name, own in self._seen.cameras.items()}

    def _asked(self, sizes: Mapping[str, tuple[int, int]]) -> Mapping[str, Picture]:
        given = self.running.pictures(sizes)
        for name in sizes:
            picture: Any = given.get(name)
            if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8 or picture.ndim != 3:
                what = f"{picture.dtype} {picture.shape}" if isinstance(picture, np.ndarray) else type(picture).__name__
                raise EnvironmentFault(f"camera '{name}' shows {what}, not uint8 (height, width, 3)")
            if picture.shape[2] != 3 or 0 in picture.shape:
                raise EnvironmentFault(f"camera '{name}' shows {picture.shape}, not (height, width, 3)")
        return given
