"""`make train-decoupled`: generate, pretrain while it is generated, demonstrate, adapt, roll out, report.

Every step is a command of `python -m trainer` that can be run by hand; see steps.py for how they run side by side,
and presets.py for what each preset does.
"""

import json
import os
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from shared.errors import ConfigError
from shared.manifest import DatasetHeader
from shared.remote_dataset import open_dataset
from trainer.config import CONDITIONINGS, Mode
from trainer.data.demonstrations import read_demonstrations
from trainer.data.demonstrations.formats.simulator import read_header
from trainer.data.normalization import ActionNormalizer
from trainer.device import choose_device
from trainer.evaluation.results import Way, result_file
from trainer.model.modes import MODES
from trainer.recipe import presets
from trainer.recipe.machine import describe_machine
from trainer.recipe.presets import Recipe, TaskPlan
from trainer.recipe.recipe_folder import keep_same, only_one
from trainer.recipe.recipe_options import RecipeOptions
from trainer.recipe.report import write_report
from trainer.recipe.service import Service
from trainer.recipe.steps import Step, run_steps
from trainer.recipe.summary import estimate, expert_success
from trainer.simulation.collect import EXPERT_VERSION
from trainer.simulation.robosuite_env import CONTROL_RATE_HZ
from trainer.simulation.robosuite_task import ROBOT
from trainer.simulation.task import task_names
from trainer.tensor_file import publish
from trainer.training.run_folder import RunFolder
from trainer.training.training_summary import training_summary

_WITHOUT = Way(directions=0, hold=False)
"""Rollouts without the motion basis, and with chunks that may jump where they join."""


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
        recipe = _with_demonstrations(recipe, options.demos, console)
    folder = options.runs / (options.name or _name(recipe, options))
    settings = {
        "recipe": asdict(recipe),
        "data": options.data,
        "demos": options.demos and str(options.demos),
        "resample": options.resample,
        "other_robot": options.other_robot,
        "device": options.device,
        "precision": options.precision,
    }
    with only_one(folder):
        keep_same(folder, settings)
        # Of a GPU, two trainings would share the time and need twice the memory.
        return _Run(recipe, options, folder, console, alone_on=None if device == "cpu" else device).run()


class _Run:
    """One run of a recipe: its folder, its service and its steps."""

    def __init__(
        self, recipe: Recipe, options: RecipeOptions, folder: Path, console: Console, *, alone_on: str | None = None
    ) -> None:
        """With what trainings must not share, if anything."""
        self.recipe, self.options, self.folder, self.console = recipe, options, folder, console
        self.alone_on = alone_on
        self._data = ""
        self.service = Service(options.store, folder / "logs" / "service.log", console)

    def run(self) -> Path:
        """Everything, and the report."""
        started = time.monotonic()
        spent = self.folder / "seconds.json"
        earlier = float(json.loads(spent.read_text())) if spent.exists() else 0.0
        try:
            parallel = self.options.parallel or min(4, len(os.sched_getaffinity(0)))
            run_steps(self._steps(), self.folder / "logs", parallel, self.console)
        finally:
            self.service.stop()
            elapsed = earlier + time.monotonic() - started
            publish(spent, json.dumps(elapsed).encode())
        return self._report(elapsed)

    def _steps(self) -> list[Step]:
        """In order of preference among those that are ready: a policy is rolled out as soon as it is trained."""
        pretrain = self._pretrain()
        own = self.options.demos is None
        # Plans of one task share what is collected for it.
        demonstrate = {self._demonstrations(plan): self._demonstrate(plan) for plan in self.recipe.tasks if own}
        runs = self._runs()
        copied = {self._copies_file(plan, seed): self._copy(plan, seed) for plan, _, seed in runs if plan.copies}
        copy = [step for steps in copied.values() for step in steps]
        evaluate = [step for run in runs for step in self._evaluate(*run)]
        return [pretrain, *demonstrate.values(), self._basis(), *copy, *evaluate, *(self._adapt(*run) for run in runs)]

    def _runs(self) -> list[tuple[TaskPlan, Mode, int]]:
        """Task, mode and seed of each training, seed by seed: a run that is ended early has whole seeds."""
        plans = self.recipe.tasks
        return [(plan, mode, seed) for seed in self.recipe.seeds for plan in plans for mode in plan.modes]

    def _pretrain(self) -> Step:
        run, recipe = self.folder / "stage1", self.recipe
        done = RunFolder(run).checkpoint(recipe.stage1_steps)
        # A finished Stage 1 needs no service any more, unless it was ended just before it was asked for its figures.
        left = done.exists() and self._data_summary.exists() and self._basis_file.exists()
        self._data = data = "" if left else self._dataset()
        if data:
            self._leave_dataset(done)
        arguments = ["pretrain", "--resume", "--data", data, "--out", str(run)]
        arguments += self._training(recipe.stage1_steps, recipe.stage1_batch, seed=0)
        return Step("stage1", tuple(arguments), done, alone_on=self.alone_on, after=lambda: self._leave_dataset(done))

    @property
    def _basis_file(self) -> Path:
        return self.folder / "motion_basis.json"

    def _basis(self) -> Step:
        """Of the whole dataset, for the trainings that do not wait for Stage 1, which learns the same."""
        arguments = ("basis", "--data", self._data, "--out", str(self._basis_file))
        stage1 = RunFolder(self.folder / "stage1").checkpoint(self.recipe.stage1_steps)
        return Step("basis", arguments, self._basis_file, after=lambda: self._leave_dataset(stage1))

    def _dataset(self) -> str:
        """Path or URL of the trajectories. Writes action_range.json, which every training shares."""
        data = self.options.data or self._submit()
        header = open_dataset(data, cache=self.folder / "shards").header
        self._check_fits(header)
        publish(self.folder / "action_range.json", json.dumps(header.action_range).encode())
        return data

    def _check_fits(self, header: DatasetHeader) -> None:
        """Refuses demonstrations that Stage 2 could not use, before hours of Stage 1. Raises ConfigError."""
        robot, rate_hz, demos = ROBOT, CONTROL_RATE_HZ, self.options.demos
        if demos is not None:
            demonstrations = read_demonstrations(demos)
            robot, rate_hz = demonstrations.robot, demonstrations.rate_hz
            actions = np.concatenate([episode.actions for episode in demonstrations.episodes])
            ActionNormalizer(header.action_range).check(actions, f"the demonstrations of {demos}")
        if robot != header.robot.name and not self.options.other_robot:
            raise ConfigError(
                f"the demonstrations are of robot '{robot}', the trajectories of '{header.robot.name}'; generate "
                "trajectories of that robot, or pass --other-robot if its poses mean the same"
            )
        if rate_hz != header.rate_hz and not self.options.resample:
            raise ConfigError(
                f"the demonstrations are at {rate_hz:g} Hz, the trajectories at {header.rate_hz:g} Hz; pass --resample "
                "to interpolate the demonstrations, or generate trajectories at their rate"
            )

    def _leave_dataset(self, stage1: Path) -> None:
        """Keeps what the report says of the dataset, and ends the service if this run started it.

        Once nothing needs it any more: Stage 1 is done, and so is the motion basis.
        """
        if not (stage1.exists() and self._basis_file.exists()):
            return
        source = open_dataset(self._data, cache=self.folder / "shards")
        totals = source.state().commits.totals()
        summary = {
            "dataset_id": source.header.dataset_id,
            "robot": source.header.robot.name,
            "rate_hz": source.header.rate_hz,
            **{name: getattr(totals, name) for name in ("rows", "samples", "attempts", "rejections")},
        }
        publish(self._data_summary, json.dumps(summary).encode())
        if not any(plan.copies for plan in self.recipe.tasks):
            self.service.stop()

    @property
    def _data_summary(self) -> Path:
        return self.folder / "data.json"

    def _submit(self) -> str:
        """Submits the trajectory request; submitting it again finds the same job."""
        request = presets.trajectory_request(self.recipe)
        (self.folder / "request.json").write_text(json.dumps(request, indent=1))
        with self.service.client() as client:
            job = client.submit(request)
        url = f"{self.service.url}/v1/jobs/{job['id']}"
        text = f"[bold]dataset[/bold] {request['count']:,} trajectories: {url} ({job['state']})"
        self.console.print(text, soft_wrap=True)
        return url

    def _demonstrations(self, plan: TaskPlan) -> Path:
        if self.options.demos is not None:
            return self.options.demos
        # Those of an older expert stay, and are not mixed up with what this release would collect.
        name = f"{plan.task}-{plan.collected}-expert{EXPERT_VERSION}.hdf5"
        return self.options.store / "demonstrations" / name

    def _demonstrate(self, plan: TaskPlan) -> Step:
        path = self._demonstrations(plan)
        arguments = ("demonstrate", "--task", plan.task, "--successes", str(plan.collected), "--out", str(path))
        return Step(f"demonstrate-{plan.task}", arguments, path)

    def _motions_file(self, plan: TaskPlan, seed: int) -> Path:
        drawn = "" if plan.pool is None else f"-{seed}"
        return self.folder / "copies" / f"{plan.task}-{plan.demonstrations}{drawn}.motions.parquet"

    def _copies_file(self, plan: TaskPlan, seed: int) -> Path:
        drawn = "" if plan.pool is None else f"-{seed}"
        return self.folder / "copies" / f"{plan.task}-{plan.demonstrations}{drawn}-{plan.copies}.json"

    def _copy(self, plan: TaskPlan, seed: int) -> list[Step]:
        """Takes the motions out of the demonstrations, and asks the service for copies of them."""
        motions, copies = self._motions_file(plan, seed), self._copies_file(plan, seed)
        arguments = [
            "motions",
            str(self._demonstrations(plan)),
            "--count",
            str(plan.demonstrations),
            "--out",
            str(motions),
        ]
        arguments += [] if plan.pool is None else ["--draw", str(seed)]
        needs = (f"demonstrate-{plan.task}",) if self.options.demos is None else ()
        name = copies.stem
        trained = [
            RunFolder(self._folder_of(plan, mode, seed)).checkpoint(plan.steps).exists()
            for own, mode, other in self._runs()
            if (own, other) == (plan, seed)
        ]
        url = ""
        if not all(trained):
            # It may listen elsewhere now; asked again, it finds what it has made.
            copies.unlink(missing_ok=True)
            self.service.client().close()
            url = self.service.url
        ask = ("copies", str(motions), "--count", str(plan.copies), "--service", url, "--out", str(copies))
        return [
            Step(f"motions-{name}", tuple(arguments), motions, needs),
            Step(f"copies-{name}", ask, copies, (f"motions-{name}",)),
        ]

    def _training(self, steps: int, batch: int, seed: int) -> list[str]:
        """Arguments of a training of either stage."""
        recipe, options = self.recipe, self.options
        arguments = ["--head", recipe.head, "--size", recipe.size, "--conditioning", CONDITIONINGS[recipe.head][0]]
        arguments += ["--steps", str(steps), "--batch-size", str(batch), "--seed", str(seed)]
        arguments += ["--learning-rate", str(recipe.learning_rate)]
        return [*arguments, "--device", options.device, "--precision", options.precision]

    def _folder_of(self, plan: TaskPlan, mode: Mode, seed: int) -> Path:
        alone = sum(other.task == plan.task for other in self.recipe.tasks) == 1
        of = "" if alone else f"-{plan.demonstrations}" + (f"-copies{plan.copies}" if plan.copies else "")
        return self.folder / f"{plan.task}{of}-{mode}-{seed}"

    def _adapt(self, plan: TaskPlan, mode: Mode, seed: int) -> Step:
        run = self._folder_of(plan, mode, seed)
        arguments = ["adapt", "--resume", "--mode", mode, "--demos", str(self._demonstrations(plan)), "--out", str(run)]
        arguments += ["--count", str(plan.demonstrations)]
        arguments += [] if plan.pool is None else ["--draw", str(seed)]
        noise = self.recipe.observation_noise
        arguments += ["--observation-noise", str(noise)] if noise else []
        arguments += self._training(plan.steps, self.recipe.batch, seed)
        needs = [] if self.options.demos is not None else [f"demonstrate-{plan.task}"]
        if plan.copies:
            copies = self._copies_file(plan, seed)
            arguments += ["--copies", str(copies), "--copies-share", str(self.recipe.copies_share)]
            needs.append(f"copies-{copies.stem}")
        allowed = {"--resample": self.options.resample, "--other-robot": self.options.other_robot}
        arguments += [flag for flag, on in allowed.items() if on]
        if MODES[mode].pretrained or any(allowed.values()):
            # Resampling goes by Stage 1's rate, in every mode.
            arguments += ["--stage1", str(self.folder / "stage1")]
            needs.append("stage1")
        else:
            # The same normalization and motion basis, without waiting for Stage 1: modes differ in nothing but what is
            # trained.
            arguments += ["--action-range", str(self.folder / "action_range.json"), "--basis", str(self._basis_file)]
            needs.append("basis")
        done = RunFolder(run).checkpoint(plan.steps)
        return Step(f"adapt-{run.name}", tuple(arguments), done, tuple(needs), alone_on=self.alone_on)

    def _evaluate(self, plan: TaskPlan, mode: Mode, seed: int) -> list[Step]:
        run, needs = self._folder_of(plan, mode, seed), (f"adapt-{self._folder_of(plan, mode, seed).name}",)
        arguments = ["evaluate", str(run), "--task", plan.task, "--episodes", str(self.recipe.episodes)]
        steps = [Step(f"evaluate-{run.name}", tuple(arguments), result_file(run), needs)]
        if self.recipe.without_basis:
            arguments += ["--directions", "0", "--no-hold"]
            done = result_file(run, _WITHOUT)
            steps.append(Step(f"evaluate-{run.name}-without", tuple(arguments), done, needs))
        return steps

    def _report(self, seconds: float) -> Path:
        recipe, own = self.recipe, self.options.demos is None
        summary = {
            "recipe": asdict(recipe),
            "command": _command(self.options),
            "machine": describe_machine(),
            "seconds": seconds,
            "data": json.loads(self._data_summary.read_text()),
            "experts": [expert_success(path) for path in dict.fromkeys(map(self._demonstrations, recipe.tasks)) if own],
            "demos": None if own else {"file": str(self.options.demos), **_first_task(recipe)},
            "stage1": training_summary(self.folder / "stage1"),
        }
        runs = [self._folder_of(*run) for run in self._runs()]
        if recipe.estimate_of is not None:
            summary["estimate"] = estimate(recipe, summary["stage1"], [training_summary(run) for run in runs])
            self.console.print(summary["estimate"])
        found = [result_file(run) for run in runs]
        if recipe.without_basis:
            found += [result_file(run, _WITHOUT) for run in runs]
        return write_report(self.folder, summary, found)


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


def _first_task(recipe: Recipe) -> dict[str, Any]:
    return {"task": recipe.tasks[0].task, "count": recipe.tasks[0].demonstrations}


def _with_demonstrations(recipe: Recipe, demos: Path, console: Console) -> Recipe:
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
