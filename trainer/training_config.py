"""How either stage is trained: the steps, the optimizer, the device, and what is kept of it."""

from dataclasses import dataclass
from typing import Literal

from trainer.settings import check_choices, check_number, check_numbers

Switch = Literal["auto", "on", "off"]
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
