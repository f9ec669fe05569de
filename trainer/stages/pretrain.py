"""Stage 1: the head learns how the arm moves, from generated trajectories or recorded ones."""

import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.errors import ConfigError
from shared.follow import ShardSource
from shared.robots import JointLimits
from trainer.config import Precision, PretrainConfig, to_json
from trainer.data.action import ActionRange
from trainer.data.batch_source import Batch
from trainer.data.motion_basis import MotionBasis
from trainer.data.normalization import ActionNormalizer
from trainer.data.relative_actions import with_range
from trainer.data.trajectories.joined_batches import JoinedBatches, stage1_batches
from trainer.data.trajectories.joined_datasets import JoinedDatasets
from trainer.data.trajectories.relative_batches import RelativeBatches, distances_of
from trainer.data.trajectories.trajectory_batches import TrajectoryBatches
from trainer.evaluation.action_error import action_error, noise_loss
from trainer.model.action_head import ActionHead
from trainer.progress import Progress, silent
from trainer.training.backbone_files import save_backbone
from trainer.training.checkpoint import BACKBONE, build_head, load_checkpoint, save_checkpoint
from trainer.training.checkpoint_info import CheckpointInfo, Stage1Record
from trainer.training.kept_policies import remove_others
from trainer.training.loop import Publish, TrainingLoop, Validate
from trainer.training.ranks import ALONE, Ranks
from trainer.training.run_folder import RunFolder
from trainer.training.threads import with_threads
from trainer.training.wandb_log import check_wandb


def pretrain(
    run: Path | str,
    source: ShardSource | JoinedDatasets,
    config: PretrainConfig,
    *,
    action_range: ActionRange | None = None,
    init_from: Path | str | None = None,
    cache_bytes: float = math.inf,
    ahead: bool = True,
    overwrite: bool = False,
    progress: Progress = silent,
    ranks: Ranks = ALONE,
) -> Path:
    """Trains a head on a dataset, going on where an earlier call in this folder stopped.

    Args:
        run: the run's folder; made where it is not there.
        source: the dataset, on disk or over HTTP, finished or growing; or recorded motion (RecordedMotion); or several
            of these that are joined.
        config: of the stage.
        action_range: its entries replace the dataset's of the same name, so that a head can serve a wider region
            or another arm; of several datasets, it is the range that holds all of theirs. It is widened to hold what
            was recorded.
        init_from: a Stage-1 checkpoint, or its run folder, whose weights this run begins with; its range goes on.
        cache_bytes: of decoded shards kept on the disk, beyond those that a batch needs.
        ahead: decode shards ahead of their use, in a thread of its own; the training is the same.
        overwrite: remove the run that lies in the folder, once it is known that this one can begin.
        progress: told of every `log_every` steps, and of waiting.
        ranks: the processes that train it together.

    Returns:
        The checkpoint. Its backbone lies in the run's `backbones/`.

    Raises:
        ConfigError: the folder holds another run, a range is missing, or the datasets can't be joined.
        DatasetError: the dataset failed, was cancelled, stalled, or has a damaged shard.
        TrainingError: a loss or its gradient is not finite.
        KeyboardInterrupt: on SIGINT, SIGTERM or SIGHUP, after saving.
    """
    datasets = source if isinstance(source, JoinedDatasets) else JoinedDatasets.of([source])
    folder = RunFolder(run)
    datasets.check(config)
    config = with_threads(config, folder, overwrite=overwrite)
    begun = None if init_from is None else _begun(init_from, config, action_range)
    normalizer = _normalizer(datasets, config, action_range, begun[1] if begun else None)
    data = datasets.to_json() | {"action_range": normalizer.to_json()}
    data |= {"init_from": {"backbone": begun[1].backbone}} if begun else {}
    ranks.check(config.training)
    check_wandb(config.training)
    device = ranks.device(config.training.device)
    cache = folder.path / "decoded"
    batches: TrajectoryBatches | JoinedBatches | RelativeBatches
    batches = stage1_batches(datasets, cache, normalizer, config, device, cache_bytes=cache_bytes, ahead=ahead)
    if config.head.relative_actions:
        batches, normalizer = RelativeBatches(batches, normalizer, config, device), normalizer.of_relative()
    if ranks.is_first:
        folder.begin(1, to_json(config), data, overwrite=overwrite)
    ranks.wait()
    checkpoint = folder.checkpoint(config.training.steps)
    if checkpoint.exists():
        return checkpoint
    info = _info(datasets, config, normalizer, batches.condition_dim, device)
    head = fresh_head(config.training.seed, lambda: begun[0] if begun else build_head(info)).to(device)
    loop = TrainingLoop(head, batches, config.training, folder, progress, ranks)
    basis = _GrowingBasis(batches, normalizer, config.directions)
    measure = validation(
        head, batches.validation, normalizer, config.training.precision, basis, info.rate_hz, info.limits
    )
    loop.run(measure, _publisher(folder, head, info, config, basis))
    if ranks.is_first:
        shutil.rmtree(cache, ignore_errors=True)
    ranks.wait()
    return checkpoint


def _begun(
    path: Path | str, config: PretrainConfig, action_range: ActionRange | None
) -> tuple[ActionHead, CheckpointInfo]:
    """The head to begin with. Raises ConfigError where it is of another shape or condition, or has another range."""
    head, info = load_checkpoint(path)
    if info.stage != 1 or info.stage1 is None:
        raise ConfigError(f"{path} is no Stage-1 checkpoint; pretraining can't begin with it")
    if action_range is not None:
        raise ConfigError("--init-from goes on with the action range of what it begins with; leave --action-range out")
    if info.head != config.head or info.stage1.condition != config.condition:
        raise ConfigError(f"{path} has another head or condition than this run; use its --head, --condition ...")
    return head, info


def _normalizer(
    datasets: JoinedDatasets, config: PretrainConfig, action_range: ActionRange | None, begun: CheckpointInfo | None
) -> ActionNormalizer:
    """The normalizer of absolute actions, which has the range of relative ones where the head's are relative.

    The range is that of the datasets, or of what the run begins with, which must hold all that was recorded. Raises
    ConfigError.
    """
    if begun is None:
        normalizer = datasets.normalizer(config.head.action, action_range)
    else:
        normalizer = ActionNormalizer(begun.action_range, config.head.action)
        for motion in datasets.recorded:
            motion.check_inside(normalizer, config.head)
    if not config.head.relative_actions:
        return normalizer
    ranges = with_range(normalizer.to_json(), config.head, lambda: distances_of(datasets.sources, config))
    normalizer = ActionNormalizer(ranges, config.head.action)
    if begun is None:
        return datasets.holding_relative(normalizer, config.head)
    for motion in datasets.recorded:
        motion.check_inside(normalizer.of_relative(), config.head)
    return normalizer


def _info(
    datasets: JoinedDatasets,
    config: PretrainConfig,
    normalizer: ActionNormalizer,
    condition_dim: int,
    device: torch.device,
) -> CheckpointInfo:
    """What the checkpoint of the last step says of itself, but for its seconds, backbone and motion basis."""
    header = datasets.header
    return CheckpointInfo(
        stage=1, head=config.head, mode="normal", backbone=None, condition_dim=condition_dim,
        action_range=normalizer.to_json(), observation_scaling=None, observation_widths={}, cameras={},
        robot=header.robot.name, rate_hz=header.rate_hz, action_label=datasets.action_label, task="",
        step=config.training.steps, seconds=0.0, device=device.type, joint_limits=datasets.joint_limits,
        stage1=Stage1Record(
            header.dataset_id, config.condition, 0.0, datasets.shares_by_id,
            [motion.header.dataset_id for motion in datasets.recorded] or None,
        ),
    )  # fmt: skip


class _GrowingBasis:
    """The motion basis of the shards that training has come to; it takes a second, and changes with them alone."""

    def __init__(
        self,
        batches: TrajectoryBatches | JoinedBatches | RelativeBatches,
        normalizer: ActionNormalizer,
        directions: int | None,
    ) -> None:
        self._batches, self._normalizer, self._directions = batches, normalizer, directions
        self._known: tuple[int | tuple[int, ...], MotionBasis | None] | None = None

    def __call__(self) -> MotionBasis | None:
        seen = self._batches.shards_seen
        if self._known is None or self._known[0] != seen:
            self._known = seen, learn_basis(self._batches.motion_windows, self._normalizer, self._directions)
        return self._known[1]


def _publisher(
    folder: RunFolder, head: ActionHead, info: CheckpointInfo, config: PretrainConfig, basis: _GrowingBasis
) -> Publish:
    """Writes a checkpoint with its backbone, and removes those that are not kept."""
    backbone = {f"{BACKBONE}{name}" for name in head.backbone.state_dict()}

    def publish(step: int, seconds: float, held_out: Mapping[str, float]) -> Callable[[Mapping[str, Tensor]], None]:
        learned, record = basis(), info.stage1
        assert record is not None
        made = replace(
            info, step=step, seconds=seconds, stage1=replace(record, seconds=seconds),
            motion_basis=None if learned is None else learned.to_json(), held_out=dict(held_out) or None,
        )  # fmt: skip

        def write(average: Mapping[str, Tensor]) -> None:
            weights = {name.removeprefix(BACKBONE): value for name, value in average.items() if name in backbone}
            name = save_backbone(folder.backbones, weights, config.head, learned)
            save_checkpoint(folder.checkpoint(step), replace(made, backbone=name), average)
            remove_others(folder, config.training.keep)

        return write

    return publish


def fresh_head(seed: int, build: Callable[[], ActionHead]) -> ActionHead:
    """A head whose fresh weights depend on the seed alone; the caller's random state stays as it was."""
    # Of the CPU alone: it is where weights are drawn, and to look at every GPU takes memory on each.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def learn_basis(
    windows: Callable[[], NDArray[np.float32]], normalizer: ActionNormalizer, directions: int | None
) -> MotionBasis | None:
    """The motion basis of normalized windows, with so many directions kept; None where that is 0."""
    return None if directions == 0 else MotionBasis.learn(windows(), normalizer, directions)


def validation(
    head: ActionHead,
    windows: Callable[[], Batch | None],
    normalizer: ActionNormalizer,
    precision: Precision,
    basis: Callable[[], MotionBasis | None],
    rate_hz: float,
    limits: JointLimits | None = None,
    parts: Callable[[], Mapping[str, slice]] = dict,
) -> Validate:
    """Measures held-out loss, action error and motion; asks for the windows once, for the basis at each call.

    Of each of the `parts` that the windows have, they are measured once more, as "part/name".
    """
    held_out: list[Batch | None] = []

    def validate() -> Mapping[str, float]:
        if not held_out:
            held_out.append(windows())
        batch = held_out[0]
        if batch is None:
            return {}
        found = measure(batch)
        for name, part in parts().items():
            own = Batch(batch.actions[part], batch.condition[part], tuple(seen[part] for seen in batch.pictures))
            found |= {f"{name}/{key}": value for key, value in measure(own).items()}
        return found

    def measure(batch: Batch) -> dict[str, float]:
        error = action_error(head, batch, normalizer, precision, basis=basis(), rate_hz=rate_hz, limits=limits)
        return {"validation_loss": noise_loss(head, batch, precision), **error}

    return validate
