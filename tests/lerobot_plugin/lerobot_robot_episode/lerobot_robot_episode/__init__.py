"""A robot for lerobot-rollout that sees a recorded episode, whatever it is told, and remembers what it was told."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from lerobot.robots import Robot, RobotConfig


@RobotConfig.register_subclass("episode")
@dataclass(kw_only=True)
class EpisodeRobotConfig(RobotConfig):
    """The episode lies in the folder EPISODE."""


class EpisodeRobot(Robot):
    """Its joints are the numbers of the state, its commands those of the action; its cameras those of the episode.

    Attributes:
        told: every command so far.
    """

    config_class = EpisodeRobotConfig
    name = "episode"

    def __init__(self, config: EpisodeRobotConfig) -> None:
        super().__init__(config)
        held = np.load(Path(os.environ["EPISODE"]) / "episode.npz")
        self._state, self._actions = held["state"], held["actions"].shape[1]
        self._frames = {name: held[name] for name in held.files if name not in ("state", "actions")}
        self.told: list[list[float]] = []
        self.is_connected = False

    is_connected = False
    is_calibrated = True

    @cached_property
    def observation_features(self) -> dict[str, Any]:
        joints: dict[str, Any] = {f"joint_{index}.pos": float for index in range(self._state.shape[1])}
        return joints | {name: frames.shape[1:] for name, frames in self._frames.items()}

    @cached_property
    def action_features(self) -> dict[str, Any]:
        return {f"number_{index}.pos": float for index in range(self._actions)}

    def connect(self, calibrate: bool = True) -> None:
        self.is_connected = True

    def disconnect(self) -> None:
        self.is_connected = False

    def calibrate(self) -> None:
        pass

    def configure(self) -> None:
        pass

    def get_observation(self) -> dict[str, Any]:
        now = len(self.told)
        if now == len(self._state):
            np.save(Path(os.environ["EPISODE"]) / "commanded.npy", np.array(self.told))
            raise EOFError("the episode has ended")
        joints: dict[str, Any] = {f"joint_{index}.pos": float(value) for index, value in enumerate(self._state[now])}
        return joints | {name: frames[now] for name, frames in self._frames.items()}

    def send_action(self, action: dict[str, Any]) -> dict[str, Any]:
        self.told.append([action[name] for name in self.action_features])
        return action
