"""What the recipe is asked for, apart from it: the command line needs no more."""

from dataclasses import dataclass
from pathlib import Path

from shared.errors import ConfigError
from trainer.config import HeadName, Precision
from trainer.settings import check_choices

FIRST_ROLLOUT_SEED = 100_000
"""Of the initial states that policies are compared on."""


@dataclass(frozen=True)
class RecipeOptions:
    """What `python -m trainer train` is given.

    Attributes:
        preset: quick (25 demonstrations and copies of them in under 25 minutes), tiny (every real part in 2 minutes, no
            success bar), few (3 to 50 demonstrations, with and without copies, three seeds), tasks (three more tasks,
            with and without copies, three seeds), hundreds (two tasks, no copies), cpu (three seeds and both controls)
            or paper (the paper's sizes and steps).
        data: a dataset directory or job URL to pretrain on, instead of generating one.
        demos: a demonstrations file to adapt to, instead of making one.
        runs: folder of runs.
        name: of the run's folder; by default the preset's, with what `data` and `demos` name added.
        head: the architecture of the action head, conditioned as it is by default.
        device: of every training: "auto" (CUDA, then MPS, then CPU) or a torch device. On a GPU they take turns.
        precision: of every training: "auto" is bf16 autocast where the hardware computes in it.
        store: folder of generated datasets and demonstrations, shared by runs.
        parallel: processes at once; 0 is one for each core, at most 4.
        resample: accept demonstrations at another rate than the trajectories', by interpolation.
        other_robot: accept demonstrations of another robot than the trajectories'.
    """

    preset: str = "quick"
    data: str | None = None
    demos: Path | None = None
    runs: Path = Path("runs")
    name: str | None = None
    head: HeadName = "dp_mlp"
    device: str = "auto"
    precision: Precision = "auto"
    store: Path = Path("data")
    parallel: int = 0
    resample: bool = False
    other_robot: bool = False

    def __post_init__(self) -> None:
        check_choices(self)
        if self.parallel < 0:
            raise ConfigError(f"parallel is {self.parallel}; it must be at least 1, or 0 for one process for each core")
