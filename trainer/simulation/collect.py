"""Collecting demonstrations: scripted experts attempt seed after seed until enough attempts have succeeded."""

import multiprocessing
import signal
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import numpy as np

from shared.errors import DemonstrationError, SimulationError
from trainer.data.demonstrations.formats.simulator import Header, count_attempts, read_header
from trainer.poses import Pose
from trainer.progress import Progress, silent
from trainer.simulation.observation import Observation, observation_widths
from trainer.simulation.recording import Attempt, create_demonstrations
from trainer.simulation.robosuite_env import CONTROL_RATE_HZ
from trainer.simulation.robosuite_task import ROBOT, RobosuiteTask
from trainer.simulation.scene import load_scene, robosuite_arguments
from trainer.simulation.task import find_task

# Raised whenever an expert, the observation or the reset changes: a file made before is not what a new one would be.
EXPERT_VERSION = 4

# An attempt succeeds when the simulator's check has held for this many control steps; it ends there.
_HOLD_STEPS = 5


def attempt(task: RobosuiteTask, seed: int) -> Attempt:
    """One attempt of the task's expert in the episode of a seed."""
    environment = task.begin(seed)
    if task.expert is None:
        raise SimulationError(f"task '{task.name}' has no expert; record demonstrations of it in another way")
    observations: list[Observation] = []
    states, actions, succeeded = [], [], []
    held = 0
    for action in task.expert(environment):
        observations.append(environment.observation())
        states.append(environment.state())
        actions.append(action)
        environment.step(action)
        succeeded.append(environment.succeeded())
        held = held + 1 if succeeded[-1] else 0
        if held == _HOLD_STEPS or len(actions) == task.episode_limit:
            break
    return Attempt(
        seed=seed,
        success=held == _HOLD_STEPS,
        observations={key: np.stack([one[key] for one in observations]) for key in observations[0]},
        actions=np.stack(actions),
        states=np.stack(states),
        succeeded=np.array(succeeded),
    )


def collect(
    task_name: str,
    path: Path | str,
    *,
    first_seed: int = 0,
    successes: int | None = None,
    attempts: int | None = None,
    workers: int = 1,
    progress: Progress = silent,
) -> Path:
    """Makes a file of demonstrations, or leaves the one at `path` if it already has what is asked, or more.

    Seeds first_seed, first_seed + 1, ... are attempted until `successes` have succeeded or `attempts` have been made;
    give one of the two. The file is the same whatever the number of worker processes, and appears only when complete.

    Args:
        task_name: as --task names it; robosuite's.
        path: the HDF5 file to make.
        first_seed: seed of the first attempt.
        successes: how many successful demonstrations to collect.
        attempts: how many attempts to make.
        workers: processes; 1 works in this one.
        progress: told after each attempt how many of the asked are done.

    Raises:
        SimulationError: no such task, or the expert fails so often that this would not end.
        DemonstrationError: there is another file at `path`.
    """
    asked = _checked_request(first_seed, successes, attempts, workers)
    task, path = find_task(task_name), Path(path)
    if path.exists():
        if satisfies(path, task.name, first_seed=first_seed, successes=successes, attempts=attempts):
            return path
        raise DemonstrationError(
            f"has {_contents(path)}, which isn't what was asked for; delete it or give another path", path
        )
    scene = load_scene(task)
    header = _header(task, first_seed)
    most = attempts if attempts is not None else 3 * asked + 20
    with (
        create_demonstrations(path, header, robosuite_arguments(task), scene.model_xml()) as writer,
        _attempts(task_name, first_seed, workers) as made,
    ):
        done = 0
        while done < asked:
            if writer.attempts == most:
                raise SimulationError(
                    f"the expert of '{task_name}' succeeded in {writer.successes} of {most} attempts: too few"
                )
            writer.add(next(made))
            done = writer.attempts if successes is None else writer.successes
            progress(done, asked, f"{writer.successes} of {writer.attempts} attempts succeeded")
    return path


def _checked_request(first_seed: int, successes: int | None, attempts: int | None, workers: int) -> int:
    """How many successes or attempts are asked for."""
    if (successes is None) == (attempts is None):
        raise SimulationError("say either how many successes or how many attempts to collect")
    asked = successes if successes is not None else attempts
    if asked is None or asked < 1 or workers < 1 or first_seed < 0:
        raise SimulationError(
            f"successes or attempts ({asked}) and workers ({workers}) must be at least 1, "
            f"first_seed ({first_seed}) at least 0"
        )
    return asked


def _contents(path: Path) -> str:
    header = read_header(path)
    succeeded, failed = count_attempts(path)
    return (
        f"{succeeded} demonstrations of '{header.task}' from {succeeded + failed} attempts, seeds from "
        f"{header.first_seed} on, by version {header.expert_version} of the experts (this is {EXPERT_VERSION})"
    )


def satisfies(
    path: Path | str,
    task_name: str,
    *,
    first_seed: int = 0,
    successes: int | None = None,
    attempts: int | None = None,
) -> bool:
    """Whether `path` is a complete file that `collect` with these arguments would leave as it is.

    More than asked is enough: `read_demonstrations(path, count)` gives what would have been collected.

    Raises:
        DemonstrationError: there is a file, but not one of ours.
    """
    path = Path(path)
    if not path.exists():
        return False
    header = read_header(path)
    succeeded, failed = count_attempts(path)
    return (
        (header.task, header.first_seed, header.expert_version) == (task_name, first_seed, EXPERT_VERSION)
        and succeeded >= (successes or 0)
        and succeeded + failed >= (attempts or 0)
    )


def _header(task: RobosuiteTask, first_seed: int) -> Header:
    frames = load_scene(task).frames
    return Header(
        task=task.name,
        robot=ROBOT,
        rate_hz=CONTROL_RATE_HZ,
        action_label="command",
        observation_widths=observation_widths(task),
        world_base=_homogeneous(frames.world_base),
        site_tcp=_homogeneous(frames.site_tcp),
        first_seed=first_seed,
        expert_version=EXPERT_VERSION,
        yaw_symmetry={thing.name: thing.yaw_symmetry for thing in task.objects},
    )


def _homogeneous(pose: Pose) -> list[list[float]]:
    matrix = np.eye(4)
    matrix[:3, 3], matrix[:3, :3] = pose
    values: list[list[float]] = matrix.tolist()
    return values


@contextmanager
def _attempts(task_name: str, first_seed: int, workers: int) -> Iterator[Iterator[Attempt]]:
    """Attempts at the seeds from first_seed on, in their order, without end."""
    if workers == 1:
        yield (attempt(find_task(task_name), seed) for seed in count(first_seed))
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_ignore_interrupt)
    try:
        yield _in_order(pool, task_name, first_seed, 2 * workers)
    except BrokenProcessPool as error:
        raise SimulationError("a worker process that was collecting demonstrations died; run again") from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _in_order(pool: ProcessPoolExecutor, task_name: str, first_seed: int, ahead: int) -> Iterator[Attempt]:
    waiting: deque[Future[Attempt]] = deque()
    for seed in count(first_seed):
        waiting.append(pool.submit(_attempt_named, task_name, seed))
        if len(waiting) > ahead:
            yield waiting.popleft().result()


def _attempt_named(task_name: str, seed: int) -> Attempt:
    """The attempt, in a worker, which finds the task by its name: what a user's task is made of need not be pickled."""
    return attempt(find_task(task_name), seed)


def _ignore_interrupt() -> None:
    """Ctrl-C reaches every process of a terminal; the parent alone decides what it means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
