"""Demonstrations of an expert in a task that isn't robosuite's: a file in robomimic's layout, and its mapping.

data/demo_i    attrs: num_samples, seed
  actions [T, width] float32     a policy's actions, `ee_pose` or `joint_position`
  obs/<key> [T, width] float32, obs/<camera> [T, H, W, 3] uint8
mask/train, mask/valid
"""

import json
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from shared.errors import ConfigError, SimulationError
from trainer.data.demonstrations.episode import is_validation
from trainer.data.demonstrations.mapping.mapping_file import toml
from trainer.progress import Progress, silent
from trainer.simulation.isolated import PATIENCE_S, IsolatedTask
from trainer.simulation.robosuite_task import RobosuiteTask
from trainer.simulation.task import ONLOOKER, EnvironmentFault, Task, is_file, load_task
from trainer.simulation.watched_episode import Seen, WatchedEpisode, all_parts


@dataclass(frozen=True, eq=False)
class Recorded:
    """An attempt of T control steps.

    Attributes:
        seed: of the episode.
        success: whether the task was done.
        actions: (T, width).
        observations: (T, numbers), all keys joined.
        pictures: of each camera (T, height, width, 3).
        fault: what was wrong with the environment, where that ended it.
    """

    seed: int
    success: bool
    actions: NDArray[np.float32]
    observations: NDArray[np.float32]
    pictures: dict[str, NDArray[np.uint8]]
    fault: str | None = None


def is_robosuites(text: str) -> bool:
    """Whether `--task` names a task of robosuite, whose demonstrations are kept as `collect` does."""
    return not is_file(text) and isinstance(load_task(text), RobosuiteTask)


def record(
    text: str,
    path: Path,
    successes: int,
    *,
    first_seed: int = 0,
    workers: int = 1,
    cameras: Sequence[str] | None = None,
    size: tuple[int, int] = (84, 84),
    patience_s: float = PATIENCE_S,
    progress: Progress = silent,
) -> Path:
    """Writes demonstrations of the task's expert and their mapping; the file appears only when it is whole.

    Args:
        text: the task, as --task names it.
        path: the HDF5 file to make; one that is there is left as it is.
        successes: how many; attempts that fail are not kept.
        first_seed: seed of the first attempt; the next one's follows it.
        workers: processes; the file is the same for any number.
        cameras: those whose pictures are kept; None for all.
        size: height and width of the pictures.
        patience_s: how long an environment may take to begin an episode, or for a step.
        progress: told of each success.

    Returns:
        The mapping's path.

    Raises:
        SimulationError: there is no such task, it has no expert, or that fails so often that this would not end.
        ConfigError: the task has no such camera.
    """
    mapping = path.with_suffix(".toml")
    if path.exists() and mapping.exists():
        return mapping
    task = IsolatedTask(text, patience_s)
    try:
        if not task.has_expert:
            raise SimulationError(
                f"task '{task.name}' has no expert that could demonstrate it: give it one (docs/own-environment.md), "
                "or adapt to demonstrations that you have"
            )
        own = [name for name in task.cameras if name != ONLOOKER]
        kept = list(own if cameras is None else cameras)
        for name in kept:
            if name not in own:
                raise ConfigError(
                    f"--cameras: task '{task.name}' has no camera '{name}'; it has {', '.join(own) or 'none'}"
                )
        seen = Seen(all_parts(task), {name: name for name in kept}, dict.fromkeys(kept, size))
        with ThreadPoolExecutor(workers) as pool:
            made = _attempts(task, seen, first_seed, workers, pool)
            _write(path, task, successes, made, progress)
        mapping.write_text(_mapping(task, kept))
    finally:
        task.close()
    return mapping


def _attempts(task: IsolatedTask, seen: Seen, first: int, workers: int, pool: ThreadPoolExecutor) -> Iterator[Recorded]:
    """Attempts at the seeds from the first on, in their order, without end."""
    for start in count(first, workers):
        yield from pool.map(lambda seed: _attempt(task, seen, seed), range(start, start + workers))


def _attempt(task: IsolatedTask, seen: Seen, seed: int) -> Recorded:
    episode = WatchedEpisode(task, seed, 1, seen, None)
    actions: list[NDArray[np.float32]] = []
    observations: list[NDArray[np.float32]] = []
    pictures: dict[str, list[NDArray[np.uint8]]] = {name: [] for name in seen.cameras}
    success, fault = False, None
    try:
        episode.begin()
        for action in task.expert(episode.running):
            _require_action(action, task)
            observations.append(episode.observations[-1])
            for name, kept in pictures.items():
                kept.append(episode.pictures[name][-1])
            actions.append(action.astype(np.float32))
            episode.step(actions[-1])
            success = episode.succeeded()
            if success or episode.over() or len(actions) == task.episode_limit:
                break
            episode.look(0)
    except EnvironmentFault as problem:
        success, fault = False, str(problem)
    finally:
        episode.close()
    if not success:
        nothing = np.zeros(0, np.float32)
        return Recorded(seed, False, nothing, nothing, {}, fault)
    stacked = {name: np.stack(kept) for name, kept in pictures.items()}
    return Recorded(seed, True, np.stack(actions), np.stack(observations), stacked)


def _require_action(action: NDArray[Any], task: Task) -> None:
    if action.shape != (task.action_width,) or not np.isfinite(action).all():
        raise EnvironmentFault(f"the expert's action {action.tolist()} is not {task.action_width} finite numbers")


def _write(path: Path, task: Task, successes: int, made: Iterator[Recorded], progress: Progress) -> None:
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    masks: dict[str, list[str]] = {"train": [], "valid": []}
    try:
        with h5py.File(unfinished, "w") as file:
            data = file.create_group("data")
            data.attrs["env_args"] = json.dumps({"env_name": task.name, "env_kwargs": {}})
            for done, one in enumerate(_succeeded(made, successes, task, progress)):
                _add(data.create_group(f"demo_{done}"), one, task)
                masks["valid" if is_validation(done) else "train"].append(f"demo_{done}")
            for mask, names in masks.items():
                file[f"mask/{mask}"] = np.array(names, dtype="S")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _succeeded(made: Iterator[Recorded], successes: int, task: Task, progress: Progress) -> Iterator[Recorded]:
    """So many that succeeded. Raises SimulationError where too few do."""
    done, fault = 0, None
    for attempts, one in enumerate(made, 1):
        fault = one.fault or fault
        if one.success:
            yield one
            done += 1
        progress(done, successes, f"{done} of {attempts} attempts succeeded")
        if done == successes:
            return
        if attempts == 3 * successes + 20:
            also = f"; a fault of the environment was: {fault}" if fault else ""
            raise SimulationError(
                f"the expert of '{task.name}' succeeded in {done} of {attempts} attempts: too few{also}"
            )


def _add(demo: h5py.Group, one: Recorded, task: Task) -> None:
    demo.attrs["num_samples"], demo.attrs["seed"] = len(one.actions), one.seed
    demo["actions"] = one.actions
    ends = np.cumsum(list(task.observation_widths.values()))[:-1]
    for key, values in zip(task.observation_widths, np.split(one.observations, ends, axis=1), strict=True):
        demo[f"obs/{key}"] = values
    for name, pictures in one.pictures.items():
        demo[f"obs/{name}"] = pictures


def _mapping(task: Task, cameras: Sequence[str]) -> str:
    last = task.action_width - 1
    motion = (
        {
            "action.position": {"columns": "actions[0:3]"},
            "action.rotation": {"columns": "actions[3:9]", "encoding": "rot6d"},
        }
        if task.action == "ee_pose"
        else {"action.joint_position": {"columns": f"actions[0:{last}]"}}
    )
    return toml(
        {"task": task.name, "robot": task.robot, "rate_hz": task.rate_hz},
        {
            "action": {"space": task.action},
            **motion,
            "action.gripper": {"columns": f"actions[{last}]", "open": -1.0, "closed": 1.0},
            "observation": {
                "low_dim": [f"obs/{key}" for key in task.observation_widths],
                "cameras": [f"obs/{name}" for name in cameras],
            },
        },
    )
