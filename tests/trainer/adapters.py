"""Policies of several tasks on one frozen backbone, without training each."""

from dataclasses import replace
from pathlib import Path

import torch

from trainer import tensor_file
from trainer.training.backbone_files import backbone_path, link_backbone
from trainer.training.checkpoint import KIND, find_checkpoint, read_info, save_checkpoint


def make_adapters(run: Path, folder: Path, count: int) -> list[Path]:
    """Run folders `task-00`, `task-01`, ... of a run's backbone, with other weights in all that it trained."""
    checkpoint, info, made = find_checkpoint(run), read_info(run), []
    assert info.backbone is not None
    trained, _ = tensor_file.read(checkpoint, KIND)
    generator = torch.Generator().manual_seed(0)
    for index in range(count):
        own = folder / f"task-{index:02}"
        moved = {name: value + 0.05 * torch.randn(value.shape, generator=generator) for name, value in trained.items()}
        link_backbone(info.backbone, backbone_path(checkpoint, info.backbone), own / "backbones")
        save_checkpoint(own / "checkpoints" / checkpoint.name, replace(info, task=f"task {index}"), moved)
        made.append(own)
    return made
