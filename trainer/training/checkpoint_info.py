"""What a policy checkpoint says of itself, beside its weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from shared.errors import CheckpointError, ConfigError
from shared.robots import JointLimits
from trainer.config import CONDITIONINGS, HeadConfig, Mode, from_json, to_json
from trainer.data.motion_basis import MotionBasis
from trainer.data.normalization import ActionNormalizer
from trainer.model.observation import Camera, ObservationScaling

_ADDED = (
    "motion_basis", "demonstrated", "joint_limits", "held_out", "state_columns", "vision_weights", "n_picture_steps",
    "untrained",
)  # fmt: skip
"""Fields of CheckpointInfo that have come since the first release."""


@dataclass(frozen=True)
class Stage1Record:
    """What a checkpoint remembers of Stage 1.

    Attributes:
        dataset_id: of its data; of several datasets, the first one's, whose arm it is.
        condition: that it saw.
        seconds: it took.
        shares: of several datasets, each one's share of the windows, by its id.
        recorded: ids of those whose motion was recorded rather than generated; None where there are none, and in
            checkpoints of releases that knew none.
    """

    dataset_id: str
    condition: str
    seconds: float
    shares: dict[str, float] | None = None
    recorded: list[str] | None = None

    @property
    def dataset_ids(self) -> list[str]:
        """The ids of all its datasets."""
        return list(self.shares or [self.dataset_id])

    def to_json(self) -> dict[str, Any]:
        """Its fields, without those that are None."""
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
            "command" where its trajectories were generated, since these are followed exactly.
        task: of the demonstrations; "" in Stage 1.
        step: gradient steps.
        seconds: they took, as `TrainingLoop.seconds` counts them.
        device: type of the device it was trained on, such as "cpu" or "cuda".
        stage1: None where nothing of Stage 1 is in it.
        motion_basis: what a policy projects onto, as `MotionBasis.to_json`; None where it does not.
        demonstrated: the motion of the demonstrations it was trained on (smoothness.describe_motion).
        joint_limits: of the arm, as the dataset's header has them; None where no dataset told.
        held_out: what held-out windows said of it (evaluate.action_error); None where it was not measured.
        state_columns: of relative actions, which numbers of an observation step are the state that they are relative
            to; None where they are absolute, or the state is not seen and has to be told.
        vision_weights: hash of the file that the cameras' networks began with, whose norms they have; None where they
            are our own.
        n_picture_steps: pictures of each camera that are seen; None is as many as observation steps, head.n_obs_steps.
        untrained: how many of the checkpoint's numbers are of frozen cameras' networks; None where none are, and in
            checkpoints of releases that did not tell.
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
    state_columns: list[int] | None = None
    vision_weights: str | None = None
    n_picture_steps: int | None = None
    untrained: int | None = None

    @property
    def limits(self) -> JointLimits | None:
        """The arm's joint limits, where a dataset told them."""
        return None if self.joint_limits is None else JointLimits(**_arrays(self.joint_limits))

    @property
    def basis(self) -> MotionBasis | None:
        """The motion basis."""
        return None if self.motion_basis is None else MotionBasis.from_json(self.motion_basis)

    @property
    def picture_steps(self) -> int:
        """Pictures of each camera that are seen, where there are cameras."""
        return self.n_picture_steps or self.head.n_obs_steps

    @property
    def needs_state(self) -> bool:
        """Whether actions are relative to a state that is not seen, and has to be told."""
        return self.head.relative_actions and self.state_columns is None

    @property
    def normalizer(self) -> ActionNormalizer:
        """The normalizer of its actions."""
        return ActionNormalizer(self.action_range, self.head.action, relative=self.head.relative_actions)

    @property
    def scaling(self) -> ObservationScaling:
        """The scaling of its observations. Raises ConfigError for a Stage-1 checkpoint, which has none."""
        if self.observation_scaling is None:
            raise ConfigError("a Stage-1 checkpoint sees no observations; adapt it to demonstrations first")
        return ObservationScaling.from_json(self.observation_scaling)

    def to_metadata(self) -> dict[str, Any]:
        """A JSON object for a checkpoint's file, which `from_metadata` turns back."""
        metadata = {name: getattr(self, name) for name in self.__dataclass_fields__}
        metadata |= {"head": to_json(self.head), "stage1": self.stage1.to_json() if self.stage1 else None}
        # As pairs: the order counts, and JSON's keys are sorted.
        metadata |= {"observation_widths": list(self.observation_widths.items())}
        return metadata | {"cameras": [(name, to_json(camera)) for name, camera in self.cameras.items()]}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any], path: Path) -> "CheckpointInfo":
        """Reads the metadata of the file at `path`. Raises CheckpointError where another release wrote it."""
        try:
            fields = {name: metadata[name] for name in cls.__dataclass_fields__ if name not in _ADDED}
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
            info = cls(**fields)
            _ = info.basis, info.limits
            return info
        except (KeyError, TypeError, ValueError, ConfigError) as error:
            raise CheckpointError(
                f"was written by another release ({error!r}); use that release, or train again", path
            ) from error


def _arrays(lists: Mapping[str, list[float]]) -> dict[str, Any]:
    return {name: np.array(values, np.float64) for name, values in lists.items()}
