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
from trainer.run_config import Stage, with_defaults

_WRITTEN = (
    # First: without it, the folder holds no run.
    "config.json", "metrics.jsonl", "checkpoints", "backbones", "decoded", "features", "tensorboard",
    "wandb", "wandb-id",
    "non-finite-step-*.safetensors", "result.json", "result-*.json", "rollouts-*.jsonl", "strip-*.png",
)  # fmt: skip
"""Everything that training and evaluating a run write."""


_FREE = tuple(f"config.training.{name}" for name in ("keep", "save_minutes", "saving_share", "tensorboard", "wandb"))
"""Settings that change nothing of what is learned: a run may be gone on with by others."""


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

    def policies(self) -> list[Path]:
        """The policy checkpoints that are there, in the order of their steps."""
        return sorted(self.checkpoints.glob("step-*.safetensors"))

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
        last = self._recorded().get("config", {}).get("training", {}).get("steps")
        if isinstance(last, int) and self.checkpoint(last).exists():
            return "which is finished"
        steps = [line["step"] for line in read_lines(self.path / "metrics.jsonl")]
        return f"at step {steps[-1]}" if steps else "which has just begun"

    def _recorded(self) -> dict[str, Any]:
        """What config.json holds. Raises ConfigError where it is not JSON."""
        path = self.path / "config.json"
        try:
            found = json.loads(path.read_text())
        except ValueError as error:
            raise ConfigError(f"{path} is not JSON ({error}); remove the run's folder and start again") from error
        return found if isinstance(found, dict) else {}

    def _remove(self) -> None:
        """Removes what runs write; what else lies in the folder stays."""
        for pattern in _WRITTEN:
            for path in self.path.glob(pattern):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def begin(
        self, stage: Stage, config: Mapping[str, Any], data: Mapping[str, Any], *, overwrite: bool = False
    ) -> None:
        """Writes config.json, or checks that an earlier start wrote the same, but for fewer steps.

        A run that is lengthened goes on by the schedule of the longer one: where that has an end, the learning rate
        jumps once to what it is at this step, and falls to zero at the new end; a constant one stays as it is.

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
            self._go_on(wanted)
            return
        content = {**wanted, "versions": _versions(), "git": _git_hash()}
        tensor_file.publish(path, json.dumps(content, indent=1).encode())

    def _go_on(self, wanted: Mapping[str, Any]) -> None:
        """Checks that the run that lies here is the one that is wanted, or a shorter one, which is lengthened."""
        found = self._recorded()
        if isinstance(found.get("config"), dict):
            # Of an earlier release it may say less.
            found |= {"config": with_defaults(found["config"], wanted["stage"])}
        before, after = _steps(found), _steps(wanted)
        longer = before is not None and after is not None and after > before
        settings = found | {"config": _with_steps(found["config"], after)} if longer else found
        different = [
            text
            for text in _differences(wanted, {name: settings.get(name) for name in wanted})
            if text.partition(" ")[0] not in _FREE
        ]
        if different:
            raise ConfigError(
                f"{self.path} holds another run: {'; '.join(different[:4])}. Choose another folder, or remove it "
                "to start over"
            )
        if longer and before is not None:
            if self.checkpoint(before).exists() and not self.training_state.exists():
                raise ConfigError(
                    f"{self.path} is finished at step {before} and its training state is gone, so it can't be "
                    "lengthened; begin a new run from its policy with --init-from"
                )
            content = settings | {"lengthened": [*found.get("lengthened", []), {"from": before, "to": after}]}
            tensor_file.publish(self.path / "config.json", json.dumps(content, indent=1).encode())


def _steps(content: Mapping[str, Any]) -> int | None:
    """The last step of what config.json holds, where it says it."""
    try:
        return int(content["config"]["training"]["steps"])
    except (KeyError, TypeError, ValueError):
        return None


def _with_steps(config: Mapping[str, Any], steps: int | None) -> dict[str, Any]:
    return {**config, "training": {**config["training"], "steps": steps}}


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
