"""Where a run of a recipe keeps what it makes."""

from dataclasses import dataclass
from pathlib import Path

from trainer.config import Mode
from trainer.recipe.presets import Recipe, TaskPlan
from trainer.recipe.recipe_options import RecipeOptions
from trainer.simulation.collect import EXPERT_VERSION
from trainer.training.run_folder import RunFolder

Training = tuple[TaskPlan, Mode, int]
"""Task, mode and seed."""


@dataclass(frozen=True)
class RecipeFiles:
    """The files of one run.

    Attributes:
        recipe: that is run.
        options: that it was asked for with.
        folder: of the run.
    """

    recipe: Recipe
    options: RecipeOptions
    folder: Path

    @property
    def stage1(self) -> Path:
        """Run folder of Stage 1."""
        return self.folder / "stage1"

    @property
    def stage1_checkpoint(self) -> Path:
        """What Stage 1 ends with."""
        return RunFolder(self.stage1).checkpoint(self.recipe.stage1_steps)

    @property
    def shards(self) -> Path:
        """Shards of the trajectories that came over the network."""
        return self.folder / "shards"

    @property
    def action_range(self) -> Path:
        """The trajectories' range of actions, which every training shares."""
        return self.folder / "action_range.json"

    @property
    def basis(self) -> Path:
        """The motion basis of all trajectories."""
        return self.folder / "motion_basis.json"

    @property
    def dataset_summary(self) -> Path:
        """What the report says of the trajectories."""
        return self.folder / "data.json"

    def demonstrations(self, plan: TaskPlan) -> Path:
        """The demonstrations of a task: the user's, else what is collected, which plans of one task share."""
        if self.options.demos is not None:
            return self.options.demos
        # Those of an older expert stay, and are not mixed up with what this release would collect.
        name = f"{plan.task}-{plan.collected}-expert{EXPERT_VERSION}.hdf5"
        return self.options.store / "demonstrations" / name

    def motions(self, plan: TaskPlan, seed: int) -> Path:
        """The motions that copies are made of."""
        return self.folder / "copies" / f"{_drawn(plan, seed)}.motions.parquet"

    def copies(self, plan: TaskPlan, seed: int) -> Path:
        """Where the copies of demonstrations are."""
        return self.folder / "copies" / f"{_drawn(plan, seed)}-{plan.copies}.json"

    def run(self, plan: TaskPlan, mode: Mode, seed: int) -> Path:
        """Run folder of a training of Stage 2."""
        alone = sum(other.task == plan.task for other in self.recipe.tasks) == 1
        of = "" if alone else f"-{plan.demonstrations}" + (f"-copies{plan.copies}" if plan.copies else "")
        return self.folder / f"{plan.task}{of}-{mode}-{seed}"

    def checkpoint(self, plan: TaskPlan, mode: Mode, seed: int) -> Path:
        """What that training ends with."""
        return RunFolder(self.run(plan, mode, seed)).checkpoint(plan.steps)

    def trainings(self) -> list[Training]:
        """The trainings of Stage 2, seed by seed: a run that is ended early has whole seeds."""
        plans = self.recipe.tasks
        return [(plan, mode, seed) for seed in self.recipe.seeds for plan in plans for mode in plan.modes]


def _drawn(plan: TaskPlan, seed: int) -> str:
    """Which demonstrations, in words for a file's name."""
    return f"{plan.task}-{plan.demonstrations}" + ("" if plan.pool is None else f"-{seed}")
