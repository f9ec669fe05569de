"""What both stages are set to, as frozen dataclasses that go into config.json and every checkpoint.

The head and the training, which both have, are in modules of their own (head_config.py, training_config.py).
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, get_args, get_type_hints

from shared.errors import ConfigError
from trainer.head_config import (
    CONDITIONINGS,
    DIFFUSION_STEPS,
    FLOW_STEPS,
    SAMPLING_STEPS,
    TOKEN_CONDITIONINGS,
    ActionName,
    ConditioningName,
    HeadConfig,
    HeadName,
    PredictionType,
    SizeName,
    default_sampling_steps,
)
from trainer.settings import check_choices, check_number, check_numbers
from trainer.training_config import Precision, Schedule, Switch, TrainingConfig

__all__ = [
    "CONDITIONINGS", "DIFFUSION_STEPS", "FLOW_STEPS", "SAMPLING_STEPS", "TOKEN_CONDITIONINGS", "ActionName",
    "AdaptConfig", "ConditioningName", "Endpoints", "Gates", "HeadConfig", "HeadName", "Mode", "Precision",
    "PredictionType", "PretrainConfig", "Scaling", "Schedule", "SizeName", "Stage1Condition", "Switch",
    "TrainingConfig", "default_sampling_steps", "from_json", "to_json",
]  # fmt: skip

Mode = Literal["normal", "decoupled", "pretrained_body", "finetune", "random_frozen", "random_body"]
Stage1Condition = Literal["joint_position", "ee_pose", "endpoints", "none", "objects"]
Endpoints = Literal["window", "motion"]
Scaling = Literal["min_max", "standard"]
Gates = Literal["open", "closed"]

T = TypeVar("T")


@dataclass(frozen=True)
class PretrainConfig:
    """Stage 1: the head learns poses from kinematics.

    Attributes:
        head: its shape.
        training: how long and how.
        condition: what Stage 1 sees beside the noisy actions: the window's joint positions and gripper (the paper's),
            its poses, its first and last action (so that what lies between must be learned), nothing, or of copies of
            demonstrations, where tool and objects would be seen at its first steps.
        endpoints: whose first and last action `endpoints` are: the window's, or the whole motion's.
        windows_per_row: windows drawn from each trajectory in one pass.
        validation_share: of trajectories held out, by hash of their id.
        validation_windows: held-out windows that loss and action error are measured on at every checkpoint.
        directions: of the motion basis that policies project onto; None takes as many as its trajectories need, 0 is no
            basis.
        max_wait: seconds without a new shard before giving up.
    """

    head: HeadConfig = field(default_factory=HeadConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    condition: Stage1Condition = "joint_position"
    endpoints: Endpoints = "window"
    windows_per_row: int = 1
    validation_share: float = 0.02
    validation_windows: int = 128
    directions: int | None = None
    max_wait: float = 600.0

    def __post_init__(self) -> None:
        check_choices(self)
        check_number("windows_per_row", self.windows_per_row, 1, whole=True)
        check_number("validation_share", self.validation_share, 0, below=1)
        check_number("validation_windows", self.validation_windows, 0, whole=True)
        check_number("max_wait", self.max_wait, above=0)
        if self.training.vision_learning_rate is not None:
            raise ConfigError("vision_learning_rate is of cameras' networks, which Stage 1 has none of; leave it out")
        _check_directions(self.directions, self.head)


@dataclass(frozen=True)
class AdaptConfig:
    """Stage 2: the head learns a task from demonstrations.

    Attributes:
        mode: what the backbone starts from and what of it is trained (modes.MODES).
        head: its shape; Stage 1's backbone must have it where the mode starts from that.
        training: how long and how.
        validation_windows: windows of held-out episodes that loss and action error are measured on.
        observation_scaling: min-max or standardization, by statistics of the training demonstrations.
        observation_noise: standard deviation of the noise that is added to scaled low-dimensional observations in
            training, where most lie in [-1, 1]: a policy that has seen it is less lost beside its demonstrations.
        n_picture_steps: pictures of each camera that the policy sees, the latest ones; None is as many as n_obs_steps.
        crop: share of each side of a picture that is seen: a random part in training, else the middle.
        color_jitter: greatest change of brightness, contrast and saturation (shares of what they are) and of hue (in
            turns of its circle) of pictures in training, drawn for each window and camera; 0 0 0 0 changes nothing.
        freeze_vision: leave the cameras' networks as --vision-weights gives them; what follows them, 32 keypoints and
            64 features a camera, is trained.
        resample: accept demonstrations at another rate than Stage 1's, by interpolation.
        other_robot: accept demonstrations of another robot than Stage 1's.
        drop_outside: leave out the demonstrations that leave the action range, as long as they are fewer than half.
        directions: of the motion basis that the policy projects onto; None takes Stage 1's number, or where there is no
            Stage 1, as many as the demonstrations need; 0 is no basis.
        gates: how the gates of a frozen random backbone's blocks start: closed, its blocks would begin with no effect.
        copies_share: share of a batch's windows that are of copies of the demonstrations, where there are any.
    """

    mode: Mode = "decoupled"
    head: HeadConfig = field(default_factory=HeadConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    validation_windows: int = 128
    observation_scaling: Scaling = "min_max"
    observation_noise: float = 0.0
    n_picture_steps: int | None = None
    crop: float = 0.9
    color_jitter: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    freeze_vision: bool = False
    resample: bool = False
    other_robot: bool = False
    drop_outside: bool = False
    directions: int | None = None
    gates: Gates = "open"
    copies_share: float = 0.5

    def __post_init__(self) -> None:
        check_choices(self)
        check_number("validation_windows", self.validation_windows, 0, whole=True)
        check_number("observation_noise", self.observation_noise, 0, below=1)
        check_number("n_picture_steps", self.n_picture_steps, 1, self.head.horizon, whole=True)
        check_number("crop", self.crop, above=0, most=1)
        check_numbers("color_jitter", self.color_jitter, 4, least=0, below=1)
        check_number("the hue of color_jitter", self.color_jitter[3], 0, 0.5)
        check_number("copies_share", self.copies_share, above=0, below=1)
        _check_directions(self.directions, self.head)

    @property
    def picture_steps(self) -> int:
        """Pictures of each camera that the policy sees, where there are cameras."""
        return self.n_picture_steps or self.head.n_obs_steps


def to_json(config: Any) -> dict[str, Any]:
    """A config dataclass as a JSON object; `from_json` turns it back."""
    # By way of text, so that it equals what a file gives back: tuples become lists.
    value: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config)))
    return value


def from_json(kind: type[T], value: Mapping[str, Any]) -> T:
    """Reads what `to_json` wrote. Raises ConfigError naming an unknown key or a bad value."""
    if not isinstance(value, Mapping):
        raise ConfigError(f"{kind.__name__} is {value!r}; it must be an object of settings")
    hints = get_type_hints(kind)
    unknown = sorted(set(value) - set(hints))
    if unknown:
        raise ConfigError(f"{kind.__name__} has no setting {unknown}; it has {sorted(hints)}")
    fields = {}
    for name, entry in value.items():
        if dataclasses.is_dataclass(hints[name]) and isinstance(hints[name], type):
            fields[name] = from_json(hints[name], entry)
            continue
        _check_type(name, entry, hints[name])
        fields[name] = tuple(entry) if isinstance(entry, list) else entry
    return kind(**fields)


def _check_type(name: str, entry: Any, hint: Any) -> None:
    """What the settings' own checks leave to the command line, which reads text by the type."""
    if entry is None and type(None) not in get_args(hint):
        raise ConfigError(f"{name} is null; it must have a value")
    for kind, word in ((bool, "true or false"), (str, "text")):
        if hint is kind and not isinstance(entry, kind):
            raise ConfigError(f"{name} is {entry!r}; it must be {word}")


def _check_directions(directions: int | None, head: HeadConfig) -> None:
    if directions is not None and not 0 <= directions <= head.horizon:
        raise ConfigError(f"directions is {directions}; it must be 0 (no motion basis) to the horizon, {head.horizon}")
