"""The batches of one dataset as Stage 1 sees it."""

import math
from pathlib import Path

import torch

from shared.errors import ConfigError
from shared.follow import ShardSource
from shared.motions_file import motions_of
from shared.order import WindowSpan
from trainer.config import PretrainConfig
from trainer.data.copies.stage1 import ObjectSteps
from trainer.data.normalization import ActionNormalizer
from trainer.data.trajectories.decoded_shard import Steps
from trainer.data.trajectories.recorded_motion import RecordedMotion
from trainer.data.trajectories.shard_cache import GPU_SHARE
from trainer.data.trajectories.stage1_steps import Stage1Steps
from trainer.data.trajectories.trajectory_batches import StreamConfig, TrajectoryBatches


def _stage1_steps(source: ShardSource, normalizer: ActionNormalizer, config: PretrainConfig) -> Steps:
    """What Stage 1 sees of the dataset's time steps. Raises ConfigError."""
    if config.condition != "objects":
        return Stage1Steps(config, normalizer, source.header.robot.dof)
    motions = motions_of(source)
    if motions is None:
        raise ConfigError(
            f"dataset {source.header.dataset_id[:12]} has no objects: condition 'objects' is for copies of "
            "demonstrations (docs/copies.md)"
        )
    return ObjectSteps(motions, normalizer, config.head)


def dataset_batches(
    source: ShardSource,
    folder: Path,
    normalizer: ActionNormalizer,
    config: PretrainConfig,
    device: torch.device,
    *,
    cache_bytes: float = math.inf,
    number: int = 0,
    of: int = 1,
    ahead: bool = True,
) -> TrajectoryBatches:
    """The batches of Stage 1, of one dataset.

    Args:
        source, folder, device, cache_bytes, ahead: as of TrajectoryBatches.
        normalizer: of the actions.
        config: of the stage.
        number: of this dataset among `of` that are joined, from 0. Each has an order of its own, and an equal part of
            what may be kept.
        of: datasets that are joined.

    Raises ConfigError where a range that its condition needs is missing, TrainingError where every trajectory is held
    out.
    """
    head, training = config.head, config.training
    own = StreamConfig(
        # A run's seed is below 2^32.
        seed=training.seed + (number << 32),
        batch_size=training.batch_size,
        span=WindowSpan(head.horizon, head.n_obs_steps - 1, head.n_action_steps - 1),
        windows_per_row=config.windows_per_row,
        validation_share=config.validation_share,
        validation_windows=config.validation_windows,
        max_wait=config.max_wait,
        held_out=source.held_out if isinstance(source, RecordedMotion) else None,
    )
    steps = _stage1_steps(source, normalizer, config)
    return TrajectoryBatches(
        source, folder, steps, own, device, cache_bytes=cache_bytes / of, gpu_share=GPU_SHARE / of, ahead=ahead
    )
