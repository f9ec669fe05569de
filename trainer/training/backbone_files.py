"""Files of whole backbones, each named by the hash of what is in it: what checkpoints name instead of holding it."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from shared.errors import CheckpointError
from trainer import tensor_file
from trainer.config import HeadConfig, to_json
from trainer.data.motion_basis import MotionBasis
from trainer.model.backbones import Backbone

BACKBONE_KIND = "backbone"


def backbone_path(checkpoint: Path, name: str) -> Path:
    """Where the backbone that a checkpoint names lies."""
    return checkpoint.parent.parent / "backbones" / f"{name}.safetensors"


def pack_backbone(backbone: Backbone, config: HeadConfig, basis: MotionBasis | None = None) -> bytes:
    """The bytes of a backbone's file; their hash is its name. Stage 1's has its motion basis beside the weights."""
    return tensor_file.pack(backbone.state_dict(), _backbone_metadata(config, basis))


def save_backbone(
    folder: Path, weights: Mapping[str, Tensor], config: HeadConfig, basis: MotionBasis | None = None
) -> str:
    """Writes a backbone's weights into `folder`, unless they lie there, and returns their hash.

    Raises TrainingError where one is not finite.
    """
    tensor_file.require_finite(weights, folder)
    return tensor_file.publish_by_hash(folder, tensor_file.pieces(weights, _backbone_metadata(config, basis)))


def _backbone_metadata(config: HeadConfig, basis: MotionBasis | None) -> dict[str, Any]:
    metadata: dict[str, Any] = {"kind": BACKBONE_KIND, "head": to_json(config)}
    return metadata if basis is None else {**metadata, "motion_basis": basis.to_json()}


def load_backbone(backbone: Backbone, path: Path, name: str) -> None:
    """Fills a backbone from its file.

    Raises CheckpointError where the file is missing, is not what its hash says, or is of another shape.
    """
    if not path.is_file():
        raise CheckpointError("this backbone is missing; give its file with --backbone, or run Stage 1 again", path)
    found = tensor_file.sha256(path.read_bytes())
    if found != name:
        raise CheckpointError(f"is not backbone {name[:12]} but {found[:12]}; restore it, or give another", path)
    tensors, _ = tensor_file.read(path, BACKBONE_KIND)
    tensor_file.fill(backbone, tensors, path)


def link_backbone(name: str, source: Path, folder: Path) -> None:
    """Makes a backbone's file lie in `folder` too, without a second copy where the file system allows."""
    target = folder / f"{name}.safetensors"
    if target.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    # A link to a file that is gone, which would be in the way.
    target.unlink(missing_ok=True)
    try:
        # In the Hub's cache, files are relative symlinks; a hard link to one leads nowhere from another folder.
        os.link(source.resolve(), target)
    except OSError:
        part = target.with_suffix(".part")
        shutil.copyfile(source, part)
        os.replace(part, target)
