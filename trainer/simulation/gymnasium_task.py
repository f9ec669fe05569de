"""A Gymnasium environment as a task, by its mapping file (environment_file.py)."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.errors import ConfigError, SimulationError
from shared.rotation import matrix_to_rot6d
from trainer.config import ActionName
from trainer.data.action import POSE_DIM
from trainer.data.demonstrations.mapping.mapping import Mapping as DemonstrationMapping
from trainer.data.demonstrations.mapping.mapping import split_columns
from trainer.data.demonstrations.mapping.motion import RawEpisode, observed_motion
from trainer.simulation.environment_file import EnvironmentFile, named, read_environment_file, success_rule
from trainer.simulation.native_actions import NativeActions
from trainer.simulation.task import ONLOOKER, EnvironmentFault, imported

Picture = NDArray[np.uint8]


class GymnasiumTask:
    """A `Task`. It has one environment, in which one episode follows the other.

    Attributes:
        expert: from an episode that has just begun, an iterator over actions; None where the file names none.
    """

    def __init__(self, file: EnvironmentFile, where: str) -> None:
        """Raises SimulationError where the environment can't be made, ConfigError where it isn't as the file says."""
        self._file, self._where = file, where
        self.environment = _made(file, where)
        spaces = flat(self.environment.observation_space)
        self.low_dim, self.pictures_of = named(file.observation.low_dim), named(file.observation.cameras)
        self._widths = {key: _width(columns, spaces, where) for key, columns in self.low_dim.items()}
        state = file.state
        for part in (state.position, state.rotation, state.joint_position, state.gripper):
            if part is not None:
                _width(part.columns, spaces, where)
        for camera in self.pictures_of.values():
            if camera not in spaces:
                raise ConfigError(f"{where}: there is no '{camera}' to see; the environment shows {', '.join(spaces)}")
        self.actions = NativeActions(
            DemonstrationMapping(action=file.action, state=file.state), _action_width(self.environment), where
        )
        expert = file.environment.expert
        self.expert: Callable[[GymnasiumEpisode], Iterator[Any]] | None = (
            None if expert is None else imported(expert, f"{where}: expert")
        )

    @classmethod
    def read(cls, path: Path) -> "GymnasiumTask":
        """The task of a mapping file. Raises ConfigError and SimulationError."""
        return cls(read_environment_file(path), str(path))

    @property
    def name(self) -> str:
        """As the file says."""
        return self._file.name

    @property
    def robot(self) -> str:
        """As the file says."""
        return self._file.robot

    @property
    def rate_hz(self) -> float:
        """Control steps per second."""
        return self._file.environment.rate_hz

    @property
    def action(self) -> ActionName:
        """What a policy's action is."""
        return self._file.action.space

    @property
    def action_width(self) -> int:
        """Numbers of it."""
        return POSE_DIM if self.action == "ee_pose" else self.actions.dof + 1

    @property
    def episode_limit(self) -> int:
        """Control steps."""
        return self._file.environment.episode_limit

    @property
    def observation_widths(self) -> Mapping[str, int]:
        """By the names that policies know."""
        return self._widths

    @property
    def cameras(self) -> tuple[str, ...]:
        """By the names that policies know; an onlooker where the environment renders."""
        renders = self.environment.render_mode == "rgb_array"
        return (*self.pictures_of, *([ONLOOKER] if renders else []))

    @property
    def success(self) -> str:
        """What decides, as the file says it."""
        return self._file.environment.success

    def reached(self, observed: RawEpisode) -> dict[str, NDArray[np.float64]]:
        """Where the arm is (reached.py), from what is observed now."""
        motion, found = observed_motion(observed, self._file.state), {}
        if motion.pose is not None:
            found["ee_position"], found["ee_rotation_6d"] = motion.pose[0][0], matrix_to_rot6d(motion.pose[1][0])
        if motion.joint_position is not None:
            found["joint_position"] = motion.joint_position[0]
        return found

    def begin(self, seed: int) -> "GymnasiumEpisode":
        """The episode of a seed."""
        return GymnasiumEpisode(self, seed)


class GymnasiumEpisode:
    """An `Episode`.

    Attributes:
        environment: what gymnasium.make gave.
        shown: what it observed last, flat: each key of nested ones with a dot between, or `observation`.
        seed: of the episode.
    """

    def __init__(self, task: GymnasiumTask, seed: int) -> None:
        self._task, self.seed, self.environment = task, seed, task.environment
        task.actions.reset()
        observation, self._info = self.environment.reset(seed=seed)
        self.shown = flat(observation)
        self._reward, self._terminated, self._truncated = -np.inf, False, False

    def action_of(self, native: NDArray[np.floating]) -> NDArray[np.float32]:
        """The action that the environment's own numbers mean: for experts that think in those."""
        return self._task.actions.action(native, self._observed())

    def observation(self) -> dict[str, NDArray[np.float32]]:
        """By the names that policies know."""
        found = {}
        for key, columns in self._task.low_dim.items():
            name, part = split_columns(columns)
            found[key] = np.asarray(self._shown(name), np.float32).reshape(-1)[part]
        return found

    def reached(self) -> dict[str, NDArray[np.float64]]:
        """What the file's `[state]` says of the arm (reached.py)."""
        return self._task.reached(self._observed())

    def pictures(self, sizes: Mapping[str, tuple[int, int]]) -> dict[str, Picture]:
        """As the environment shows them, whatever the sizes."""
        return {name: self._picture(name) for name in sizes}

    def step(self, action: NDArray[np.floating]) -> None:
        """One step of the environment."""
        native = self._task.actions.numbers(np.asarray(action, np.float64), self._observed())
        space = self.environment.action_space
        answer = self.environment.step(native.reshape(space.shape).astype(space.dtype))
        observation, self._reward, self._terminated, self._truncated, self._info = answer
        self.shown = flat(observation)

    def succeeded(self) -> bool:
        """As the file says."""
        kind, value = success_rule(self._task.success)
        if kind == "terminated":
            return bool(self._terminated)
        if kind == "reward":
            return float(self._reward) >= float(value)
        if value not in self._info:
            keys = ", ".join(map(str, self._info)) or "nothing"
            raise EnvironmentFault(f"info has no '{value}', which is to say success; it has {keys}")
        return bool(self._info[value])

    def over(self) -> bool:
        """Whether the environment said that it ended."""
        return bool(self._terminated or self._truncated)

    def close(self) -> None:
        """Nothing is held: the environment is the task's."""

    def _shown(self, name: str) -> Any:
        if name not in self.shown:
            raise EnvironmentFault(f"the environment shows no '{name}', as its observation_space says it does")
        return self.shown[name]

    def _picture(self, name: str) -> Picture:
        shown = self.environment.render() if name == ONLOOKER else self._shown(self._task.pictures_of[name])
        return np.asarray(shown)

    def _observed(self) -> RawEpisode:
        numbers = {key: np.asarray(value) for key, value in self.shown.items()}
        columns = {
            key: value.astype(np.float64).reshape(1, -1)
            for key, value in numbers.items()
            if value.ndim < 2 and value.dtype.kind in "fiub"
        }
        return RawEpisode("now", columns, {})


def flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    """The leaves of nested maps, or of spaces, with their keys joined by dots; of a single leaf, `observation`."""
    inner = getattr(tree, "spaces", tree)
    if not isinstance(inner, Mapping):
        return {prefix or "observation": tree}
    found: dict[str, Any] = {}
    for key, value in inner.items():
        found |= flat(value, f"{prefix}.{key}" if prefix else str(key))
    return found


def _made(file: EnvironmentFile, where: str) -> Any:
    try:
        import gymnasium
    except ImportError as error:
        raise SimulationError(f"{where}: needs gymnasium ({error}); install it beside the environment") from error
    made = file.environment
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return gymnasium.make(made.id, disable_env_checker=True, **made.arguments)
    except Exception as error:  # Whatever an environment does when it is made.
        raise SimulationError(
            f"{where}: gymnasium.make('{made.id}') failed: {type(error).__name__}: {error}; an id that another package "
            "registers is written module:id"
        ) from error


def _width(columns: str, spaces: Mapping[str, Any], where: str) -> int:
    name, part = split_columns(columns)
    if name not in spaces:
        raise ConfigError(f"{where}: there is no '{name}' to see; the environment shows {', '.join(spaces)}")
    count = int(np.prod(spaces[name].shape or (1,)))
    if part.stop is not None and part.stop > count:
        raise ConfigError(f"{where}: '{columns}' asks for component {part.stop - 1}; '{name}' has {count}, from 0")
    return len(range(*part.indices(count)))


def _action_width(environment: Any) -> int:
    return int(np.prod(environment.action_space.shape or (1,)))
