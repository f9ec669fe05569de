"""What Stage 2 takes from Stage 1, and what it refuses because it does not fit it."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from shared.errors import ConfigError
from trainer.config import AdaptConfig, HeadConfig
from trainer.data.action import ActionRange
from trainer.data.demonstrations.episode import Demonstrations
from trainer.data.normalization import ActionNormalizer
from trainer.data.resampling import resample
from trainer.model.modes import MODES
from trainer.model.observation import Camera
from trainer.stages.relative_windows import actions_of
from trainer.training.backbone_files import backbone_path
from trainer.training.checkpoint import find_checkpoint, load_checkpoint
from trainer.training.checkpoint_info import CheckpointInfo
from trainer.training.run_folder import RunFolder

_log = logging.getLogger(__name__)

_BACKBONE_SHAPE = (
    "head", "size", "conditioning", "paper_film", "paper_key_values", "action", "prediction_type", "horizon",
)  # fmt: skip
"""What Stage 2 can't choose otherwise than Stage 1."""


@dataclass(frozen=True)
class Stage1:
    """What Stage 2 takes from Stage 1.

    Attributes:
        info: of its checkpoint.
        backbone: file of its backbone.
        kept: what of its conditioning goes on.
        policy: all weights, where a policy of Stage 2 is what is begun with (`--init-from`); None where it is Stage 1.
    """

    info: CheckpointInfo
    backbone: Path
    kept: Mapping[str, Tensor]
    policy: Mapping[str, Tensor] | None = None

    @classmethod
    def chosen(
        cls, stage1: Path | str | None, backbone: Path | None, init_from: Path | str | None, vision: Path | None
    ) -> "Stage1 | None":
        """Stage 1 or a policy, whichever is to be begun with; None where neither is.

        Raises ConfigError where options are given that don't go together, and else as `load` and `of_policy`.
        """
        if backbone is not None and stage1 is None:
            raise ConfigError("a backbone is Stage 1's: give --stage1, its checkpoint, too, or leave --backbone out")
        if init_from is not None and (stage1 is not None or vision is not None):
            raise ConfigError("--init-from begins with a whole policy; leave --stage1 and --vision out")
        if init_from is not None:
            return cls.of_policy(init_from)
        return None if stage1 is None else cls.load(stage1, backbone)

    @classmethod
    def load(cls, path: Path | str, backbone: Path | None) -> "Stage1":
        """From a checkpoint or run folder, with the backbone's file where that is not in its run's `backbones/`.

        Raises CheckpointError where one is missing or damaged, ConfigError where it is not Stage 1's.
        """
        path = find_checkpoint(path)
        head, info = load_checkpoint(path, backbone)
        if info.stage != 1 or info.backbone is None:
            raise ConfigError(f"{path} is not a Stage-1 checkpoint; give one that `pretrain` wrote")
        file = backbone or backbone_path(path, info.backbone)
        return cls(info, file, head.conditioning.kept())

    @classmethod
    def of_policy(cls, path: Path | str) -> "Stage1":
        """A policy to begin a new run from, instead of Stage 1.

        Raises CheckpointError where it is missing or damaged, ConfigError where it is Stage 1's.
        """
        path = find_checkpoint(path)
        head, info = load_checkpoint(path)
        if info.stage != 2:
            raise ConfigError(f"{path} is a Stage-1 checkpoint; give it as --stage1, and to --init-from a policy")
        file = path if info.backbone is None else backbone_path(path, info.backbone)
        return cls(info, file, {}, head.state_dict())

    def lies_in(self, folder: RunFolder) -> bool:
        """Whether overwriting the folder's run would remove it."""
        return self.backbone.parent.resolve() in (folder.backbones.resolve(), folder.checkpoints.resolve())

    def check_begins(self, config: AdaptConfig, widths: Mapping[str, int], cameras: Mapping[str, Camera]) -> None:
        """Raises ConfigError where a run that sees this can't begin from the policy."""
        info, mode = self.info, config.mode
        for option, what, theirs, own in (
            ("--n-obs-steps", "steps", info.head.n_obs_steps, config.head.n_obs_steps),
            ("--n-picture-steps", "pictures of each camera", info.picture_steps, config.picture_steps),
        ):
            if theirs != own:
                raise ConfigError(
                    f"the policy to begin from sees {theirs} {what}, this run {own}; use the same {option}"
                )
        if mode != info.mode and not (mode == "finetune" and info.stage1 is not None):
            raise ConfigError(
                f"the policy to begin from was trained in mode {info.mode}, this run's is {mode}; use the same"
                + (", or finetune" if info.stage1 else "")
            )
        if dict(widths) != info.observation_widths or dict(cameras) != info.cameras:
            raise ConfigError(
                f"the policy to begin from sees {info.observation_widths} and cameras {dict(info.cameras)}, these "
                f"demonstrations have {dict(widths)} and {dict(cameras)}"
            )


def accepted(demonstrations: Demonstrations, config: AdaptConfig, stage1: Stage1 | None) -> Demonstrations:
    """The demonstrations as Stage 1's head can learn them. Raises ConfigError where it can't."""
    if demonstrations.action_space != config.head.action:
        space = demonstrations.action_space
        raise ConfigError(
            f"the actions of {demonstrations.task} are '{space}', the head's '{config.head.action}'; pass --action "
            f"{space}, to pretrain too"
        )
    pretrained = MODES[config.mode].pretrained or (stage1 is not None and stage1.policy is not None)
    if pretrained and stage1 is None:
        raise ConfigError(f"mode {config.mode} needs Stage 1's checkpoint; run pretrain first, or choose another mode")
    if stage1 is None:
        return demonstrations
    info = stage1.info
    if info.head.relative_actions != config.head.relative_actions:
        raise ConfigError(
            f"Stage 1's actions are {_kind(info.head)}, this run's {_kind(config.head)}; pass --relative-actions to "
            "both or to neither"
        )
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


def _kind(head: HeadConfig) -> str:
    return "relative to the current state" if head.relative_actions else "absolute"


def _check_shape(wanted: HeadConfig, found: HeadConfig) -> None:
    for name in _BACKBONE_SHAPE:
        if getattr(wanted, name) != getattr(found, name):
            raise ConfigError(
                f"Stage 1's backbone has {name} {getattr(found, name)!r}, this run asks for {getattr(wanted, name)!r}; "
                "use the same, or pretrain another"
            )


def normalizer_of(head: HeadConfig, stage1: Stage1 | None, action_range: ActionRange | None) -> ActionNormalizer:
    """Stage 1's, else that of a range. Raises ConfigError where there is neither, or both."""
    if stage1 is not None and action_range is not None:
        raise ConfigError("the action range is Stage 1's; give --action-range to pretrain, not to adapt")
    ranges = action_range if stage1 is None else stage1.info.action_range
    if ranges is None:
        raise ConfigError("there is no action range: give --stage1 or --action-range FILE")
    return ActionNormalizer(ranges, head.action)


def inside(demonstrations: Demonstrations, normalizer: ActionNormalizer, config: AdaptConfig) -> Demonstrations:
    """The demonstrations that lie in the action range, where others may be dropped.

    Raises ConfigError where some leave it and they may not, or are too many to be exceptions.
    """
    episodes = demonstrations.episodes
    kept = tuple(one for one in episodes if normalizer.contains(actions_of(demonstrations, one, config.head)))
    dropped = len(episodes) - len(kept)
    if not dropped or not config.drop_outside or 2 * dropped >= len(episodes):
        what = f"{dropped} of {len(episodes)} demonstrations" if dropped else "the demonstrations"
        every = np.concatenate([actions_of(demonstrations, episode, config.head) for episode in episodes])
        normalizer.check(every, f"{what} of {demonstrations.task}")
        return demonstrations
    _log.warning("%d of %d demonstrations leave the action range and are left out", dropped, len(episodes))
    missed = sum(not episode.validation for episode in episodes) - sum(not episode.validation for episode in kept)
    drawn = None if demonstrations.drawn is None else demonstrations.drawn - missed
    return replace(demonstrations, episodes=kept, drawn=drawn)
