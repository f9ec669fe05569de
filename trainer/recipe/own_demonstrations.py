"""A recipe for demonstrations that the user has."""

from dataclasses import replace
from pathlib import Path

from rich.console import Console

from shared.errors import ConfigError
from trainer.data.demonstrations import read_demonstrations
from trainer.data.demonstrations.formats.simulator import read_header
from trainer.recipe.presets import Recipe, TaskPlan
from trainer.simulation.task import task_names


def with_demonstrations(recipe: Recipe, demos: Path, console: Console) -> Recipe:
    """The recipe for the one task of a demonstrations file, trained as the preset trains a task.

    Copies are made where the file holds poses of the objects; else one line says that there are none.
    """
    task, demonstrations = read_header(demos).task, read_demonstrations(demos)
    count = len(demonstrations.episodes)
    if task not in task_names():
        raise ConfigError(
            f"{demos} is of task '{task}', which this simulator can't roll out (it has {', '.join(task_names())}); "
            "train with `python -m trainer adapt` instead"
        )
    like = [plan for plan in recipe.tasks if plan.task == task]
    like = like or [plan for plan in recipe.tasks if plan.task == recipe.tasks[0].task]
    if not demonstrations.objects and any(plan.copies for plan in like):
        console.print(
            f"no copies: {demos} does not say the symmetry of its objects, as files of this release do; collect its "
            "demonstrations again, or make copies by hand (docs/copies.md)",
            soft_wrap=True,
        )
        like = [plan for plan in like if not plan.copies]
    return replace(recipe, tasks=tuple(_of_own(plan, task, count) for plan in like))


def _of_own(plan: TaskPlan, task: str, count: int) -> TaskPlan:
    """A plan for a file with so many demonstrations."""
    if plan.pool is None:
        return replace(plan, task=task, demonstrations=count)
    return replace(plan, task=task, demonstrations=min(plan.demonstrations, count), pool=count)
