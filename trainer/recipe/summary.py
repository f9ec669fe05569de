"""What a recipe's report says beside the results of its policies."""

from pathlib import Path
from typing import Any

from trainer.data.demonstrations import read_demonstrations
from trainer.progress import duration
from trainer.recipe.presets import Recipe

_COUNTED_ATTEMPTS = 100


def expert_success(path: Path) -> dict[str, Any]:
    """Success of an expert in its first hundred attempts (a number fixed beforehand), or in all if there were fewer."""
    demonstrations = read_demonstrations(path)
    attempts = sorted((*demonstrations.episodes, *demonstrations.failed), key=lambda episode: episode.seed)
    counted = attempts[:_COUNTED_ATTEMPTS]
    return {
        "task": demonstrations.task,
        "attempts": len(counted),
        "successes": sum(episode.success for episode in counted),
        "demonstrations": len(demonstrations.episodes),
    }


def estimate(recipe: Recipe, stage1: dict[str, Any], runs: list[dict[str, Any]]) -> str:
    """What the recipe that this one samples would take here, from the seconds of a step of each training."""
    full = recipe.estimate_of
    assert full is not None
    seconds = _per_step(stage1) * full.stage1_steps
    runs_of = {(plan.task, mode): plan.steps for plan in full.tasks for mode in plan.modes}
    for run, steps in zip(runs, runs_of.values(), strict=True):
        seconds += _per_step(run) * steps * len(full.seeds)
    return f"Estimate: the whole of preset '{full.name}' would train for {duration(seconds)} of one thread here."


def _per_step(summary: dict[str, Any]) -> float:
    return float(summary["train_seconds"]) / int(summary["steps"])
