"""Checkpoints of a policy: what was trained, and the hash of the backbone that was not.

    runs/<name>/checkpoints/step-00002000.safetensors    averaged weights, with everything needed to run them
    runs/<name>/backbones/<sha256>.safetensors           a whole backbone, named by the hash of the file

A Stage-1 checkpoint holds its conditioning and names the backbone it trained. A Stage-2 checkpoint holds what its mode
trained, and names the backbone that was frozen; in modes that train all of it, it holds everything and names none.
"""

import os
import shutil
from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from shared.errors import CheckpointError, ConfigError
from shared.robots import JointLimits
from trainer import tensor_file
from trainer.config import CONDITIONINGS, HeadConfig, Mode, from_json, to_json
from trainer.data.motion_basis import MotionBasis
from trainer.data.normalization import ActionNormalizer
from trainer.data.trajectories.stage1_steps import condition_steps
from trainer.hub import policy_here
from trainer.model.action_head import ActionHead
from trainer.model.backbones import Backbone, build_backbone
from trainer.model.conditioning import stage1_conditioning, stage2_conditioning
from trainer.model.frozen_backbones import FrozenBackbones
from trainer.model.observation import Camera, ObservationScaling

KIND = "policy checkpoint"
BACKBONE_KIND = "backbone"
BACKBONE = "backbone."
"""What the names of the backbone's weights begin with in a head."""
_ADDED = ("motion_basis", "demonstrated", "joint_limits", "held_out")
"""Fields of CheckpointInfo that have come since the first release."""


@dataclass(frozen=True)
class Stage1Record:
    """What a checkpoint remembers of Stage 1.

    Attributes:
        dataset_id: of its data; of several datasets, the first one's, whose arm it is.
        condition: that it saw.
        seconds: it took.
        shares: of several datasets, each one's share of the windows, by its id.
    """

    dataset_id: str
    condition: str
    seconds: float
    shares: dict[str, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """Its fields, without `shares` where there are none."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class CheckpointInfo:
    """Everything a checkpoint says beside its weights.

    Attributes:
        stage: 1 or 2.
        head: shape of the head.
        mode: Stage 2's; Stage 1 is `normal`.
        backbone: hash of the backbone it is completed by; None where it holds all weights itself.
        condition_dim: numbers in the condition; in Stage 2, in the low-dimensional part of one observation step.
        action_range: of the normalizer.
        observation_scaling: Stage 2's.
        observation_widths: each low-dimensional key with its width, in order; empty in Stage 1.
        cameras: each camera with the size of its pictures and of the crop that is seen, in order; likewise.
        robot: name of the arm whose actions it predicts.
        rate_hz: actions per second.
        action_label: what the action at t is: "command", the pose commanded at t, or "reached"; Stage 1's is
            "command", since generated trajectories are followed exactly.
        task: of the demonstrations; "" in Stage 1.
        step: gradient steps.
        seconds: they took, as `TrainingLoop.seconds` counts them.
        device: type of the device it was trained on, such as "cpu" or "cuda".
        stage1: None where nothing of Stage 1 is in it.
        motion_basis: what a policy projects onto, as `MotionBasis.to_json`; None where it does not.
        demonstrated: the motion of the demonstrations it was trained on (smoothness.describe_motion).
        joint_limits: of the arm, as the dataset's header has them; None where no dataset told.
        held_out: what held-out windows said of it (evaluate.action_error); None where it was not measured.
    """

    stage: Literal[1, 2]
    head: HeadConfig
    mode: Mode
    backbone: str | None
    condition_dim: int
    action_range: dict[str, Any]
    observation_scaling: dict[str, Any] | None
    observation_widths: dict[str, int]
    cameras: dict[str, Camera]
    robot: str
    rate_hz: float
    action_label: str
    task: str
    step: int
    seconds: float
    device: str
    stage1: Stage1Record | None
    motion_basis: dict[str, Any] | None = None
    demonstrated: dict[str, float] | None = None
    joint_limits: dict[str, list[float]] | None = None
    held_out: dict[str, float] | None = None

    @property
    def limits(self) -> JointLimits | None:
        """The arm's joint limits, where a dataset told them."""
        return None if self.joint_limits is None else JointLimits(**_arrays(self.joint_limits))

    @property
    def basis(self) -> MotionBasis | None:
        """The motion basis."""
        return None if self.motion_basis is None else MotionBasis.from_json(self.motion_basis)

    @property
    def normalizer(self) -> ActionNormalizer:
        """Of its actions."""
        return ActionNormalizer(self.action_range, self.head.action)

    @property
    def scaling(self) -> ObservationScaling:
        """Of its observations. Raises ConfigError for a Stage-1 checkpoint, which has none."""
        if self.observation_scaling is None:
            raise ConfigError("a Stage-1 checkpoint sees no observations; adapt it to demonstrations first")
        return ObservationScaling.from_json(self.observation_scaling)


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
        cameras = len(info.cameras)
        conditioning = stage2_conditioning(info.head, backbone, info.condition_dim, kept, cameras)
    return ActionHead(backbone, conditioning, info.head.prediction_type)


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
    _fill(backbone, tensors, path)


def link_backbone(name: str, source: Path, folder: Path) -> None:
    """Makes a backbone's file lie in `folder` too, without a second copy where the file system allows."""
    target = folder / f"{name}.safetensors"
    if target.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        part = target.with_suffix(".part")
        shutil.copyfile(source, part)
        os.replace(part, target)


def save_checkpoint(path: Path, info: CheckpointInfo, weights: Mapping[str, Tensor]) -> None:
    """Writes a policy checkpoint. A backbone that it names must have been saved before.

    Raises TrainingError where a weight is not finite.
    """
    tensor_file.require_finite(weights, path)
    stored = {name: value for name, value in weights.items() if info.stage == 2 or not name.startswith(BACKBONE)}
    metadata = {name: getattr(info, name) for name in info.__dataclass_fields__}
    metadata |= {"head": to_json(info.head), "stage1": info.stage1.to_json() if info.stage1 else None}
    # As pairs: the order counts, and JSON's keys are sorted.
    metadata |= {"observation_widths": list(info.observation_widths.items())}
    metadata |= {"cameras": [(name, to_json(camera)) for name, camera in info.cameras.items()]}
    tensor_file.write(path, stored, {"kind": KIND, **metadata})


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
    return _info(tensor_file.read(path, KIND)[1], path)


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
    info = _info(metadata, path)
    if info.backbone is None:
        head = build_head(info)
        _fill(head, tensors, path)
        return head.eval(), info
    file = backbone or backbone_path(path, info.backbone)
    own = {name.removeprefix(BACKBONE) for name in tensors if name.startswith(BACKBONE)}
    frozen = _frozen_backbone(info, info.backbone, file, own, backbones or FrozenBackbones())
    head = build_head(info, backbone=frozen)
    _fill(head, tensors, path, {BACKBONE + name for name in frozen.state_dict()} - tensors.keys())
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


def backbone_path(checkpoint: Path, name: str) -> Path:
    """Where the backbone that a checkpoint names lies."""
    return checkpoint.parent.parent / "backbones" / f"{name}.safetensors"


def _info(metadata: Mapping[str, Any], path: Path) -> CheckpointInfo:
    try:
        fields = {name: metadata[name] for name in CheckpointInfo.__dataclass_fields__ if name not in _ADDED}
        # Earlier releases wrote neither: such a checkpoint samples as it did then.
        fields |= {name: metadata.get(name) for name in _ADDED}
        if fields["head"]["head"] not in CONDITIONINGS:
            raise CheckpointError(
                f"has a head of its own, {fields['head']['head']!r}; make it known with "
                "trainer.model.backbones.add_backbone before it is loaded",
                path,
            )
        fields["head"] = from_json(HeadConfig, fields["head"])
        fields["observation_widths"] = dict(fields["observation_widths"])
        fields["cameras"] = {name: from_json(Camera, camera) for name, camera in fields["cameras"]}
        fields["stage1"] = Stage1Record(**fields["stage1"]) if fields["stage1"] else None
        info = CheckpointInfo(**fields)
        _ = info.basis, info.limits
        return info
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise CheckpointError(
            f"was written by another release ({error!r}); use that release, or train again", path
        ) from error


def _fill(module: nn.Module, tensors: Mapping[str, Tensor], path: Path, there: Set[str] = frozenset()) -> None:
    """Copies tensors into a module that has exactly these, and those that are there already."""
    wanted = {name: value.shape for name, value in module.state_dict().items() if name not in there}
    found = {name: value.shape for name, value in tensors.items()}
    different = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if different:
        name = different[0]
        raise CheckpointError(
            f"does not fit its head: '{name}' is {_shape(found.get(name))}, expected {_shape(wanted.get(name))}"
            f"{f' (and {len(different) - 1} more)' if len(different) > 1 else ''}; choose the head it was trained with",
            path,
        )
    module.load_state_dict(dict(tensors), strict=False)


def _arrays(lists: Mapping[str, list[float]]) -> dict[str, Any]:
    return {name: np.array(values, np.float64) for name, values in lists.items()}


def _shape(shape: torch.Size | None) -> str:
    return "missing" if shape is None else str(tuple(shape))
