"""Stage 2: the head learns a task from demonstrations; what its mode freezes stays as it is."""

import logging
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from shared.errors import ConfigError
from shared.follow import ShardSource
from trainer import tensor_file
from trainer.config import AdaptConfig, to_json
from trainer.data.action import ActionRange
from trainer.data.demonstrations.episode import Demonstrations
from trainer.data.motion_basis import TOLERANCE, MotionBasis
from trainer.data.normalization import ActionNormalizer
from trainer.device import deterministic_algorithms
from trainer.evaluation.smoothness import describe_motion
from trainer.model.action_head import ActionHead
from trainer.model.modes import MODES
from trainer.model.observation import Camera, ObservationScaling, cameras_of
from trainer.progress import Progress, silent
from trainer.stages.demonstration_windows import DemonstrationWindows, fingerprint, observation_scaling
from trainer.stages.frozen_vision import FrozenVision
from trainer.stages.pretrain import fresh_head, learn_basis, validation
from trainer.stages.pretrained import Stage1, accepted, inside, normalizer_of
from trainer.stages.windows_with_copies import WindowsWithCopies, with_copies
from trainer.training.checkpoint import (
    CheckpointInfo,
    build_head,
    link_backbone,
    load_backbone,
    save_backbone,
    save_checkpoint,
)
from trainer.training.kept_policies import remove_others
from trainer.training.loop import Publish, TrainingLoop
from trainer.training.ranks import ALONE, Ranks
from trainer.training.run_folder import RunFolder
from trainer.training.threads import with_threads

_log = logging.getLogger(__name__)


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
    init_from: Path | str | None = None,
    features: Path | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
    ranks: Ranks = ALONE,
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
        init_from: a policy, or its run folder, whose weights this run begins with, instead of Stage 1; its action
            range, observation scaling and motion basis go on.
        features: folder in which what these make of pictures is kept; in the run's folder where it is not given.
        overwrite: remove the run that lies in the folder, once it is known that this one can begin.
        progress: told of every `log_every` steps.
        ranks: the processes that train it together.

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
    if init_from is not None and (stage1 is not None or vision is not None):
        raise ConfigError("--init-from begins with a whole policy; leave --stage1 and --vision out")
    folder = RunFolder(run)
    config = with_threads(config, folder, overwrite=overwrite)
    ranks.check(config.training.batch_size)
    device = ranks.device(config.training.device)
    pretrained = None if stage1 is None else Stage1.load(stage1, backbone)
    if init_from is not None:
        pretrained = Stage1.of_policy(init_from)
    if overwrite and pretrained is not None and pretrained.lies_in(folder):
        raise ConfigError(
            f"--overwrite would remove {pretrained.backbone}, which this run begins with; choose another --out"
        )
    task = _Task.checked(demonstrations, config, pretrained, action_range, basis, vision)
    decoded = folder.path / "decoded"
    # Before anything is touched: copies may not be of these demonstrations.
    mixed = None if copies is None else task.with_copies(copies, left_out, decoded, device)
    if ranks.is_first:
        folder.begin(2, to_json(config), task.data(copies, left_out), overwrite=overwrite)
    ranks.wait()
    checkpoint = folder.checkpoint(config.training.steps)
    if checkpoint.exists():
        return checkpoint
    head, info = _begin_head(task.info(device), config, task.used, folder)
    with deterministic_algorithms(config.training.deterministic):
        windows = mixed or task.windows(head, features or folder.path / "features", device, ranks, progress)
    learned = task.basis(windows)
    info = replace(info, motion_basis=None if learned is None else learned.to_json())
    loop = TrainingLoop(head.to(device), windows, config.training, folder, progress, ranks)
    precision, rate_hz = config.training.precision, info.rate_hz
    loop.run(
        validation(
            head,
            windows.validation,
            task.normalizer,
            precision,
            lambda: learned,
            rate_hz,
            info.limits,
            windows.held_out_sets,
        ),
        _publisher(folder, info, task.vision, config.training.keep),
    )
    if ranks.is_first:
        shutil.rmtree(decoded, ignore_errors=True)
    ranks.wait()
    return checkpoint


def _publisher(folder: RunFolder, info: CheckpointInfo, vision: FrozenVision | None, keep: int) -> Publish:
    """Writes a checkpoint, and removes those that are not kept."""
    frozen = vision.weights if vision else {}

    def publish(step: int, seconds: float, held_out: Mapping[str, float]) -> Callable[[Mapping[str, Tensor]], None]:
        made = replace(info, step=step, seconds=seconds, held_out=dict(held_out) or None)

        def write(average: Mapping[str, Tensor]) -> None:
            save_checkpoint(folder.checkpoint(step), made, {**average, **frozen})
            remove_others(folder, keep)

        return write

    return publish


@dataclass(frozen=True)
class _Task:
    """What is learned and from what, once it is known that the parts fit each other; nothing is written yet."""

    demonstrations: Demonstrations
    config: AdaptConfig
    stage1: Stage1 | None
    normalizer: ActionNormalizer
    scaling: ObservationScaling
    cameras: dict[str, Camera]
    vision: FrozenVision | None
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
    ) -> "_Task":
        """Raises ConfigError or CheckpointError as `adapt`."""
        demonstrations = accepted(demonstrations, config, stage1)
        normalizer = normalizer_of(config.head, stage1, action_range)
        given = len(demonstrations.episodes)
        demonstrations = inside(demonstrations, normalizer, config)
        dropped = given - len(demonstrations.episodes)
        scaling = observation_scaling(demonstrations, config.observation_scaling)
        cameras = cameras_of(demonstrations.cameras, config.crop)
        frozen = None if vision is None else FrozenVision.load(vision, cameras)
        if stage1 is not None and stage1.policy is not None:
            stage1.check_begins(config, demonstrations.observation_widths, cameras)
            scaling = stage1.info.scaling
        known = stage1.info.basis if stage1 and basis is None else basis
        return cls(demonstrations, config, stage1, normalizer, scaling, cameras, frozen, known, dropped)

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
        data |= {"vision": {"sha256": self.vision.sha256}} if self.vision else {}
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
        )  # fmt: skip

    def with_copies(
        self, copies: ShardSource, left_out: frozenset[int], folder: Path, device: torch.device
    ) -> WindowsWithCopies:
        """Batches of demonstrations and of copies of them, but for those that are left out."""
        parts = self.demonstrations, self.normalizer, self.scaling, self.config, device
        return with_copies(copies, folder, *parts, left_out)

    def windows(
        self, head: ActionHead, features: Path, device: torch.device, ranks: Ranks, progress: Progress
    ) -> DemonstrationWindows:
        """Batches of demonstrations; networks that are taken over are put into the head, and their features kept."""
        parts = self.demonstrations, self.normalizer, self.scaling, self.config, device
        if self.vision is None:
            return DemonstrationWindows(*parts, self.cameras, ranks=ranks)
        self.vision.put_into(head)
        seen = self.vision.features(self.demonstrations, features, device, progress, self.config.training.precision)
        return DemonstrationWindows(*parts, features=seen, ranks=ranks)

    def basis(self, windows: DemonstrationWindows | WindowsWithCopies) -> MotionBasis | None:
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


def _begin_head(
    info: CheckpointInfo, config: AdaptConfig, used: Stage1 | None, folder: RunFolder
) -> tuple[ActionHead, CheckpointInfo]:
    """The head as its mode begins, with the backbone that stays saved in the run's folder."""
    traits = MODES[config.mode]
    kept = used.kept if used and used.policy is None else None
    head = fresh_head(config.training.seed, lambda: build_head(info, kept))
    if used is not None and used.policy is not None:
        head.load_state_dict(dict(used.policy))
    if used is not None and used.info.backbone is not None:
        if used.policy is None:
            load_backbone(head.backbone, used.backbone, used.info.backbone)
        if traits.freezes:
            link_backbone(used.info.backbone, used.backbone, folder.backbones)
            info = replace(info, backbone=used.info.backbone)
    elif traits.freezes:
        if config.gates == "open" and used is None:
            head.conditioning.open_gates(head.backbone)
        info = replace(info, backbone=save_backbone(folder.backbones, head.backbone.state_dict(), config.head))
    head.freeze(config.mode)
    return head, info
