"""What a finished training says of itself."""

import json
from pathlib import Path
from typing import Any

from shared.errors import ConfigError
from trainer import tensor_file
from trainer.json_lines import read_lines
from trainer.training.backbone_files import backbone_path
from trainer.training.checkpoint import find_checkpoint, read_info
from trainer.training.checkpoint_info import CheckpointInfo

_ERRORS = ("position_mm", "rotation_deg", "joint_rad", "gripper_accuracy")
_SPLIT_ERRORS = ("slow_position_mm", "fast_position_mm", "slow_joint_rad", "fast_joint_rad")
_TOLD = ("seed", "steps", "threads", "batch_size")
"""Settings of training that it repeats."""


def training_summary(run: Path) -> dict[str, Any]:
    """What a finished training of either stage says of itself, from its folder.

    A run that was fetched from the Hub has its checkpoint alone: what that does not tell is None.

    Raises CheckpointError or ConfigError where the run is not finished, or its config.json is damaged.
    """
    info = read_info(run)
    measured = [line for line in read_lines(run / "metrics.jsonl") if "validation_loss" in line]
    last = measured[-1] if measured else info.held_out or {}
    return {
        "mode": info.mode if info.stage == 2 else "stage1",
        "head": info.head.head,
        "size": info.head.size,
        "conditioning": info.head.conditioning,
        "action": info.head.action,
        **_settings(run / "config.json"),
        "train_seconds": info.seconds,
        "checkpoint_step": info.step,
        "device": info.device,
        "trained_parameters": _trained_parameters(run, info),
        "validation_loss": last.get("validation_loss"),
        "action_error": {name: last[name] for name in (*_ERRORS, *_SPLIT_ERRORS) if name in last} or None,
        "stage1": info.stage1.to_json() if info.stage1 else None,
    }


def _settings(path: Path) -> dict[str, int | None]:
    """What a run was told, from its config.json; None of each where there is no such file."""
    if not path.exists():
        return dict.fromkeys(("demonstrations", "multiplied", *_TOLD))
    try:
        settings = json.loads(path.read_text())
        data, training = settings["data"], settings["config"]["training"]
        copies = data.get("copies", {})
        return {
            "demonstrations": data.get("demonstrations", {}).get("demonstrations", 0),
            "multiplied": copies.get("count", 0) - len(copies.get("left_out", [])),
            **{name: training[name] for name in _TOLD},
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{path} can't be read as the settings of a run ({error!r}); restore it, or train again"
        ) from error


def _trained_parameters(run: Path, info: CheckpointInfo) -> int:
    checkpoint = find_checkpoint(run)
    files = [checkpoint]
    if info.stage == 1 and info.backbone is not None:
        files.append(backbone_path(checkpoint, info.backbone))
    return sum(tensor_file.count_numbers(file) for file in files) - (info.untrained or 0)
