"""Stage 2's batches where there are copies: some windows of demonstrations, the others of copies of them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.errors import ConfigError
from shared.follow import ShardSource
from shared.motions_file import motions_of
from shared.order import WindowSpan
from trainer.config import AdaptConfig
from trainer.data.action import FloatArray
from trainer.data.batch_source import Batch
from trainer.data.copies.observations import CopiedObservations
from trainer.data.demonstrations.episode import Demonstrations
from trainer.data.normalization import ActionNormalizer
from trainer.data.trajectories.decoded_shard import DecodedShard, windows
from trainer.data.trajectories.stage1_steps import commanded_poses
from trainer.data.trajectories.trajectory_batches import StreamConfig, TrajectoryBatches
from trainer.model.observation import ObservationScaling
from trainer.stages.demonstration_batches import DemonstrationBatches, observation_noise


class CopySteps:
    """What Stage 2 sees of copies: decoded_shard.Steps. A window's condition is its first observations, scaled.

    Attributes:
        columns: of the record.
        condition_dim: numbers in a window's condition.
        per_step: true.
    """

    per_step = True

    def __init__(
        self,
        observations: CopiedObservations,
        normalizer: ActionNormalizer,
        scaling: ObservationScaling,
        n_obs_steps: int,
    ) -> None:
        self._observations, self._normalizer, self._scaling = observations, normalizer, scaling
        self._n_obs_steps = n_obs_steps
        self.columns = ["trajectory_id", *observations.columns]
        self.condition_dim = n_obs_steps * scaling.obs_dim

    def of_rows(self, rows: pa.Table) -> tuple[FloatArray, FloatArray | None]:
        """Normalized actions (steps, 10) and scaled observations (steps, obs_dim)."""
        actions = self._normalizer.normalize_poses(commanded_poses(rows))
        scaled = self._scaling.apply(torch.from_numpy(self._observations.of_rows(rows)))
        return actions, scaled.numpy()

    def condition(self, decoded: DecodedShard, actions: Tensor, first: Tensor, last: Tensor, start: Tensor) -> Tensor:
        """Observations of the first n_obs_steps of windows, flattened."""
        assert decoded.condition is not None
        return windows(decoded.condition, start, self._n_obs_steps).flatten(1)


class BatchesWithCopies:
    """A BatchSource over demonstrations and copies of them: in each batch a share of windows is of copies."""

    def __init__(self, demonstrations: DemonstrationBatches, copies: TrajectoryBatches, config: AdaptConfig) -> None:
        """Puts the two together; their batch sizes are those of `batch_parts`."""
        self._demonstrations, self._copies, self._config = demonstrations, copies, config
        self._batches = 0

    def next(self, tell: Callable[[str], None]) -> Batch:
        """The next batch, first the windows of demonstrations; waits for copies that are not there yet."""
        copied = self._copies.next(tell)
        own = self._demonstrations.next(tell)
        # Demonstrations with copies have no pictures, which a rank would have its part of alone.
        assert isinstance(own, Batch)
        condition = copied.condition
        if self._config.observation_noise:
            noise = observation_noise(self._config, condition.shape, self._batches, of_copies=True)
            condition = condition + noise.to(condition.device, non_blocking=True)
        self._batches += 1
        return Batch(torch.cat([own.actions, copied.actions]), torch.cat([own.condition, condition]))

    def validation(self) -> Batch | None:
        """Windows of held-out demonstrations."""
        return self._demonstrations.validation()

    def held_out_sets(self) -> dict[str, slice]:
        """Sets of the demonstrations, which with copies are one set."""
        return self._demonstrations.held_out_sets()

    def motion_windows(self) -> NDArray[np.float32]:
        """Windows of the demonstrations alone."""
        return self._demonstrations.motion_windows()

    def state(self) -> dict[str, Any]:
        """The places of both."""
        of_both = {"demonstrations": self._demonstrations.state(), "copies": self._copies.state()}
        return {**of_both, "batches": self._batches}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes to a place that `state` gave."""
        self._demonstrations.restore(state["demonstrations"])
        self._copies.restore(state["copies"])
        self._batches = int(state["batches"])


def batch_parts(config: AdaptConfig) -> tuple[int, int]:
    """Windows of demonstrations and of copies in a batch; at least one of each. Raises ConfigError where there is room
    for one alone."""
    size = config.training.batch_size
    if size < 2:
        raise ConfigError("a batch of 1 has no room for demonstrations and copies of them; use a larger --batch-size")
    copies = min(max(round(config.copies_share * size), 1), size - 1)
    return size - copies, copies


def with_copies(
    source: ShardSource,
    folder: Path,
    demonstrations: Demonstrations,
    normalizer: ActionNormalizer,
    scaling: ObservationScaling,
    config: AdaptConfig,
    device: torch.device,
    left_out: frozenset[int] = frozenset(),
) -> BatchesWithCopies:
    """Batches of demonstrations and of a dataset of copies of them, finished or growing.

    Args:
        source: the dataset of copies.
        folder: that its shards are decoded into.
        demonstrations: those that the copies are of, and perhaps more.
        normalizer: of the actions.
        scaling: of the observations.
        config: of the stage.
        device: that batches are wanted on.
        left_out: ids of copies that are not trained on.

    Raises:
        ConfigError: the dataset is no copies of these demonstrations, or has another rate; or kinematics can't tell
            what would be observed.
    """
    motions = motions_of(source)
    if motions is None:
        raise ConfigError(
            f"dataset {source.header.dataset_id[:12]} has no copies of demonstrations: its request has another "
            "workspace than 'objects'"
        )
    if source.header.rate_hz != demonstrations.rate_hz:
        raise ConfigError(
            f"the copies are at {source.header.rate_hz:g} Hz, the demonstrations at {demonstrations.rate_hz:g} Hz; "
            "generate copies at their rate"
        )
    if config.head.action != "ee_pose" or demonstrations.cameras:
        what = "cameras' pictures" if demonstrations.cameras else f"'{config.head.action}' actions"
        raise ConfigError(
            f"kinematics can't tell {what} of copies; train on them in Stage 1 alone (pretrain --condition objects)"
        )
    if config.head.relative_actions:
        raise ConfigError(
            "relative_actions are relative to an observed state, which copies have not; leave --copies out"
        )
    if demonstrations.sets:
        raise ConfigError("--copies are of one set of demonstrations; give that one alone as --demos")
    own, copied = batch_parts(config)
    steps = CopySteps(CopiedObservations(motions, demonstrations), normalizer, scaling, config.head.n_obs_steps)
    head = config.head
    span = WindowSpan(head.horizon, head.n_obs_steps - 1, head.n_action_steps - 1)
    order = StreamConfig(config.training.seed, copied, span, left_out=left_out)
    stream = TrajectoryBatches(source, folder, steps, order, device)
    smaller = replace(config, training=replace(config.training, batch_size=own))
    return BatchesWithCopies(DemonstrationBatches(demonstrations, normalizer, scaling, smaller, device), stream, config)
