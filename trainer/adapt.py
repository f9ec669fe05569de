"""Stage 2: the head learns a task from demonstrations; what its mode freezes stays as it is."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from shared.errors import ConfigError
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
from trainer.demonstration_windows import DemonstrationWindows, fingerprint, observation_scaling
from trainer.demonstrations.episode import Demonstrations
from trainer.device import choose_device
from trainer.frozen_vision import FrozenVision
from trainer.loop import TrainingLoop
from trainer.normalization import ActionNormalizer
from trainer.observation import cameras_of
from trainer.pretrain import fresh_head, validation
from trainer.progress import Progress, silent
from trainer.ranks import Ranks
from trainer.resampling import resample
from trainer.run_folder import RunFolder

_BACKBONE_SHAPE = (
    "head", "size", "conditioning", "paper_film", "paper_key_values", "action", "prediction_type", "horizon",
)  # fmt: skip
"""What Stage 2 can't choose otherwise than Stage 1."""


@dataclass(frozen=True)
class _Stage1:
    """What Stage 2 takes from Stage 1."""

    info: CheckpointInfo
    backbone: Path
    projection_bias: Tensor

    @classmethod
    def load(cls, path: Path | str, backbone: Path | None) -> "_Stage1":
        path = find_checkpoint(path)
        head, info = load_checkpoint(path, backbone)
        if info.stage != 1 or info.backbone is None:
            raise ConfigError(f"{path} is not a Stage-1 checkpoint; give one that `pretrain` wrote")
        file = backbone or backbone_path(path, info.backbone)
        return cls(info, file, head.conditioning.projection_bias())

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
        stage1: Stage 1's checkpoint or run folder. Mode `decoupled` needs it; the others take its action range, so
            that they differ from it in nothing but what is trained.
        backbone: file of Stage 1's backbone, where it is not in that run's `backbones/`; only with `stage1`.
        action_range: where there is no `stage1`.
        vision: checkpoint or run folder of a policy with the same cameras, whose networks are taken over, frozen.
        features: folder in which what these make of pictures is kept; in the run's folder where it is not given.
        overwrite: remove the run that lies in the folder, once it is known that this one can begin.
        progress: told of every `log_every` steps.

    Returns:
        The checkpoint, which names its backbone by hash except in mode `normal`.

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
    data = {"demonstrations": fingerprint(demonstrations), "action_range": normalizer.to_json()}
    data |= {"vision": {"sha256": frozen.sha256}} if frozen else {}
    used = pretrained if config.mode == "decoupled" else None
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
    )  # fmt: skip
    head, info = _begin_head(info, config, used, folder)
    if frozen is None:
        windows = DemonstrationWindows(demonstrations, normalizer, scaling, config, device, cameras)
    else:
        frozen.put_into(head)
        seen = frozen.features(demonstrations, features or folder.path / "features", device, progress)
        windows = DemonstrationWindows(demonstrations, normalizer, scaling, config, device, features=seen)
    loop = TrainingLoop(head.to(device), windows, config.training, folder, progress)
    loop.run(validation(head, windows.validation, normalizer, config.training.precision))
    if ranks.is_first:
        weights = {**loop.average.average, **(frozen.weights if frozen else {})}
        save_checkpoint(checkpoint, replace(info, seconds=loop.seconds), weights)
        folder.training_state.unlink(missing_ok=True)
    ranks.wait()
    return checkpoint


def _begin_head(
    info: CheckpointInfo, config: AdaptConfig, used: _Stage1 | None, folder: RunFolder
) -> tuple[ActionHead, CheckpointInfo]:
    """The head as its mode begins, with the backbone that stays saved in the run's folder."""
    bias = used.projection_bias if used else None
    head = fresh_head(config.training.seed, lambda: build_head(info, bias))
    if used is not None and used.info.backbone is not None:
        load_backbone(head.backbone, used.backbone, used.info.backbone)
        link_backbone(used.info.backbone, used.backbone, folder.backbones)
        info = replace(info, backbone=used.info.backbone)
    elif config.mode != "normal":
        info = replace(info, backbone=save_backbone(folder.backbones, head.backbone, config.head))
    head.freeze(config.mode)
    return head, info


def _accepted(demonstrations: Demonstrations, config: AdaptConfig, stage1: _Stage1 | None) -> Demonstrations:
    """The demonstrations as Stage 1's head can learn them. Raises ConfigError where it can't."""
    if demonstrations.action_space != config.head.action:
        space = demonstrations.action_space
        raise ConfigError(
            f"the actions of {demonstrations.task} are '{space}', the head's '{config.head.action}'; pass --action "
            f"{space}, to pretrain too"
        )
    if config.mode == "decoupled" and stage1 is None:
        raise ConfigError("mode decoupled needs Stage 1's checkpoint; run pretrain first, or choose another mode")
    if stage1 is None:
        return demonstrations
    info = stage1.info
    if config.mode == "decoupled":
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
