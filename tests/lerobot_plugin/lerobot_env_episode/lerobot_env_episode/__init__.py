"""An environment for lerobot-eval that shows a recorded episode whatever it is told, and remembers what that was."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.envs.configs import EnvConfig


class Episode(gymnasium.Env[Any, Any]):
    """The episode in the folder EPISODE; ends with it, and then writes `told.npy` there."""

    metadata = {  # noqa: RUF012  # as gymnasium declares it
        "render_modes": ["rgb_array"],
        "render_fps": 20,
    }
    render_mode = "rgb_array"

    def __init__(self, **settings: Any) -> None:
        self._folder = Path(os.environ["EPISODE"])
        held = np.load(self._folder / "episode.npz")
        self._state, self._length = held["state"], len(held["state"])
        self._frames = {name: held[name] for name in held.files if name not in ("state", "actions")}
        self._max_episode_steps = self._length
        self.task_description = self.task = "reach"
        box, picture = gymnasium.spaces.Box, gymnasium.spaces.Dict
        spaces: dict[str, Any] = {"agent_pos": box(-2, 2, self._state.shape[1:], np.float32)}
        if self._frames:
            spaces["pixels"] = picture({name: box(0, 255, f.shape[1:], np.uint8) for name, f in self._frames.items()})
        self.observation_space = picture(spaces)
        self.action_space = box(-10, 10, held["actions"].shape[1:], np.float32)

    def _seen(self) -> dict[str, Any]:
        now = min(len(self._told), self._length - 1)
        seen: dict[str, Any] = {"agent_pos": self._state[now]}
        if self._frames:
            seen["pixels"] = {name: frames[now] for name, frames in self._frames.items()}
        return seen

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._told: list[Any] = []
        return self._seen(), {"is_success": False}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._told.append(np.array(action))
        ended = len(self._told) == self._length
        if ended:
            np.save(self._folder / "told.npy", np.stack(self._told))
        return self._seen(), 0.0, ended, False, {"is_success": ended}

    def render(self) -> Any:
        return np.zeros((32, 32, 3), np.uint8)


gymnasium.register("lerobot_env_episode/reach", Episode, disable_env_checker=True)


@EnvConfig.register_subclass("episode")
@dataclass
class EpisodeEnv(EnvConfig):
    """Its features are what LeRobot names them."""

    task: str | None = "reach"
    fps: int = 20
    features: dict[str, PolicyFeature] = field(
        default_factory=lambda: {"action": PolicyFeature(type=FeatureType.ACTION, shape=(10,))}
    )
    features_map: dict[str, str] = field(default_factory=lambda: {"action": "action"})

    @property
    def package_name(self) -> str:
        return "lerobot_env_episode"

    @property
    def gym_id(self) -> str:
        return "lerobot_env_episode/reach"

    @property
    def gym_kwargs(self) -> dict[str, Any]:
        return {}
