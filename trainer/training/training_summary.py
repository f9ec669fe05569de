"""What a finished training says of itself."""

import json
from pathlib import Path
from typing import Any

from trainer import tensor_file
from trainer.json_lines import read_lines
from trainer.training.backbone_files import backbone_path
from trainer.training.checkpoint import find_checkpoint, read_info
from trainer.training.checkpoint_info import CheckpointInfo

_ERRORS = ("position_mm", "rotation_deg", "joint_rad", "gripper_accuracy")
_SPLIT_ERRORS = ("slow_position_mm", "fast_position_mm", "slow_joint_rad", "fast_joint_rad")


def training_summary(run: Path) -> dict[str, Any]:
    """What a finished training of either stage says of itself, from its folder.

    Raises CheckpointError or ConfigError where the run is not finished.
    """
    info = read_info(run)
    settings = json.loads((run / "config.json").read_text())
    training = settings["config"]["training"]
    measured = [line for line in read_lines(run / "metrics.jsonl") if "validation_loss" in line]
    last = measured[-1] if measured else {}
    copies = settings["data"].get("copies", {})
    return {
        "mode": info.mode if info.stage == 2 else "stage1",
        "head": info.head.head,
        "size": info.head.size,
        "conditioning": info.head.conditioning,
        "action": info.head.action,
        "demonstrations": settings["data"].get("demonstrations", {}).get("demonstrations", 0),
        "multiplied": copies.get("count", 0) - len(copies.get("left_out", [])),
        "seed": training["seed"],
        "train_seconds": info.seconds,
        "steps": training["steps"],
        "checkpoint_step": info.step,
        "device": info.device,
        "threads": training["threads"],
        "batch_size": training["batch_size"],
        "trained_parameters": _trained_parameters(run, info),
        "validation_loss": last.get("validation_loss"),
        "action_error": {name: last[name] for name in (*_ERRORS, *_SPLIT_ERRORS) if name in last} or None,
        "stage1": info.stage1.to_json() if info.stage1 else None,
    }


def _trained_parameters(run: Path, info: CheckpointInfo) -> int:
    checkpoint = find_checkpoint(run)
    files = [checkpoint]
    if info.stage == 1 and info.backbone is not None:
        files.append(backbone_path(checkpoint, info.backbone))
    return sum(tensor_file.count_numbers(file) for file in files)
