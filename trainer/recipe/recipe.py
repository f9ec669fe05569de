"""`make train-decoupled`: generate, pretrain while it is generated, demonstrate, adapt, roll out, report.

Every step is a command of `python -m trainer` that can be run by hand; see steps.py for how they run side by side,
and presets.py for what each preset does.
"""

import json
import os
import time
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from trainer.device import choose_device
from trainer.evaluation.results import result_file
from trainer.recipe import presets
from trainer.recipe.demonstration_steps import copy_steps, demonstrate_step
from trainer.recipe.machine import describe_machine
from trainer.recipe.own_demonstrations import with_demonstrations
from trainer.recipe.presets import Recipe
from trainer.recipe.recipe_files import RecipeFiles
from trainer.recipe.recipe_folder import keep_same, only_one
from trainer.recipe.recipe_options import RecipeOptions
from trainer.recipe.report import write_report
from trainer.recipe.service import Service
from trainer.recipe.step_runner import Step, run_steps
from trainer.recipe.summary import estimate, expert_success
from trainer.recipe.training_steps import WITHOUT_BASIS, adapt_step, basis_step, evaluate_steps, pretrain_step
from trainer.recipe.trajectories import Trajectories
from trainer.tensor_file import publish
from trainer.training.training_summary import training_summary


def train_decoupled(options: RecipeOptions, console: Console) -> Path:
    """Runs the recipe, going on where an earlier run of it stopped.

    Returns:
        The path of the report.

    Raises:
        HeadstartError: with what to do about it.
        KeyboardInterrupt: after every step has saved.
    """
    device = choose_device(options.device).type
    recipe = presets.recipe(options.preset, gpu=device == "cuda", head=options.head)
    if options.demos is not None:
        recipe = with_demonstrations(recipe, options.demos, console)
    folder = options.runs / (options.name or _name(recipe, options))
    with only_one(folder):
        keep_same(folder, {"recipe": asdict(recipe), **options.to_json()})
        # Of a GPU, two trainings would share the time and need twice the memory.
        return _Run(RecipeFiles(recipe, options, folder), console, None if device == "cpu" else device).run()


class _Run:
    """One run of a recipe: its files, its service and its steps."""

    def __init__(self, files: RecipeFiles, console: Console, alone_on: str | None) -> None:
        """With what trainings must not share, if anything."""
        self._files, self._console, self._alone_on = files, console, alone_on
        self._logs = files.folder / "logs"
        self._service = Service(files.options.store, self._logs / "service.log", console)

    def run(self) -> Path:
        """Everything, and the report."""
        started = time.monotonic()
        spent = self._files.folder / "seconds.json"
        earlier = float(json.loads(spent.read_text())) if spent.exists() else 0.0
        try:
            parallel = self._files.options.parallel or min(4, len(os.sched_getaffinity(0)))
            run_steps(self._steps(), self._logs, parallel, self._console)
        finally:
            self._service.stop()
            elapsed = earlier + time.monotonic() - started
            publish(spent, json.dumps(elapsed).encode())
        return self._report(elapsed)

    def _steps(self) -> list[Step]:
        """The steps; of those that are ready the first is started: a policy is rolled out as soon as it is trained."""
        files = self._files
        trajectories = Trajectories(files, self._service, self._console)
        pretrain = pretrain_step(files, trajectories.location, self._alone_on, trajectories.leave)
        own = files.options.demos is None
        # Plans of one task share what is collected for it.
        demonstrate = {files.demonstrations(plan): demonstrate_step(files, plan) for plan in files.recipe.tasks if own}
        basis = basis_step(files, trajectories.location, trajectories.leave)
        trainings = files.trainings()
        copied = {
            files.copies(plan, seed): copy_steps(files, plan, seed, self._service)
            for plan, _, seed in trainings
            if plan.copies
        }
        copy = [step for steps in copied.values() for step in steps]
        evaluate = [step for training in trainings for step in evaluate_steps(files, *training)]
        adapt = [adapt_step(files, *training, self._alone_on) for training in trainings]
        return [pretrain, *demonstrate.values(), basis, *copy, *evaluate, *adapt]

    def _report(self, seconds: float) -> Path:
        files, recipe = self._files, self._files.recipe
        demos = files.options.demos
        summary = {
            "recipe": asdict(recipe),
            "command": _command(files.options),
            "machine": describe_machine(),
            "seconds": seconds,
            "data": json.loads(files.dataset_summary.read_text()),
            "experts": [
                expert_success(path) for path in dict.fromkeys(map(files.demonstrations, recipe.tasks)) if demos is None
            ],
            "demos": demos
            and {"file": str(demos), "task": recipe.tasks[0].task, "count": recipe.tasks[0].demonstrations},
            "stage1": training_summary(files.stage1),
        }
        runs = [files.run(*training) for training in files.trainings()]
        if recipe.estimate_of is not None:
            summary["estimate"] = estimate(recipe, summary["stage1"], [training_summary(run) for run in runs])
            self._console.print(summary["estimate"])
        found = [result_file(run) for run in runs]
        if recipe.without_basis:
            found += [result_file(run, WITHOUT_BASIS) for run in runs]
        return write_report(files.folder, summary, found)


def _command(options: RecipeOptions) -> str:
    data = f" DATA={options.data}" if options.data else ""
    demos = f" DEMOS={options.demos}" if options.demos else ""
    given = {"PRESET": "preset", "HEAD": "head", "DEVICE": "device", "PRECISION": "precision"}
    changed = {
        name: getattr(options, field)
        for name, field in given.items()
        if getattr(options, field) != getattr(RecipeOptions, field)
    }
    settings = "".join(f" {name}={value}" for name, value in changed.items())
    return f"make train-decoupled{settings}{data}{demos}"


def _name(recipe: Recipe, options: RecipeOptions) -> str:
    """Folder name of a run: another head, other data and other demonstrations are other runs."""
    parts = [recipe.name]
    if recipe.head != RecipeOptions.head:
        parts.append(recipe.head)
    if options.data is not None:
        parts.append(Path(options.data).name[:12])
    if options.demos is not None:
        parts.append(options.demos.stem)
    return "-".join(parts)
