"""What the recipe is asked for, apart from it: the command line needs no more."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.errors import ConfigError
from trainer.config import HeadName, Precision
from trainer.settings import check_choices

_RECORDED = ("data", "demos", "device", "precision", "resample", "other_robot")
"""Options that recipe.json has beside the recipe itself."""

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

    def to_json(self) -> dict[str, Any]:
        """What recipe.json says beside the recipe, which has the preset's name and the head."""
        demos = None if self.demos is None else str(self.demos)
        return {**{name: getattr(self, name) for name in _RECORDED}, "demos": demos}

    @classmethod
    def read(cls, path: Path) -> "RecipeOptions":
        """The options of a run, from its recipe.json or folder; where it went is not among them.

        Raises ConfigError where it can't be read, or has an option that this release does not know.
        """
        path = path / "recipe.json" if path.is_dir() else path
        try:
            content = json.loads(path.read_text())
            recipe = content["recipe"]
            given = {"preset": recipe["name"], "head": recipe["head"]}
            given |= {name: value for name, value in content.items() if name != "recipe"}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{path} can't be read as a recipe's recipe.json: {error!r}") from error
        unknown = sorted(set(given) - {"preset", "head", *_RECORDED})
        if unknown:
            raise ConfigError(f"{path}: the recipe has no option {unknown}; it has {sorted(_RECORDED)}")
        if given.get("demos") is not None:
            given["demos"] = Path(given["demos"])
        return cls(**given)

    def __post_init__(self) -> None:
        check_choices(self)
        if self.parallel < 0:
            raise ConfigError(f"parallel is {self.parallel}; it must be at least 1, or 0 for one process for each core")
