"""Gymnasium environments of the tests: a tool that moves by deltas of its pose, and one that goes wrong."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray


class Tool(gymnasium.Env[dict[str, Any], NDArray[np.float32]]):
    """A tool that follows (shift in units of 5 cm, turn about z in rad, gripper 0 open to 1 closed) at once."""

    def __init__(
        self, render_mode: str | None = None, goal: float = 0.4, lies: bool = False, breaks_at: int = -1
    ) -> None:
        self.render_mode, self.goal, self.lies, self.breaks_at = render_mode, goal, lies, breaks_at
        box = spaces.Box(-np.inf, np.inf, (3,), np.float64)
        camera = spaces.Box(0, 255, (20, 30, 3), np.uint8)
        turned = spaces.Box(-1, 1, (4,), np.float64)
        self.observation_space = spaces.Dict(
            {"tool": spaces.Dict({"at": box, "turned": turned}), "eye": camera, "goal": spaces.Box(-1, 1, (1,))}
        )
        self.action_space = spaces.Box(-10, 10, (7,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        if seed == self.breaks_at:
            raise RuntimeError("the tool is lost")
        self.at = np.array([float(self.np_random.uniform(0.1, 0.2)), 0.0, 0.3])
        self.grip = 0.0
        return self._seen(), {}

    def step(self, action: NDArray[np.float32]) -> Any:
        assert action.dtype == np.float32
        assert action.shape == (7,)
        self.at = self.at + 0.05 * action[:3]
        self.grip = float(action[6])
        there = abs(self.at[0] - self.goal) < 0.005 and self.grip > 0.9
        info = {} if self.lies else {"there": there}
        return self._seen(), float(there), False, bool(self.at[0] > 1), info

    def render(self) -> Any:
        return np.full((20, 30, 3), int(np.clip(200 * self.at[0], 0, 255)), np.uint8)

    def _seen(self) -> dict[str, Any]:
        seen = {"tool": {"at": self.at, "turned": np.array([1.0, 0, 0, 0])}, "goal": np.array([self.goal], np.float32)}
        return seen if self.lies else {**seen, "eye": self.render()}


gymnasium.register("own/Tool-v0", f"{__name__}:Tool")


def approach(episode: Any) -> Any:
    """In the environment's own numbers."""
    while True:
        shift = np.clip((episode.environment.unwrapped.goal - episode.shown["tool.at"][0]) / 0.05, -1, 1)
        yield episode.action_of(np.array([shift, 0, 0, 0, 0, 0, 1.0 if abs(shift) < 0.5 else 0.0]))
