"""The recipe's steps that train and roll out policies."""

from collections.abc import Callable

from trainer.config import CONDITIONINGS, Mode
from trainer.evaluation.results import Way, result_file
from trainer.model.modes import MODES
from trainer.recipe.presets import TaskPlan
from trainer.recipe.recipe_files import RecipeFiles
from trainer.recipe.step_runner import Step

WITHOUT_BASIS = Way(directions=0, hold=False)
"""Rollouts without the motion basis, and with chunks that may jump where they join."""


def pretrain_step(files: RecipeFiles, dataset: str, alone_on: str | None, after: Callable[[], None]) -> Step:
    """Stage 1.

    Args:
        files: of the run.
        dataset: path or URL of the trajectories.
        alone_on: what trainings must not share, if anything.
        after: called when it has finished.
    """
    recipe = files.recipe
    arguments = ["pretrain", "--resume", "--data", dataset, "--out", str(files.stage1)]
    arguments += _training(files, recipe.stage1_steps, recipe.stage1_batch, seed=0)
    return Step("stage1", tuple(arguments), files.stage1_checkpoint, alone_on=alone_on, after=after)


def basis_step(files: RecipeFiles, dataset: str, after: Callable[[], None]) -> Step:
    """The motion basis of the whole dataset, for the trainings that do not wait for Stage 1, which learns the same."""
    arguments = ("basis", "--data", dataset, "--out", str(files.basis))
    return Step("basis", arguments, files.basis, after=after)


def adapt_step(files: RecipeFiles, plan: TaskPlan, mode: Mode, seed: int, alone_on: str | None) -> Step:
    """Stage 2, of one task in one mode with one seed."""
    recipe, options, run = files.recipe, files.options, files.run(plan, mode, seed)
    arguments = ["adapt", "--resume", "--mode", mode, "--demos", str(files.demonstrations(plan)), "--out", str(run)]
    arguments += ["--count", str(plan.demonstrations)]
    arguments += [] if plan.pool is None else ["--draw", str(seed)]
    arguments += ["--observation-noise", str(recipe.observation_noise)] if recipe.observation_noise else []
    arguments += _training(files, plan.steps, recipe.batch, seed)
    needs = [] if options.demos is not None else [f"demonstrate-{plan.task}"]
    if plan.copies:
        copies = files.copies(plan, seed)
        arguments += ["--copies", str(copies), "--copies-share", str(recipe.copies_share)]
        needs.append(f"copies-{copies.stem}")
    allowed = {"--resample": options.resample, "--other-robot": options.other_robot}
    arguments += [flag for flag, on in allowed.items() if on]
    if MODES[mode].pretrained or any(allowed.values()):
        # Resampling goes by Stage 1's rate, in every mode.
        arguments += ["--stage1", str(files.stage1)]
        needs.append("stage1")
    else:
        # The same normalization and motion basis, without waiting for Stage 1: modes differ in nothing but what is
        # trained.
        arguments += ["--action-range", str(files.action_range), "--basis", str(files.basis)]
        needs.append("basis")
    done = files.checkpoint(plan, mode, seed)
    return Step(f"adapt-{run.name}", tuple(arguments), done, tuple(needs), alone_on=alone_on)


def evaluate_steps(files: RecipeFiles, plan: TaskPlan, mode: Mode, seed: int) -> list[Step]:
    """Rollouts of one policy, and where the recipe asks for them, once more without the motion basis."""
    run = files.run(plan, mode, seed)
    needs = (f"adapt-{run.name}",)
    arguments = ["evaluate", str(run), "--task", plan.task, "--episodes", str(files.recipe.episodes)]
    steps = [Step(f"evaluate-{run.name}", tuple(arguments), result_file(run), needs)]
    if files.recipe.without_basis:
        arguments += ["--directions", "0", "--no-hold"]
        done = result_file(run, WITHOUT_BASIS)
        steps.append(Step(f"evaluate-{run.name}-without", tuple(arguments), done, needs))
    return steps


def _training(files: RecipeFiles, steps: int, batch: int, seed: int) -> list[str]:
    """Arguments of a training of either stage."""
    recipe, options = files.recipe, files.options
    arguments = ["--head", recipe.head, "--size", recipe.size, "--conditioning", CONDITIONINGS[recipe.head][0]]
    arguments += ["--steps", str(steps), "--batch-size", str(batch), "--seed", str(seed)]
    arguments += ["--learning-rate", str(recipe.learning_rate)]
    return [*arguments, "--device", options.device, "--precision", options.precision]
