"""metrics.jsonl of a run, and the same numbers for TensorBoard and Weights & Biases."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from trainer.config import TrainingConfig
from trainer.json_lines import read_lines, rewrite
from trainer.training.wandb_log import WandbLog


class ScalarLog(Protocol):
    """What else takes the numbers of a step."""

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Numbers of a step; a step may have several such calls."""
        ...

    def close(self) -> None:
        """Ends it."""
        ...


class MetricsLog:
    """One JSON object a line, in the order of the steps; the same numbers as scalars elsewhere, as the settings say."""

    def __init__(self, folder: Path, resumed_step: int, config: TrainingConfig) -> None:
        """Opens the log and drops the lines beyond `resumed_step`, which will be written again."""
        self._path = folder / "metrics.jsonl"
        rewrite(self._path, [line for line in read_lines(self._path) if line["step"] <= resumed_step])
        self._others: list[ScalarLog] = []
        if config.tensorboard:
            self._others.append(TensorBoardLog(folder / "tensorboard", resumed_step))
        if config.wandb:
            self._others.append(WandbLog(folder))
        self._file = self._path.open("a")

    def write(self, line: Mapping[str, Any]) -> None:
        """Appends a line with the key `step`."""
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        scalars = {name: value for name, value in line.items() if name != "step" and isinstance(value, float | int)}
        for other in self._others:
            other.write(line["step"], scalars)

    def close(self) -> None:
        """Closes all of them."""
        self._file.close()
        for other in self._others:
            other.close()


class TensorBoardLog:
    """TensorBoard's events."""

    def __init__(self, folder: Path, resumed_step: int) -> None:
        """Those beyond `resumed_step` are void."""
        # Imported late: it takes a third of a second.
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=resumed_step + 1)

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Numbers of a step."""
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Writes what is left."""
        self._writer.close()
