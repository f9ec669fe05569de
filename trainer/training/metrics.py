"""metrics.jsonl and TensorBoard events of a run."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer.json_lines import read_lines, rewrite


class MetricsLog:
    """One JSON object a line, in the order of the steps; the same numbers as TensorBoard scalars."""

    def __init__(self, folder: Path, resumed_step: int, tensorboard: bool) -> None:
        """Opens the log and drops the lines beyond `resumed_step`, which will be written again."""
        self._path = folder / "metrics.jsonl"
        rewrite(self._path, [line for line in read_lines(self._path) if line["step"] <= resumed_step])
        self._file = self._path.open("a")
        self._writer = None
        if tensorboard:
            # Imported late: it takes a third of a second.
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=resumed_step + 1)

    def write(self, line: Mapping[str, Any]) -> None:
        """Appends a line with the key `step`."""
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        if self._writer is not None:
            for name, value in line.items():
                if name != "step" and isinstance(value, float | int):
                    self._writer.add_scalar(name, value, line["step"])

    def close(self) -> None:
        """Closes both."""
        self._file.close()
        if self._writer is not None:
            self._writer.close()
