"""What a head is and how it is trained, as frozen dataclasses that go into config.json and every checkpoint."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, get_args, get_type_hints

from shared.errors import ConfigError
from trainer.settings import check_number, check_numbers

HeadName = Literal["dp_mlp", "dp_c", "dp_t", "dp_t_film"]
SizeName = Literal["tiny", "small", "paper"]
ConditioningName = Literal[
    "adaln_zero", "adaln", "ada_rms_norm", "film", "additive", "lora_cond", "cross_attn", "prefix"
]
ActionName = Literal["ee_pose", "joint_position"]
PredictionType = Literal["epsilon", "v_prediction", "sample", "flow"]
Mode = Literal["normal", "decoupled", "pretrained_body", "finetune", "random_frozen", "random_body"]
Stage1Condition = Literal["joint_position", "ee_pose", "endpoints", "none", "objects"]
Endpoints = Literal["window", "motion"]
Scaling = Literal["min_max", "standard"]
Switch = Literal["auto", "on", "off"]
Gates = Literal["open", "closed"]
Precision = Literal["auto", "bf16", "fp32"]

DIFFUSION_STEPS = 100
"""Timesteps of the training schedule; the sampler takes a subset of them."""

SAMPLING_STEPS = 10
"""Of DDIM, by default."""

FLOW_STEPS = 2
"""Of the sampler of flow matching, by default."""

CONDITIONINGS: dict[str, tuple[ConditioningName, ...]] = {
    "dp_mlp": ("adaln_zero", "film"),
    "dp_c": ("adaln_zero", "film"),
    "dp_t": ("adaln_zero", "adaln", "ada_rms_norm", "film", "additive", "lora_cond", "cross_attn", "prefix"),
    "dp_t_film": ("film",),
}
"""The conditionings that each head takes; those of your own are added by `backbones.add_backbone`."""

TOKEN_CONDITIONINGS: tuple[ConditioningName, ...] = ("cross_attn", "prefix")
"""Those that give the blocks tokens to attend to; the others give each block one vector."""

_MOST_STEPS = 99_999_999
"""Checkpoints are named by eight digits, whose order is that of the steps."""
_LEAST_RATE, _LEAST_CLIP = 1e-8, 1e-4
"""With less, weights in float32 would hardly move: a policy that was never trained."""

T = TypeVar("T")


@dataclass(frozen=True)
class HeadConfig:
    """Shape of an action head: everything that fixes its weights, their names and sizes, and what its output means.

    Attributes:
        head: the architecture (docs/adding-a-head.md), or one of your own that was added before.
        size: `paper`, `small` for CPUs, or `tiny` for tests; widths and depths are beside each backbone.
        conditioning: how the condition enters the blocks; dp_t takes every one, dp_mlp and dp_c adaln_zero and film,
            dp_t_film film alone.
        paper_film: FiLM as the paper writes it, gamma * h + beta, instead of (1 + gamma) * h + beta.
        paper_key_values: key and value projections of cross_attn and prefix in the backbone, where Stage 2 freezes
            them, as in the paper, instead of in the conditioning.
        action: what a step of a window is: a pose (10 numbers) or joint positions (dof + 1).
        prediction_type: what the output is: noise, velocity or actions of diffusion, in diffusers' words, or the
            velocity of flow matching (`flow`), which takes fewer sampling steps.
        dropout: inside the blocks while the backbone trains (the paper: 0.1 in dp_mlp, 0.3 in the transformers).
        horizon: steps of a window.
        n_obs_steps: observation steps the policy sees; a Stage-2 window starts at t - (n_obs_steps - 1).
        n_action_steps: steps of a prediction that a rollout executes, from index n_obs_steps - 1.
    """

    # The names that there are stay a part of the type, for the help of commands.
    head: HeadName | str = "dp_mlp"
    size: SizeName = "small"
    conditioning: ConditioningName = "adaln_zero"
    paper_film: bool = False
    paper_key_values: bool = False
    action: ActionName = "ee_pose"
    prediction_type: PredictionType = "epsilon"
    dropout: float = 0.0
    horizon: int = 16
    n_obs_steps: int = 2
    n_action_steps: int = 8

    def __post_init__(self) -> None:
        check_choices(self)
        self._check_conditioning()
        # Motion has a jerk from four steps on.
        check_number("horizon", self.horizon, 4, whole=True)
        check_number("n_obs_steps", self.n_obs_steps, 1, whole=True)
        check_number("n_action_steps", self.n_action_steps, 1, whole=True)
        check_number("dropout", self.dropout, 0, below=1)
        if self.n_obs_steps > self.horizon:
            raise ConfigError(f"n_obs_steps is {self.n_obs_steps}; it must be 1 to the horizon, {self.horizon}")
        if self.n_action_steps > self.longest_answer:
            raise ConfigError(
                f"n_action_steps is {self.n_action_steps}; a window of {self.horizon} steps holds at most "
                f"{self.longest_answer} after {self.n_obs_steps} observation steps"
            )
        if self.head == "dp_c" and self.horizon % 4:
            raise ConfigError(f"horizon is {self.horizon}; dp_c halves it twice, so it must be a multiple of 4")
        if self.dropout and self.head == "dp_c":
            raise ConfigError(f"dropout is {self.dropout}; dp_c has none, leave it at 0")

    @property
    def longest_answer(self) -> int:
        """Steps of a window from the current one on, all that a policy predicts."""
        return self.horizon - self.n_obs_steps + 1

    @property
    def attends_to_tokens(self) -> bool:
        """Whether the condition enters as tokens rather than as one vector."""
        return self.conditioning in TOKEN_CONDITIONINGS

    def _check_conditioning(self) -> None:
        if self.head not in CONDITIONINGS:
            raise ConfigError(
                f"head is {self.head!r}; it must be one of {', '.join(CONDITIONINGS)}, or one of your own, which "
                "trainer.model.backbones.add_backbone makes known first"
            )
        known = CONDITIONINGS[self.head]
        if self.conditioning not in known:
            raise ConfigError(
                f"{self.head} can't be conditioned by {self.conditioning}; pass --conditioning {' or '.join(known)}"
            )
        if self.paper_film and self.conditioning != "film":
            raise ConfigError(f"paper_film is a form of film; the conditioning is {self.conditioning}")
        if self.paper_key_values and not self.attends_to_tokens:
            raise ConfigError(
                f"paper_key_values is for {' and '.join(TOKEN_CONDITIONINGS)}; the conditioning is {self.conditioning}"
            )


@dataclass(frozen=True)
class TrainingConfig:
    """How either stage is trained.

    Attributes:
        steps: gradient steps.
        batch_size: windows in a step.
        learning_rate: reached after the warm-up, then cosine to zero at `steps`.
        warmup_steps: of linear warm-up.
        betas: of AdamW.
        weight_decay: on weight matrices; never on biases, norms, positions and the conditioning's projection.
        clip_norm: greatest norm of the gradient.
        average_power: of the moving average's decay 1 - k^-power.
        seed: of initial weights, noise and sample order.
        device: "auto" (CUDA, then MPS, then CPU) or a torch device.
        precision: "auto" is bf16 autocast where the hardware computes in it.
        compile: torch.compile; "auto" where the run is long enough to earn it back.
        deterministic: on a GPU, only algorithms that give the same numbers every time, so that a seed has one run and a
            resumed one is that run to the bit, as on a CPU always; slower. What is `auto` is then not compiled.
        threads: of the CPU; None is one for each core that this process has to itself (threads.available_threads). A
            run that is gone on with keeps the number it began with. More than these cores is several times slower.
        log_every: steps between lines of metrics.jsonl; also how soon a non-finite loss is noticed.
        checkpoint_every: steps between measurements on held-out windows, at each of which a checkpoint is saved, if
            that keeps to `saving_share`.
        save_minutes: after which a checkpoint is saved in any case, of the time since the last.
        saving_share: of the time that training may stand still for saving, which goes on in the background.
        keep: how many of the last policies are kept; beside them, the best by its held-out error.
        tensorboard: also write TensorBoard events.
    """

    steps: int = 2000
    batch_size: int = 128
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 1e-3
    clip_norm: float = 1.0
    average_power: float = 0.75
    seed: int = 0
    device: str = "auto"
    precision: Precision = "auto"
    compile: Switch = "auto"
    deterministic: bool = False
    threads: int | None = None
    log_every: int = 50
    checkpoint_every: int = 500
    save_minutes: float = 10.0
    saving_share: float = 0.05
    keep: int = 2
    tensorboard: bool = True

    def __post_init__(self) -> None:
        check_choices(self)
        check_number("steps", self.steps, 1, _MOST_STEPS, whole=True)
        for name in ("batch_size", "threads", "log_every", "checkpoint_every", "keep"):
            check_number(name, getattr(self, name), 1, whole=True)
        check_number("learning_rate", self.learning_rate, _LEAST_RATE, 1)
        check_number("warmup_steps", self.warmup_steps, 0, whole=True)
        check_numbers("betas", self.betas, 2, least=0, below=1)
        check_number("weight_decay", self.weight_decay, 0, below=1)
        check_number("clip_norm", self.clip_norm, _LEAST_CLIP)
        check_number("save_minutes", self.save_minutes, above=0)
        check_number("saving_share", self.saving_share, above=0, most=1)
        check_number("average_power", self.average_power, 0, 1)
        check_number("seed", self.seed, 0, 2**32 - 1, whole=True)


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
        crop: share of each side of a picture that is seen: a random part in training, else the middle.
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
    crop: float = 0.9
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
        check_number("crop", self.crop, above=0, most=1)
        check_number("copies_share", self.copies_share, above=0, below=1)
        _check_directions(self.directions, self.head)


def default_sampling_steps(prediction_type: PredictionType) -> int:
    """Steps of a sampler that is told no other number."""
    return FLOW_STEPS if prediction_type == "flow" else SAMPLING_STEPS


def to_json(config: Any) -> dict[str, Any]:
    """A config dataclass as a JSON object; `from_json` turns it back."""
    # By way of text, so that it equals what a file gives back: tuples become lists.
    value: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config)))
    return value


def from_json(kind: type[T], value: Mapping[str, Any]) -> T:
    """Reads what `to_json` wrote. Raises ConfigError naming an unknown key or a bad value."""
    hints = get_type_hints(kind)
    unknown = sorted(set(value) - set(hints))
    if unknown:
        raise ConfigError(f"{kind.__name__} has no setting {unknown}; it has {sorted(hints)}")
    fields = {}
    for name, entry in value.items():
        if dataclasses.is_dataclass(hints[name]) and isinstance(hints[name], type):
            fields[name] = from_json(hints[name], entry)
        else:
            fields[name] = tuple(entry) if isinstance(entry, list) else entry
    return kind(**fields)


def _check_directions(directions: int | None, head: HeadConfig) -> None:
    if directions is not None and not 0 <= directions <= head.horizon:
        raise ConfigError(f"directions is {directions}; it must be 0 (no motion basis) to the horizon, {head.horizon}")


def check_choices(config: Any) -> None:
    """Raises ConfigError where a field with named choices has none of them."""
    for name, hint in get_type_hints(type(config)).items():
        choices = get_args(hint)
        if choices and all(isinstance(choice, str) for choice in choices) and getattr(config, name) not in choices:
            raise ConfigError(f"{name} is {getattr(config, name)!r}; it must be one of {', '.join(choices)}")
