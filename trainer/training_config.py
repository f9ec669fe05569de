"""How either stage is trained: the steps, the optimizer, the device, and what is kept of it."""

from dataclasses import dataclass
from typing import Literal

from trainer.settings import check_choices, check_number, check_numbers

Switch = Literal["auto", "on", "off"]
Schedule = Literal["cosine", "linear", "constant"]
Precision = Literal["auto", "bf16", "fp32"]

_MOST_STEPS = 99_999_999
"""Checkpoints are named by eight digits, whose order is that of the steps."""
_LEAST_RATE, _LEAST_CLIP = 1e-8, 1e-4
"""With less, weights in float32 would hardly move: a policy that was never trained."""


@dataclass(frozen=True)
class TrainingConfig:
    """How either stage is trained.

    Attributes:
        steps: gradient steps.
        batch_size: windows in a step, of all processes together.
        accumulate: micro-batches that a step's batch is computed in, one after the other, in less memory: the same
            numbers, but for the order in which they are added.
        learning_rate: reached after the warm-up.
        vision_learning_rate: of the cameras' networks, on the same schedule; None is `learning_rate`.
        schedule: of the learning rate after the warm-up: half a cosine or a line down to zero at `steps`, or constant.
        warmup_steps: of linear warm-up; at most half of `steps` where the schedule has an end.
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
        wandb: also send the same numbers to Weights & Biases, or with WANDB_MODE=offline keep them for its client.
    """

    steps: int = 2000
    batch_size: int = 128
    accumulate: int = 1
    learning_rate: float = 1e-3
    vision_learning_rate: float | None = None
    schedule: Schedule = "cosine"
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
    wandb: bool = False

    def __post_init__(self) -> None:
        check_choices(self)
        check_number("steps", self.steps, 1, _MOST_STEPS, whole=True)
        for name in ("batch_size", "accumulate", "threads", "log_every", "checkpoint_every", "keep"):
            check_number(name, getattr(self, name), 1, whole=True)
        for name in ("learning_rate", "vision_learning_rate"):
            check_number(name, getattr(self, name), _LEAST_RATE, 1)
        check_number("warmup_steps", self.warmup_steps, 0, whole=True)
        check_numbers("betas", self.betas, 2, least=0, below=1)
        check_number("weight_decay", self.weight_decay, 0, below=1)
        check_number("clip_norm", self.clip_norm, _LEAST_CLIP)
        check_number("save_minutes", self.save_minutes, above=0)
        check_number("saving_share", self.saving_share, above=0, most=1)
        check_number("average_power", self.average_power, 0, 1)
        check_number("seed", self.seed, 0, 2**32 - 1, whole=True)
