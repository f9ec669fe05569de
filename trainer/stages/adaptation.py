"""What Stage 2 learns and from what, once it is known that the parts fit each other."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from shared.errors import ConfigError
from shared.follow import ShardSource
from trainer import tensor_file
from trainer.config import AdaptConfig
from trainer.data.action import ActionRange
from trainer.data.demonstrations.episode import Demonstrations
from trainer.data.motion_basis import TOLERANCE, MotionBasis
from trainer.data.normalization import ActionNormalizer
from trainer.evaluation.smoothness import describe_motion
from trainer.model.action_head import ActionHead
from trainer.model.modes import MODES
from trainer.model.observation import Camera, ObservationScaling, cameras_of
from trainer.progress import Progress
from trainer.stages.batches_with_copies import BatchesWithCopies, with_copies
from trainer.stages.demonstration_batches import DemonstrationBatches, fingerprint, observation_scaling
from trainer.stages.frozen_vision import FrozenVision
from trainer.stages.pretrain import learn_basis
from trainer.stages.pretrained import Stage1, accepted, inside, normalizer_of
from trainer.stages.pretrained_vision import PretrainedVision
from trainer.stages.relative_windows import normalizer_for, observed_states, state_columns
from trainer.training.checkpoint_info import CheckpointInfo
from trainer.training.ranks import Ranks

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Adaptation:
    """Demonstrations, and what is made of them; nothing of it is written yet.

    Attributes:
        demonstrations: those that are learned, as Stage 1's head can learn them.
        config: of the stage.
        stage1: what is taken from Stage 1, or from the policy that is begun with; None where there is neither.
        normalizer: of the actions.
        scaling: of the observations.
        cameras: that are seen.
        vision: networks that are taken over, frozen.
        pretrained_vision: what the cameras' networks begin with.
        known_basis: motion basis that is known from elsewhere.
        dropped: demonstrations that were left out, since they leave the action range.
    """

    demonstrations: Demonstrations
    config: AdaptConfig
    stage1: Stage1 | None
    normalizer: ActionNormalizer
    scaling: ObservationScaling
    cameras: dict[str, Camera]
    vision: FrozenVision | None
    pretrained_vision: PretrainedVision | None
    known_basis: MotionBasis | None
    dropped: int

    @classmethod
    def checked(
        cls,
        demonstrations: Demonstrations,
        config: AdaptConfig,
        stage1: Stage1 | None,
        action_range: ActionRange | None,
        basis: MotionBasis | None,
        vision: Path | None,
        vision_weights: Path | None = None,
    ) -> "Adaptation":
        """Raises ConfigError or CheckpointError as `adapt`."""
        demonstrations = accepted(demonstrations, config, stage1)
        normalizer = normalizer_of(config.head, stage1, action_range)
        normalizer = normalizer_for(normalizer, demonstrations, config.head)
        given = len(demonstrations.episodes)
        demonstrations = inside(demonstrations, normalizer, config)
        dropped = given - len(demonstrations.episodes)
        scaling = observation_scaling(demonstrations, config.observation_scaling)
        cameras = cameras_of(demonstrations.cameras, config.crop)
        _check_pictures(config, demonstrations, frozen=vision is not None)
        frozen = None if vision is None else FrozenVision.load(vision, cameras)
        begun = _pretrained_vision(vision_weights, config, cameras, vision, stage1)
        if stage1 is not None and stage1.policy is not None:
            stage1.check_begins(config, demonstrations.observation_widths, cameras)
            scaling = stage1.info.scaling
        known = stage1.info.basis if stage1 and basis is None else basis
        return cls(demonstrations, config, stage1, normalizer, scaling, cameras, frozen, begun, known, dropped)

    @property
    def used(self) -> Stage1 | None:
        """Stage 1, where the mode starts from it, or the policy that is begun with."""
        given = self.stage1
        return given if given and (given.policy is not None or MODES[self.config.mode].pretrained) else None

    def data(self, copies: ShardSource | None, left_out: frozenset[int]) -> dict[str, Any]:
        """What config.json remembers of what is trained on."""
        known, used = self.known_basis, self.used
        data: dict[str, Any] = {
            "demonstrations": fingerprint(self.demonstrations),
            "action_range": self.normalizer.to_json(),
        }
        if self.config.head.relative_actions:
            states = [observed_states(self.demonstrations, episode) for episode in self.demonstrations.episodes]
            data |= {"states": {"sha256": tensor_file.sha256(np.concatenate(states).tobytes())}}
        data |= {"vision": {"sha256": self.vision.sha256}} if self.vision else {}
        if self.pretrained_vision:
            data |= {"vision_weights": {"sha256": self.pretrained_vision.sha256}}
        if copies is not None:
            data["copies"] = {"dataset_id": copies.header.dataset_id, "count": copies.header.count}
            data["copies"] |= {"left_out": sorted(left_out)} if left_out else {}
        data |= {"motion_basis": {"sha256": known.sha256()}} if known else {}
        if used and used.policy is not None:
            data |= {"init_from": {"sha256": tensor_file.sha256(tensor_file.pack(used.policy, {}))}}
        data |= {"dropped": self.dropped} if self.dropped else {}
        return {**data, "backbone": used.info.backbone if used else None}

    def info(self, device: torch.device) -> CheckpointInfo:
        """What the checkpoint says of itself, but for what training finds out."""
        shown, config = self.demonstrations, self.config
        actions = [episode.actions for episode in shown.episodes]
        return CheckpointInfo(
            stage=2, head=config.head, mode=config.mode, backbone=None, condition_dim=self.scaling.obs_dim,
            action_range=self.normalizer.to_json(), observation_scaling=self.scaling.to_json(),
            observation_widths=shown.observation_widths, cameras=self.cameras, robot=shown.robot,
            rate_hz=shown.rate_hz, action_label=shown.action_label, task=shown.task,
            step=config.training.steps, seconds=0.0, device=device.type,
            stage1=self.used.info.stage1 if self.used else None,
            joint_limits=self.stage1.info.joint_limits if self.stage1 else None,
            demonstrated=describe_motion(actions, config.head.action, shown.rate_hz),
            state_columns=state_columns(shown) if config.head.relative_actions else None,
            vision_weights=self._vision_weights, n_picture_steps=config.n_picture_steps,
        )  # fmt: skip

    @property
    def _vision_weights(self) -> str | None:
        if self.pretrained_vision is not None:
            return self.pretrained_vision.sha256
        if self.vision is not None:
            return self.vision.began_with
        return self.stage1.info.vision_weights if self.stage1 and self.stage1.policy is not None else None

    def with_copies(
        self, copies: ShardSource, left_out: frozenset[int], folder: Path, device: torch.device
    ) -> BatchesWithCopies:
        """Batches of demonstrations and of copies of them, but for those that are left out."""
        parts = self.demonstrations, self.normalizer, self.scaling, self.config, device
        return with_copies(copies, folder, *parts, left_out)

    def windows(
        self, head: ActionHead, features: Path, device: torch.device, ranks: Ranks, progress: Progress
    ) -> DemonstrationBatches:
        """Batches of demonstrations; networks that are taken over are put into the head, and their features kept."""
        parts = self.demonstrations, self.normalizer, self.scaling, self.config, device
        if self.pretrained_vision is not None:
            self.pretrained_vision.put_into(head)
        if self.vision is None:
            return DemonstrationBatches(*parts, self.cameras, ranks=ranks)
        self.vision.put_into(head)
        seen = self.vision.features(self.demonstrations, features, device, progress, self.config.training.precision)
        return DemonstrationBatches(*parts, features=seen, ranks=ranks)

    def basis(self, windows: DemonstrationBatches | BatchesWithCopies) -> MotionBasis | None:
        """What the policy projects onto: what is known from elsewhere, else what the demonstrations span.

        Names demonstrations that it can't carry.
        """
        config, known, normalizer = self.config, self.known_basis, self.normalizer
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
                "the demonstrations of %s move faster than %d directions of the motion basis can carry: from %.0f %% "
                "of their windows projecting takes more than is meant (%s); --directions %d would carry them",
                self.demonstrations.task, basis.kept, 100 * basis.beyond(motion, normalizer), allowed,
                basis.needed(motion, normalizer),
            )  # fmt: skip
        return basis


def _check_pictures(config: AdaptConfig, demonstrations: Demonstrations, *, frozen: bool) -> None:
    """Raises ConfigError where a setting is of pictures that are not there, or of networks that --vision freezes."""
    none = None if demonstrations.cameras else f"the demonstrations of {demonstrations.task} have no cameras"
    if any(config.color_jitter) and (none or frozen):
        why = none or "--vision makes features of pictures once"
        raise ConfigError(f"color_jitter changes pictures in training, but {why}; leave it out")
    if config.training.vision_learning_rate is not None and (none or frozen):
        why = none or "--vision freezes them"
        raise ConfigError(f"vision_learning_rate is of cameras' networks that are trained, and {why}; leave it out")
    if config.n_picture_steps is not None and none:
        raise ConfigError(f"n_picture_steps is {config.n_picture_steps}, but {none}; leave it out")


def _pretrained_vision(
    path: Path | None, config: AdaptConfig, cameras: dict[str, Camera], vision: Path | None, stage1: Stage1 | None
) -> PretrainedVision | None:
    """What the cameras' networks begin with. Raises ConfigError where they can't."""
    if path is None:
        if config.freeze_vision:
            raise ConfigError("freeze_vision is of --vision-weights; give these, too, or leave it out")
        return None
    if not cameras:
        raise ConfigError(f"--vision-weights {path} are for cameras, and these demonstrations have no pictures")
    if vision is not None or (stage1 is not None and stage1.policy is not None):
        raise ConfigError("--vision and --init-from bring networks of their own; leave --vision-weights out")
    return PretrainedVision.load(path, frozen=config.freeze_vision)
