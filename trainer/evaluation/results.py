"""What a trained policy achieved: rollouts that go on where they stopped, and the entry of a report's `results`."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
from numpy.typing import NDArray

from shared.errors import ConfigError
from trainer.deployment.policy import Policy
from trainer.evaluation.rollout_motion import joined_motion, rollout_motion
from trainer.json_lines import read_lines, rewrite
from trainer.progress import Progress
from trainer.simulation.observation import observation_widths
from trainer.simulation.robosuite_env import CONTROL_RATE_HZ
from trainer.simulation.rollout import Rollout, rollout
from trainer.simulation.strip import render_strip
from trainer.simulation.task import Task, find_task
from trainer.tensor_file import publish
from trainer.training.checkpoint import CheckpointInfo
from trainer.training.training_summary import training_summary

COMMITTED_STEPS = 1
"""Actions of a chunk that are carried out while the next one is asked for, which goes on from them: 50 ms at 20 Hz."""


def evaluate(
    run: Path,
    task_name: str,
    episodes: int,
    first_seed: int,
    progress: Progress,
    *,
    directions: int | None = None,
    hold: bool = True,
) -> dict[str, Any]:
    """Rolls a run's policy out and writes its result and a strip of pictures, going on where it stopped.

    The result is result.json; with other directions than the checkpoint's or without holding, a file of its own
    (`result_file`).

    Args:
        run: folder of a finished Stage-2 run.
        task_name: of the simulator.
        episodes: rollouts, with seeds first_seed, first_seed + 1, ...
        first_seed: of the first rollout; policies evaluated with the same one see the same initial states.
        progress: told of each rollout.
        directions: of the motion basis to project onto, instead of the checkpoint's number; 0 is no basis.
        hold: let each chunk go on from the last command and from `COMMITTED_STEPS` of the chunk before; else it begins
            where it likes, and is carried out at once.

    Returns:
        The entry of a report's `results`.

    Raises:
        ConfigError: `run` is not a run's folder, the numbers make no sense, or the policy does not see what this task
            shows or acts at another rate.
        CheckpointError, SimulationError: as loading and rolling out do.
    """
    if episodes < 1 or first_seed < 0:
        raise ConfigError(f"episodes is {episodes} and first_seed {first_seed}; they must be at least 1 and 0")
    if not run.is_dir():
        raise ConfigError(f"{run} is not a run's folder; give the folder that `python -m trainer adapt` wrote")
    task = find_task(task_name)
    policy = Policy.load(run, directions=directions)
    _check_sees(policy.info, task)
    seeds = range(first_seed, first_seed + episodes)
    log = run / f"rollouts-{task_name}{_suffix(directions, hold)}.jsonl"
    # Outcomes of another checkpoint in this folder are another policy's, those of earlier releases lack the motion.
    this = {"checkpoint_step": policy.info.step, "basis": policy.directions, "held": hold}
    known = {line["seed"]: line for line in read_lines(log) if this.items() <= line.items()}
    rewrite(log, list(known.values()))
    done = sum(seed in known for seed in seeds)
    progress(done, episodes)
    with log.open("a") as file:

        def finished(result: Rollout) -> None:
            known[result.seed] = line = {**_outcome(result, policy.info), **this}
            file.write(json.dumps(line) + "\n")
            file.flush()
            wins = sum(known[seed]["success"] for seed in seeds if seed in known)
            count = sum(seed in known for seed in seeds)
            progress(count, episodes, f"{wins} of {count} succeeded")

        missing = [seed for seed in seeds if seed not in known]
        rolled = _roll_out(task, policy, missing, hold, finished) if missing else []
    if hold and directions is None:
        first = next((result for result in rolled if result.seed == first_seed), None)
        first = first or _roll_out(task, policy, [first_seed], hold)[0]
        _save_strip(run / f"strip-{run.name}.png", task, first)
    outcomes = [int(known[seed]["success"]) for seed in seeds]
    result = {
        **training_summary(run),
        "task": task_name,
        "episodes": episodes,
        "successes": sum(outcomes),
        "first_seed": first_seed,
        "outcomes": outcomes,
        "mean_success_steps": _mean([known[seed]["steps"] for seed in seeds if known[seed]["success"]]),
        "basis": policy.directions,
        "held": hold,
        **joined_motion([known[seed]["motion"] for seed in seeds], policy.info.demonstrated or {}),
    }
    publish(result_file(run, directions, hold), json.dumps(result, indent=1).encode())
    return result


def result_file(run: Path, directions: int | None = None, hold: bool = True) -> Path:
    """Where `evaluate` writes what it found."""
    return run / f"result{_suffix(directions, hold)}.json"


def _suffix(directions: int | None, hold: bool) -> str:
    return ("" if directions is None else f"-{directions}-directions") + ("" if hold else "-free")


def _roll_out(
    task: Task, policy: Policy, seeds: Sequence[int], hold: bool, finished: Callable[[Rollout], None] | None = None
) -> list[Rollout]:
    def answer(observations: NDArray[np.float32], fixed: NDArray[np.float32]) -> NDArray[np.float32]:
        return policy.predict(observations, prefix=fixed if hold else None)

    seen, longest = policy.n_obs_steps, policy.info.head.longest_answer
    committed = min(COMMITTED_STEPS, longest - policy.n_action_steps) if hold else 0
    return rollout(
        task,
        answer,
        seeds,
        n_obs_steps=seen,
        n_action_steps=policy.n_action_steps,
        committed=committed,
        finished=finished,
    )


def _check_sees(info: CheckpointInfo, task: Task) -> None:
    if info.head.action != "ee_pose":
        raise ConfigError(f"the simulator takes 'ee_pose' actions, this policy's are '{info.head.action}'")
    widths = observation_widths(task)
    if info.observation_widths != widths:
        raise ConfigError(
            f"the policy was trained on observations {info.observation_widths}, task '{task.name}' shows {widths}; "
            f"it was adapted to '{info.task}'"
        )
    if info.rate_hz != CONTROL_RATE_HZ:
        raise ConfigError(f"the policy acts at {info.rate_hz:g} Hz, the simulator at {CONTROL_RATE_HZ:g} Hz")


def _outcome(result: Rollout, info: CheckpointInfo) -> dict[str, Any]:
    fastest = (info.demonstrated or {}).get("speed_m_per_s")
    outcome = {"seed": result.seed, "success": bool(result.success), "steps": result.steps}
    return {**outcome, "motion": rollout_motion(result, info.rate_hz, fastest)}


def _mean(values: list[int]) -> float | None:
    return float(np.mean(values)) if values else None


def _save_strip(path: Path, task: Task, result: Rollout) -> None:
    matplotlib.image.imsave(path, np.concatenate(render_strip(task, result.positions), axis=1))
