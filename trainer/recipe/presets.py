"""The recipes of `make train-decoupled`: what is generated, trained and rolled out, as data."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from shared.errors import ConfigError
from trainer.config import HeadName, Mode

TABLE = ((0.30, -0.30, -0.12), (0.80, 0.30, 0.30))
"""The table of robosuite's tabletop tasks as the Panda's base sees it [m], down to the table top at z = -0.112."""


@dataclass(frozen=True)
class TaskPlan:
    """One task of a recipe.

    Attributes:
        task: of the simulator.
        demonstrations: successful ones to collect.
        steps: of Stage 2, and of the normal baseline.
        modes: trained on it.
        pool: demonstrations to collect, of which the seed of each training draws its own; None collects no more than
            are used, and all seeds use the same.
        copies: of the demonstrations, by kinematics, to train on beside them; 0 for none.
    """

    task: str
    demonstrations: int
    steps: int
    modes: tuple[Mode, ...] = ("decoupled", "normal")
    pool: int | None = None
    copies: int = 0

    @property
    def collected(self) -> int:
        """Demonstrations to collect."""
        return self.demonstrations if self.pool is None else self.pool


@dataclass(frozen=True)
class Recipe:
    """Everything one run of `make train-decoupled` does.

    Attributes:
        name: of the preset.
        trajectories: rows of the generated dataset.
        shard_rows: rows of a shard; smaller ones arrive sooner.
        size: of the head.
        batch: windows in a training batch.
        stage1_steps: gradient steps of Stage 1.
        tasks: what is adapted to.
        seeds: one training run of each task and mode for each.
        episodes: rollouts of each trained policy.
        learning_rate: peak of the cosine schedule.
        stage1_batch: windows in a batch of Stage 1.
        observation_noise: of Stage 2's training, AdaptConfig's.
        copies_share: of Stage 2's batches, where there are copies, AdaptConfig's.
        without_basis: roll each policy out a second time, without motion basis and with chunks that do not join.
        box: corners, least and greatest, of the box that the trajectories go through [m].
        head: of every training.
        estimate_of: the recipe that this one is a few steps of, in order to estimate it.
    """

    name: str
    trajectories: int
    shard_rows: int
    size: str
    batch: int
    stage1_steps: int
    tasks: tuple[TaskPlan, ...]
    seeds: tuple[int, ...] = (0,)
    episodes: int = 100
    learning_rate: float = 1e-3
    stage1_batch: int = 128
    observation_noise: float = 0.0
    copies_share: float = 0.75
    without_basis: bool = False
    box: tuple[tuple[float, float, float], tuple[float, float, float]] = TABLE
    head: HeadName = "dp_mlp"
    estimate_of: "Recipe | None" = None


def trajectory_request(recipe: Recipe) -> dict[str, Any]:
    """The request of a recipe: slow motions with gripper events between poses above a table, gripper down.

    Speeds are those of people and scripted experts, far below the arm's limits.
    """
    return {
        "robot": "panda",
        "count": recipe.trajectories,
        "seed": 0,
        "rate_hz": 20.0,
        "families": {"via_points": 1.0},
        "workspace": {
            "kind": "box",
            "min": list(recipe.box[0]),
            "max": list(recipe.box[1]),
            "orientation": {"kind": "cone", "axis": [0, 0, -1], "angle_deg": 30},
        },
        "tool_speed": [0.10, 0.35],
        "shard_rows": recipe.shard_rows,
    }


def quick() -> Recipe:
    """Stack from 25 demonstrations, with and without copies of them, on two CPU cores in under 25 minutes."""
    return Recipe(
        "quick",
        trajectories=20_000,
        shard_rows=1024,
        size="small",
        batch=128,
        stage1_steps=4000,
        tasks=(TaskPlan("stack", 25, 2000, pool=50, copies=3000), TaskPlan("stack", 25, 2000, pool=50)),
        observation_noise=0.02,
    )


def tiny() -> Recipe:
    """Every real part in under two minutes, with no claim about success: for tests, compose and CI."""
    return Recipe(
        "tiny",
        trajectories=512,
        shard_rows=128,
        size="small",
        batch=16,
        stage1_batch=32,
        stage1_steps=20,
        tasks=(TaskPlan("lift", 4, 20), TaskPlan("lift", 4, 20, ("decoupled",), copies=64)),
        episodes=2,
    )


def hundreds() -> Recipe:
    """Stack and Lift from hundreds of demonstrations, without copies, in under 25 minutes of two CPU cores."""
    return Recipe(
        "hundreds",
        trajectories=20_000,
        shard_rows=1024,
        size="small",
        batch=128,
        stage1_steps=4000,
        tasks=(TaskPlan("stack", 300, 4000), TaskPlan("lift", 100, 1000)),
    )


def cpu() -> Recipe:
    """Stack with three seeds and both controls, for a few hours of two cores."""
    modes: tuple[Mode, ...] = ("decoupled", "normal", "random_body", "random_frozen")
    return Recipe(
        "cpu",
        trajectories=50_000,
        shard_rows=2048,
        size="small",
        batch=128,
        stage1_steps=3500,
        tasks=(TaskPlan("stack", 300, 4000, modes),),
        seeds=(0, 1, 2),
    )


def few() -> Recipe:
    """Stack from few demonstrations, and from copies of them: three seeds, each with demonstrations of its own."""
    modes: tuple[Mode, ...] = ("decoupled", "normal", "random_body", "pretrained_body")
    alone = tuple(TaskPlan("stack", count, 2000, modes, pool=300) for count in (25, 50))
    copied = tuple(TaskPlan("stack", count, 2000, pool=300, copies=3000) for count in (25, 10, 3))
    return Recipe(
        "few",
        trajectories=20_000,
        shard_rows=1024,
        size="small",
        batch=128,
        stage1_steps=4000,
        tasks=alone + copied,
        seeds=(0, 1, 2),
        observation_noise=0.02,
        without_basis=True,
    )


def tasks() -> Recipe:
    """Three more tasks from 25 demonstrations each, with and without copies: nothing is tuned to two cubes."""
    # After 2,000 steps the longer ones are still centimetres off.
    steps = {"can": 2000, "square": 6000, "stack_three": 6000}
    copied = tuple(TaskPlan(task, 25, count, pool=100, copies=3000) for task, count in steps.items())
    return Recipe(
        "tasks",
        trajectories=20_000,
        shard_rows=1024,
        size="small",
        batch=128,
        stage1_steps=4000,
        tasks=copied + tuple(replace(plan, copies=0) for plan in copied),
        # One: with three it would take two cores a day.
        seeds=(0,),
        observation_noise=0.02,
        # The bins of Can reach farther to the left.
        box=(TABLE[0], (0.80, 0.50, 0.30)),
    )


def paper() -> Recipe:
    """The paper's sizes and steps (facts 1.4 and 4): a GPU's work. Without one, 20 steps and an estimate."""
    modes: tuple[Mode, ...] = ("decoupled", "normal", "random_body", "random_frozen")
    return Recipe(
        "paper",
        trajectories=200_000,
        shard_rows=2048,
        size="paper",
        batch=64,
        stage1_batch=256,
        stage1_steps=45_000,
        learning_rate=1e-4,
        tasks=(TaskPlan("stack", 1000, 79_000, modes),),
        seeds=(0, 42, 420),
        episodes=50,
    )


_PRESETS: dict[str, Callable[[], Recipe]] = {
    "quick": quick, "tiny": tiny, "few": few, "tasks": tasks, "hundreds": hundreds, "cpu": cpu, "paper": paper
}  # fmt: skip
NAMES = tuple(_PRESETS)
"""Of the presets."""


def recipe(name: str, *, gpu: bool, head: HeadName = "dp_mlp") -> Recipe:
    """The recipe called `name`, for a head, with a GPU or without. Raises ConfigError for a name that is none."""
    if name not in _PRESETS:
        raise ConfigError(f"unknown preset '{name}'; choose one of {', '.join(_PRESETS)}")
    chosen = replace(_PRESETS[name](), head=head)
    if name == "paper" and not gpu:
        return without_gpu(chosen)
    return chosen


def without_gpu(full: Recipe) -> Recipe:
    """Twenty steps of each training, one seed, two rollouts: enough to see it run and to estimate the whole."""
    tasks = tuple(replace(task, demonstrations=20, steps=20) for task in full.tasks)
    return replace(
        full,
        trajectories=2048,
        shard_rows=512,
        stage1_steps=20,
        tasks=tasks,
        seeds=full.seeds[:1],
        episodes=2,
        estimate_of=full,
    )
