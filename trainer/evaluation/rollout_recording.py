"""Rollouts for the Rerun viewer: what was commanded, what the policy predicted, and pictures (docs/executor.md)."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart_client.recording import Recording
from trainer.simulation.rollout import Rollout
from trainer.simulation.strip import HEIGHT, WIDTH
from trainer.simulation.task import ONLOOKER


class RolloutRecording:
    """An `Onlooker` that records the rollouts it watches, all from time 0 on, each under `rollout/SEED`.

    Attributes:
        size: height and width of the pictures that it asks for.
    """

    size = (HEIGHT, WIDTH)

    def __init__(self, file: Path, seeds: frozenset[int], rate_hz: float) -> None:
        """Begins the file. `rate_hz` is that of control steps."""
        file.parent.mkdir(parents=True, exist_ok=True)
        self._recording, self._seeds, self._step_s = Recording(file), seeds, 1 / rate_hz
        self._shown = dict.fromkeys(seeds, 0)

    def watches(self, seed: int) -> bool:
        """Whether it is recorded."""
        return seed in self._seeds

    def show(self, seed: int, picture: NDArray[np.uint8]) -> None:
        """Its next picture: the first is of the initial state, the others of that after each control step."""
        self._recording.picture(ONLOOKER, picture, self._shown[seed] * self._step_s, under=f"rollout/{seed}/")
        self._shown[seed] += 1

    def add(self, result: Rollout) -> None:
        """A rollout that has ended, if it is one of them: its commands and chunks, (width,) each, as the task acts."""
        if not self.watches(result.seed):
            return
        under = f"rollout/{result.seed}"
        if result.steps:
            self._recording.actions(f"{under}/command", result.commands, self._step_s * np.arange(result.steps))
        for number, chunk in enumerate(result.chunks):
            steps = number * result.n_action_steps + np.arange(len(chunk))
            self._recording.actions(f"{under}/predicted", chunk, self._step_s * steps, chunk=number)

    def close(self) -> None:
        """Writes what is left."""
        self._recording.close()
