"""Stage 2: the head learns a task from demonstrations; what its mode freezes stays as it is."""

import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from shared.errors import ConfigError
from shared.follow import ShardSource
from trainer.action import ActionRange
from trainer.action_head import ActionHead
from trainer.checkpoint import (
    CheckpointInfo,
    backbone_path,
    build_head,
    find_checkpoint,
    link_backbone,
    load_backbone,
    load_checkpoint,
    save_backbone,
    save_checkpoint,
)
from trainer.config import AdaptConfig, HeadConfig, to_json
from trainer.copies.windows import WindowsWithCopies, with_copies
from trainer.demonstration_windows import DemonstrationWindows, fingerprint, observation_scaling
from trainer.demonstrations.episode import Demonstrations
from trainer.device import choose_device
from trainer.frozen_vision import FrozenVision
from trainer.loop import TrainingLoop
from trainer.modes import MODES
from trainer.motion_basis import TOLERANCE, MotionBasis
from trainer.normalization import ActionNormalizer
from trainer.observation import cameras_of
from trainer.pretrain import fresh_head, learn_basis, validation
from trainer.progress import Progress, silent
from trainer.ranks import Ranks
from trainer.resampling import resample
from trainer.run_folder import RunFolder
from trainer.smoothness import describe_motion

_log = logging.getLogger(__name__)

_BACKBONE_SHAPE = (
    "head", "size", "conditioning", "paper_film", "paper_key_values", "action", "prediction_type", "horizon",
)  # fmt: skip
"""What Stage 2 can't choose otherwise than Stage 1."""


@dataclass(frozen=True)
class _Stage1:
    """What Stage 2 takes from Stage 1."""

    info: CheckpointInfo
    backbone: Path
    kept: Mapping[str, Tensor]

    @classmethod
    def load(cls, path: Path | str, backbone: Path | None) -> "_Stage1":
        path = find_checkpoint(path)
        head, info = load_checkpoint(path, backbone)
        if info.stage != 1 or info.backbone is None:
            raise ConfigError(f"{path} is not a Stage-1 checkpoint; give one that `pretrain` wrote")
        file = backbone or backbone_path(path, info.backbone)
        return cls(info, file, head.conditioning.kept())

    def lies_in(self, folder: RunFolder) -> bool:
        """Whether overwriting the folder's run would remove it."""
        return self.backbone.parent.resolve() == folder.backbones.resolve()


def adapt(
    run: Path | str,
    demonstrations: Demonstrations,
    config: AdaptConfig,
    *,
    stage1: Path | str | None = None,
    backbone: Path | None = None,
    action_range: ActionRange | None = None,
    basis: MotionBasis | None = None,
    copies: ShardSource | None = None,
    left_out: frozenset[int] = frozenset(),
    vision: Path | None = None,
    features: Path | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Path:
    """Trains a policy on demonstrations, going on where an earlier call in this folder stopped.

    Args:
        run: the run's folder; made where it is not there.
        demonstrations: successful ones; those it marks as held out are not trained on.
        config: of the stage.
        stage1: Stage 1's checkpoint or run folder. Modes that start from it need it; the others take its action range
            and its motion basis, so that they differ from them in nothing but what is trained.
        backbone: file of Stage 1's backbone, where it is not in that run's `backbones/`; only with `stage1`.
        action_range: where there is no `stage1`.
        basis: likewise; where neither is given, it is learned from the demonstrations.
        copies: a dataset of copies of the demonstrations, finished or growing, to train on beside them.
        left_out: ids of copies that are not trained on.
        vision: checkpoint or run folder of a policy with the same cameras, whose networks are taken over, frozen.
        features: folder in which what these make of pictures is kept; in the run's folder where it is not given.
        overwrite: remove the run that lies in the folder, once it is known that this one can begin.
        progress: told of every `log_every` steps.

    Returns:
        The checkpoint, which names its backbone by hash except in the modes that train all of it.

    Raises:
        ConfigError: the folder holds another run; the demonstrations are of another robot or rate, or leave the
            action range; the head is not Stage 1's.
        CheckpointError: Stage 1's checkpoint or backbone is missing or damaged.
        TrainingError: a loss or its gradient is not finite.
        KeyboardInterrupt: on SIGINT, SIGTERM or SIGHUP, after saving.
    """
    if backbone is not None and stage1 is None:
        raise ConfigError("a backbone is Stage 1's: give --stage1, its checkpoint, too, or leave --backbone out")
    folder, ranks = RunFolder(run), Ranks()
    ranks.check(config.training.batch_size)
    device = ranks.device(choose_device(config.training.device))
    pretrained = None if stage1 is None else _Stage1.load(stage1, backbone)
    if overwrite and pretrained is not None and pretrained.lies_in(folder):
        raise ConfigError(f"--overwrite would remove {pretrained.backbone}, Stage 1's backbone; choose another --out")
    demonstrations = _accepted(demonstrations, config, pretrained)
    normalizer = _normalizer(config.head, pretrained, action_range)
    actions = np.concatenate([episode.actions for episode in demonstrations.episodes])
    normalizer.check(actions, f"the demonstrations of {demonstrations.task}")
    scaling = observation_scaling(demonstrations, config.observation_scaling)
    cameras = cameras_of(demonstrations.cameras, config.crop)
    frozen = None if vision is None else FrozenVision.load(vision, cameras)
    data: dict[str, Any] = {"demonstrations": fingerprint(demonstrations), "action_range": normalizer.to_json()}
    data |= {"vision": {"sha256": frozen.sha256}} if frozen else {}
    if copies is not None:
        data["copies"] = {"dataset_id": copies.header.dataset_id, "count": copies.header.count}
        data["copies"] |= {"left_out": sorted(left_out)} if left_out else {}
    known = pretrained.info.basis if pretrained and basis is None else basis
    data |= {"motion_basis": {"sha256": known.sha256()}} if known else {}
    used = pretrained if MODES[config.mode].pretrained else None
    if ranks.is_first:
        backbone_hash = used.info.backbone if used else None
        folder.begin(2, to_json(config), {**data, "backbone": backbone_hash}, overwrite=overwrite)
    ranks.wait()
    checkpoint = folder.checkpoint(config.training.steps)
    if checkpoint.exists():
        return checkpoint
    info = CheckpointInfo(
        stage=2, head=config.head, mode=config.mode, backbone=None, condition_dim=scaling.obs_dim,
        action_range=normalizer.to_json(), observation_scaling=scaling.to_json(),
        observation_widths=demonstrations.observation_widths, cameras=cameras, robot=demonstrations.robot,
        rate_hz=demonstrations.rate_hz, action_label=demonstrations.action_label, task=demonstrations.task,
        step=config.training.steps, seconds=0.0, device=device.type,
        stage1=used.info.stage1 if used else None,
        joint_limits=pretrained.info.joint_limits if pretrained else None,
        demonstrated=describe_motion(
            [episode.actions for episode in demonstrations.episodes], config.head.action, demonstrations.rate_hz
        ),
    )  # fmt: skip
    head, info = _begin_head(info, config, used, folder)
    windows: DemonstrationWindows | WindowsWithCopies
    decoded = folder.path / "decoded"
    if copies is not None:
        windows = with_copies(copies, decoded, demonstrations, normalizer, scaling, config, device, left_out)
    elif frozen is None:
        windows = DemonstrationWindows(demonstrations, normalizer, scaling, config, device, cameras)
    else:
        frozen.put_into(head)
        seen = frozen.features(demonstrations, features or folder.path / "features", device, progress)
        windows = DemonstrationWindows(demonstrations, normalizer, scaling, config, device, features=seen)
    learned = _basis(known, windows, normalizer, config, demonstrations.task)
    info = replace(info, motion_basis=None if learned is None else learned.to_json())
    loop = TrainingLoop(head.to(device), windows, config.training, folder, progress)
    precision, rate_hz = config.training.precision, demonstrations.rate_hz
    loop.run(validation(head, windows.validation, normalizer, precision, lambda: learned, rate_hz, info.limits))
    if ranks.is_first:
        weights = {**loop.average.average, **(frozen.weights if frozen else {})}
        save_checkpoint(checkpoint, replace(info, seconds=loop.seconds), weights)
        folder.training_state.unlink(missing_ok=True)
        shutil.rmtree(decoded, ignore_errors=True)
    ranks.wait()
    return checkpoint


def _begin_head(
    info: CheckpointInfo, config: AdaptConfig, used: _Stage1 | None, folder: RunFolder
) -> tuple[ActionHead, CheckpointInfo]:
    """The head as its mode begins, with the backbone that stays saved in the run's folder."""
    traits = MODES[config.mode]
    head = fresh_head(config.training.seed, lambda: build_head(info, used.kept if used else None))
    if used is not None and used.info.backbone is not None:
        load_backbone(head.backbone, used.backbone, used.info.backbone)
        if traits.freezes:
            link_backbone(used.info.backbone, used.backbone, folder.backbones)
            info = replace(info, backbone=used.info.backbone)
    elif traits.freezes:
        if config.gates == "open":
            head.conditioning.open_gates(head.backbone)
        info = replace(info, backbone=save_backbone(folder.backbones, head.backbone, config.head))
    head.freeze(config.mode)
    return head, info


def _basis(
    known: MotionBasis | None,
    windows: DemonstrationWindows | WindowsWithCopies,
    normalizer: ActionNormalizer,
    config: AdaptConfig,
    task: str,
) -> MotionBasis | None:
    """What the policy projects onto: what is known from elsewhere, else what the demonstrations span.

    Names demonstrations that it can't carry.
    """
    if config.directions == 0:
        return None
    if known is None or (known.horizon, known.action) != (config.head.horizon, config.head.action):
        return learn_basis(windows.motion_windows, normalizer, config.directions)
    basis = known if config.directions is None else known.keeping(config.directions)
    motion = windows.motion_windows()
    if not basis.carries(motion, normalizer):
        numbers = basis.truncation(motion[:1], normalizer)
        allowed = ", ".join(f"{TOLERANCE[name]:g} {name.rpartition('_')[2]}" for name in numbers)
        _log.warning(
            "the demonstrations of %s move faster than %d directions of the motion basis can carry: from %.0f %% of "
            "their windows projecting takes more than is meant (%s); --directions %d would carry them",
            task, basis.kept, 100 * basis.beyond(motion, normalizer), allowed, basis.needed(motion, normalizer),
        )  # fmt: skip
    return basis


def _accepted(demonstrations: Demonstrations, config: AdaptConfig, stage1: _Stage1 | None) -> Demonstrations:
    """The demonstrations as Stage 1's head can learn them. Raises ConfigError where it can't."""
    if demonstrations.action_space != config.head.action:
        space = demonstrations.action_space
        raise ConfigError(
            f"the actions of {demonstrations.task} are '{space}', the head's '{config.head.action}'; pass --action "
            f"{space}, to pretrain too"
        )
    pretrained = MODES[config.mode].pretrained
    if pretrained and stage1 is None:
        raise ConfigError(f"mode {config.mode} needs Stage 1's checkpoint; run pretrain first, or choose another mode")
    if stage1 is None:
        return demonstrations
    info = stage1.info
    if pretrained:
        _check_shape(config.head, info.head)
    if demonstrations.robot != info.robot and not config.other_robot:
        raise ConfigError(
            f"the demonstrations are of robot '{demonstrations.robot}', Stage 1 was trained on '{info.robot}'; "
            "pretrain on that robot, or pass --other-robot if its poses mean the same"
        )
    if demonstrations.rate_hz == info.rate_hz:
        return demonstrations
    if not config.resample:
        raise ConfigError(
            f"the demonstrations are at {demonstrations.rate_hz:g} Hz, Stage 1 was trained at {info.rate_hz:g} Hz; "
            "pass --resample to interpolate them, or pretrain at their rate"
        )
    return resample(demonstrations, info.rate_hz)


def _check_shape(wanted: HeadConfig, found: HeadConfig) -> None:
    for name in _BACKBONE_SHAPE:
        if getattr(wanted, name) != getattr(found, name):
            raise ConfigError(
                f"Stage 1's backbone has {name} {getattr(found, name)!r}, this run asks for {getattr(wanted, name)!r}; "
                "use the same, or pretrain another"
            )


def _normalizer(head: HeadConfig, stage1: _Stage1 | None, action_range: ActionRange | None) -> ActionNormalizer:
    if stage1 is not None and action_range is not None:
        raise ConfigError("the action range is Stage 1's; give --action-range to pretrain, not to adapt")
    ranges = action_range if stage1 is None else stage1.info.action_range
    if ranges is None:
        raise ConfigError("there is no action range: give --stage1 or --action-range FILE")
    return ActionNormalizer(ranges, head.action)
