"""Checkpoints of a policy: what was trained, and the hash of the backbone that was not.

    runs/<name>/checkpoints/step-00002000.safetensors    averaged weights, with everything needed to run them
    runs/<name>/backbones/<sha256>.safetensors           a whole backbone, named by the hash of the file

A Stage-1 checkpoint holds its conditioning and names the backbone it trained. A Stage-2 checkpoint holds what its mode
trained, and names the backbone that was frozen; in modes that train all of it, it holds everything and names none.
"""

from collections.abc import Mapping, Set
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from shared.errors import CheckpointError
from trainer import tensor_file
from trainer.data.trajectories.stage1_steps import condition_steps
from trainer.hub import policy_here
from trainer.model.action_head import ActionHead
from trainer.model.backbones import Backbone, build_backbone
from trainer.model.conditioning import stage1_conditioning, stage2_conditioning
from trainer.model.frozen_backbones import FrozenBackbones
from trainer.training.backbone_files import backbone_path, load_backbone
from trainer.training.checkpoint_info import CheckpointInfo

KIND = "policy checkpoint"
BACKBONE = "backbone."
"""What the names of the backbone's weights begin with in a head."""


def build_head(
    info: CheckpointInfo, kept: Mapping[str, Tensor] | None = None, backbone: Backbone | None = None
) -> ActionHead:
    """A head of this shape with fresh weights, or with fresh ones around a backbone.

    Stage 2's conditioning may start from what is `kept` of Stage 1's.
    """
    backbone = backbone or build_backbone(info.head, info.normalizer.action_dim)
    if info.stage == 1:
        steps = condition_steps(info.stage1.condition, info.head) if info.stage1 else 0
        conditioning = stage1_conditioning(info.head, backbone, info.condition_dim, steps)
    else:
        cameras, steps = len(info.cameras), info.picture_steps
        pretrained = info.vision_weights is not None
        conditioning = stage2_conditioning(info.head, backbone, info.condition_dim, kept, cameras, pretrained, steps)
    return ActionHead(backbone, conditioning, info.head.prediction_type)


def save_checkpoint(path: Path, info: CheckpointInfo, weights: Mapping[str, Tensor]) -> None:
    """Writes a policy checkpoint. A backbone that it names must have been saved before.

    Raises TrainingError where a weight is not finite.
    """
    tensor_file.require_finite(weights, path)
    stored = {name: value for name, value in weights.items() if info.stage == 2 or not name.startswith(BACKBONE)}
    tensor_file.write(path, stored, {"kind": KIND, **info.to_metadata()})


def find_checkpoint(path: Path | str) -> Path:
    """The checkpoint at `path`, or the latest of the run folder there, which may be on the Hub (hf://user/name@revision).

    Raises CheckpointError where it has none, HubError where it can't be fetched.
    """
    path = policy_here(Path(path))
    if not path.is_dir():
        return path
    found = sorted((path / "checkpoints").glob("step-*.safetensors"))
    if not found:
        raise CheckpointError("holds no checkpoint yet; train it until it has saved one, or give another run", path)
    return found[-1]


def read_info(path: Path | str) -> CheckpointInfo:
    """What a checkpoint, or the latest of a run folder, says of itself. Raises CheckpointError."""
    path = find_checkpoint(path)
    return CheckpointInfo.from_metadata(tensor_file.read(path, KIND)[1], path)


def load_checkpoint(
    path: Path | str, backbone: Path | None = None, backbones: FrozenBackbones | None = None
) -> tuple[ActionHead, CheckpointInfo]:
    """A head with its averaged weights.

    Args:
        path: of the checkpoint, or of a run folder, whose latest is taken.
        backbone: file of the backbone it names, where that does not lie in the run's `backbones/`.
        backbones: where heads of the same backbone find it, so that it is in memory once; such heads are for use as
            they are, and not to be trained.

    Raises:
        CheckpointError: one of the files is missing, damaged or of another shape; says which and what to do.
    """
    path = find_checkpoint(path)
    tensors, metadata = tensor_file.read(path, KIND)
    info = CheckpointInfo.from_metadata(metadata, path)
    if info.backbone is None:
        head = build_head(info)
        tensor_file.fill(head, tensors, path)
        return head.eval(), info
    file = backbone or backbone_path(path, info.backbone)
    own = {name.removeprefix(BACKBONE) for name in tensors if name.startswith(BACKBONE)}
    frozen = _frozen_backbone(info, info.backbone, file, own, backbones or FrozenBackbones())
    head = build_head(info, backbone=frozen)
    tensor_file.fill(head, tensors, path, {BACKBONE + name for name in frozen.state_dict()} - tensors.keys())
    return head.eval(), info


def _frozen_backbone(
    info: CheckpointInfo, name: str, file: Path, own: Set[str], backbones: FrozenBackbones
) -> Backbone:
    def load() -> Backbone:
        backbone = build_backbone(info.head, info.normalizer.action_dim)
        load_backbone(backbone, file, name)
        return backbone

    # These settings are the policy's, and do not change the backbone.
    shape = replace(info.head, n_obs_steps=1, n_action_steps=1, dropout=0.0)
    return backbones.get((name, info.normalizer.action_dim, shape), load, own)
