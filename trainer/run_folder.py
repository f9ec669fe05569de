"""A run's folder: config.json, metrics.jsonl, checkpoints/, backbones/. A second start goes on with the same run."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from shared.errors import ConfigError
from trainer import tensor_file
from trainer.json_lines import read_lines

_WRITTEN = (
    # First: without it, the folder holds no run.
    "config.json", "metrics.jsonl", "checkpoints", "backbones", "decoded", "features", "tensorboard",
    "non-finite-step-*.safetensors", "result.json", "result-*.json", "rollouts-*.jsonl", "strip-*.png",
)  # fmt: skip
"""Everything that training and evaluating a run write."""


class RunFolder:
    """Where a run keeps what it makes.

    Attributes:
        path: of the folder.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    @property
    def checkpoints(self) -> Path:
        """Folder of its checkpoints."""
        return self.path / "checkpoints"

    @property
    def training_state(self) -> Path:
        """What an unfinished run goes on from."""
        return self.checkpoints / "training.safetensors"

    @property
    def backbones(self) -> Path:
        """Folder of the backbones that its checkpoints name by hash."""
        return self.path / "backbones"

    def checkpoint(self, step: int) -> Path:
        """The policy checkpoint of a step."""
        return self.checkpoints / f"step-{step:08d}.safetensors"

    def claim(self, *, resume: bool, overwrite: bool) -> None:
        """Makes sure that a run which lies here already is meant to be gone on with, or to be removed by `begin`.

        Raises ConfigError where it is neither to be resumed nor to be overwritten, saying how to do either.
        """
        if resume and overwrite:
            raise ConfigError("--resume goes on with a run, --overwrite removes it; pass one of them")
        if (self.path / "config.json").exists() and not resume and not overwrite:
            raise ConfigError(
                f"{self.path} holds a run already, {self._progress()}: pass --resume to go on with it, or --overwrite "
                "to remove it and start over; or choose another folder"
            )

    def _progress(self) -> str:
        if any(self.checkpoints.glob("step-*.safetensors")):
            return "which is finished"
        steps = [line["step"] for line in read_lines(self.path / "metrics.jsonl")]
        return f"at step {steps[-1]}" if steps else "which has just begun"

    def _remove(self) -> None:
        """Removes what runs write; what else lies in the folder stays."""
        for pattern in _WRITTEN:
            for path in self.path.glob(pattern):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def begin(self, stage: int, config: Mapping[str, Any], data: Mapping[str, Any], *, overwrite: bool = False) -> None:
        """Writes config.json, or checks that an earlier start wrote the same.

        Args:
            stage: 1 or 2.
            config: everything that was set.
            data: fingerprint of the data it trains on.
            overwrite: remove the run that lies here first, so call this when all else about the new one is known to
                be right.

        Raises:
            ConfigError: the folder holds another run; names what differs.
        """
        wanted = {"stage": stage, "config": config, "data": data}
        path = self.path / "config.json"
        if overwrite and path.exists():
            self._remove()
        if path.exists():
            try:
                found = json.loads(path.read_text())
            except ValueError as error:
                raise ConfigError(f"{path} is not JSON ({error}); remove the run's folder and start again") from error
            different = _differences(wanted, {name: found.get(name) for name in wanted})
            if different:
                raise ConfigError(
                    f"{self.path} holds another run: {'; '.join(different[:4])}. Choose another folder, or remove it "
                    "to start over"
                )
            return
        content = {**wanted, "versions": _versions(), "git": _git_hash()}
        tensor_file.publish(path, json.dumps(content, indent=1).encode())


def _differences(wanted: Any, found: Any, name: str = "") -> list[str]:
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        keys = sorted({*wanted, *found})
        return [text for key in keys for text in _differences(wanted.get(key), found.get(key), f"{name}.{key}")]
    return [] if wanted == found else [f"{name.lstrip('.')} is {wanted}, there it is {found}"]


def _versions() -> dict[str, str]:
    return {"torch": torch.__version__, "numpy": np.__version__}


def _git_hash() -> str | None:
    """Commit of the source tree this runs from; None outside a git checkout."""
    try:
        command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
