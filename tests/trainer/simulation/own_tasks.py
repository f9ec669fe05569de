"""Tasks that are not ours: a point on a line, and what can go wrong with one, by the seed of the episode."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

HANGS_AT_RESET, RAISES_AT_RESET, DIES, HANGS, IS_NAN, IS_WIDE, LACKS, RAISES, SHOWS_FLOATS = range(1, 10)
"""Seeds; those from 10 on have no fault."""


class Point:
    """A joint that follows its command; it is to come to the seed's goal."""

    name, robot = "point", "one_joint"
    rate_hz, action, action_width, episode_limit = 20.0, "joint_position", 2, 12
    observation_widths: Mapping[str, int] = {"joint": 1, "goal": 1}
    cameras = ("front", "onlooker")

    def begin(self, seed: int) -> "Line":
        return Line(seed)

    def expert(self, episode: "Line") -> Iterator[NDArray[np.float64]]:
        while True:
            yield np.array([episode.joint + np.clip(episode.goal - episode.joint, -0.1, 0.1), -1.0])


class Line:
    def __init__(self, seed: int) -> None:
        self.seed, self.steps, self.joint = seed, 0, 0.0
        self.goal = float(np.random.default_rng(seed).uniform(0.25, 0.5))

    def observation(self) -> dict[str, Any]:
        return {"joint": np.array([self.joint]), "goal": np.array([self.goal])}

    def pictures(self, sizes: Mapping[str, tuple[int, int]]) -> dict[str, Any]:
        return {name: np.full((*size, 3), int(255 * self.joint), np.uint8) for name, size in sizes.items()}

    def step(self, action: NDArray[np.floating]) -> None:
        self.steps += 1
        self.joint = float(action[0])

    def succeeded(self) -> bool:
        return abs(self.joint - self.goal) < 0.01

    def over(self) -> bool:
        return False

    def close(self) -> None: ...


class Faulty(Point):
    name = "faulty"

    def begin(self, seed: int) -> Line:
        if seed == HANGS_AT_RESET:
            time.sleep(10_000)
        if seed == RAISES_AT_RESET:
            raise ValueError("no such\nplace")
        return FaultyLine(seed)


class FaultyLine(Line):
    def step(self, action: NDArray[np.floating]) -> None:
        super().step(action)
        if self.steps < 3:
            return
        if self.seed == DIES:
            print("the driver is gone", flush=True)
            os.kill(os.getpid(), signal.SIGSEGV)
        if self.seed == HANGS:
            time.sleep(10_000)
        if self.seed == RAISES:
            raise RuntimeError("joint 1 is stuck")

    def observation(self) -> dict[str, Any]:
        shown = super().observation()
        if self.steps < 2:
            return shown
        wrong: dict[int, Callable[[], dict[str, Any]]] = {
            IS_NAN: lambda: shown | {"joint": np.array([np.nan])},
            IS_WIDE: lambda: shown | {"goal": np.zeros((1, 2))},
            LACKS: lambda: {"joint": shown["joint"]},
        }
        return wrong.get(self.seed, lambda: shown)()

    def pictures(self, sizes: Mapping[str, tuple[int, int]]) -> dict[str, Any]:
        pictures = super().pictures(sizes)
        return {name: one / 255 for name, one in pictures.items()} if self.seed == SHOWS_FLOATS else pictures


POINT = Point()


class Half:
    """Keeps half of the contract."""

    name, robot, rate_hz = "half", "none", 20.0


class NeedsArguments(Point):
    def __init__(self, size: int) -> None:
        self.size = size
