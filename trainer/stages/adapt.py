"""Stage 2: the head learns a task from demonstrations; what its mode freezes stays as it is."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from shared.errors import ConfigError
from shared.follow import ShardSource
from trainer.config import AdaptConfig, to_json
from trainer.data.action import ActionRange
from trainer.data.demonstrations.episode import Demonstrations
from trainer.data.motion_basis import MotionBasis
from trainer.device import deterministic_algorithms
from trainer.model.action_head import ActionHead
from trainer.model.modes import MODES
from trainer.model.vision import VISION
from trainer.progress import Progress, silent
from trainer.stages.adaptation import Adaptation
from trainer.stages.batches_with_copies import BatchesWithCopies
from trainer.stages.demonstration_batches import DemonstrationBatches
from trainer.stages.pretrain import fresh_head, validation
from trainer.stages.pretrained import Stage1
from trainer.training.backbone_files import link_backbone, load_backbone, save_backbone
from trainer.training.checkpoint import build_head, save_checkpoint
from trainer.training.checkpoint_info import CheckpointInfo
from trainer.training.kept_policies import remove_others
from trainer.training.loop import Publish, TrainingLoop
from trainer.training.ranks import ALONE, Ranks
from trainer.training.run_folder import RunFolder
from trainer.training.threads import with_threads
from trainer.training.wandb_log import check_wandb


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
    vision_weights: Path | None = None,
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
        vision_weights: state dict of a ResNet-18 as torchvision publishes it, which cameras' networks begin with.
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
    folder = RunFolder(run)
    config = with_threads(config, folder, overwrite=overwrite)
    ranks.check(config.training)
    check_wandb(config.training)
    device = ranks.device(config.training.device)
    pretrained = Stage1.chosen(stage1, backbone, init_from, vision)
    if overwrite and pretrained is not None and pretrained.lies_in(folder):
        raise ConfigError(
            f"--overwrite would remove {pretrained.backbone}, which this run begins with; choose another --out"
        )
    task = Adaptation.checked(demonstrations, config, pretrained, action_range, basis, vision, vision_weights)
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
    loop = TrainingLoop(head.to(device), windows, config.training, folder, progress, ranks)
    _train(loop, task, windows, info)
    if ranks.is_first:
        shutil.rmtree(decoded, ignore_errors=True)
    ranks.wait()
    return checkpoint


def _train(
    loop: TrainingLoop, task: Adaptation, windows: DemonstrationBatches | BatchesWithCopies, info: CheckpointInfo
) -> None:
    """Trains to the end, measured on held-out windows and published with the motion basis that it is projected onto."""
    basis, training, frozen = task.basis(windows), loop.config, _frozen_vision(loop)
    untrained = sum(value.numel() for value in frozen.values()) or None
    info = replace(info, motion_basis=None if basis is None else basis.to_json(), untrained=untrained)
    measured = loop.head, windows.validation, task.normalizer, training.precision, lambda: basis
    measure = validation(*measured, info.rate_hz, info.limits, windows.held_out_sets)
    loop.run(measure, _publisher(loop.folder, info, frozen, training.keep))


def _frozen_vision(loop: TrainingLoop) -> dict[str, Tensor]:
    """What of the cameras' networks is not trained, on the CPU."""
    every = loop.head.state_dict().items()
    return {name: value.cpu() for name, value in every if name.startswith(VISION) and name not in loop.weights}


def _publisher(folder: RunFolder, info: CheckpointInfo, frozen: Mapping[str, Tensor], keep: int) -> Publish:
    """Writes a checkpoint, and removes those that are not kept."""

    def publish(step: int, seconds: float, held_out: Mapping[str, float]) -> Callable[[Mapping[str, Tensor]], None]:
        made = replace(info, step=step, seconds=seconds, held_out=dict(held_out) or None)

        def write(average: Mapping[str, Tensor]) -> None:
            save_checkpoint(folder.checkpoint(step), made, {**average, **frozen})
            remove_others(folder, keep)

        return write

    return publish


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
