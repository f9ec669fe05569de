"""What a trained policy achieved: rollouts that go on where they stopped, and the entry of a report's `results`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np

from shared.errors import ConfigError
from trainer import tensor_file
from trainer.checkpoint import CheckpointInfo, backbone_path, find_checkpoint, read_info
from trainer.json_lines import read_lines, rewrite
from trainer.policy import Policy
from trainer.progress import Progress
from trainer.simulation.observation import observation_widths
from trainer.simulation.robosuite_env import CONTROL_RATE_HZ
from trainer.simulation.rollout import Rollout, rollout
from trainer.simulation.strip import render_strip
from trainer.simulation.task import Task, find_task

_ERRORS = ("position_mm", "rotation_deg", "joint_rad", "gripper_accuracy")


def evaluate(run: Path, task_name: str, episodes: int, first_seed: int, progress: Progress) -> dict[str, Any]:
    """Rolls a run's policy out and writes its result.json and a strip of pictures, going on where it stopped.

    Args:
        run: folder of a finished Stage-2 run.
        task_name: of the simulator.
        episodes: rollouts, with seeds first_seed, first_seed + 1, ...
        first_seed: of the first rollout; policies evaluated with the same one see the same initial states.
        progress: told of each rollout.

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
    policy = Policy.load(run)
    _check_sees(policy.info, task)
    seeds = range(first_seed, first_seed + episodes)
    log = run / f"rollouts-{task_name}.jsonl"
    # Outcomes of another checkpoint in this folder are another policy's.
    step = policy.info.step
    known = {line["seed"]: line for line in read_lines(log) if line["checkpoint_step"] == step}
    rewrite(log, list(known.values()))
    done = sum(seed in known for seed in seeds)
    progress(done, episodes)
    with log.open("a") as file:

        def finished(result: Rollout) -> None:
            known[result.seed] = line = {**_outcome(result), "checkpoint_step": step}
            file.write(json.dumps(line) + "\n")
            file.flush()
            wins = sum(known[seed]["success"] for seed in seeds if seed in known)
            count = sum(seed in known for seed in seeds)
            progress(count, episodes, f"{wins} of {count} succeeded")

        missing = [seed for seed in seeds if seed not in known]
        rolled = rollout(task, policy, missing, n_obs_steps=policy.n_obs_steps, finished=finished) if missing else []
    first = next((result for result in rolled if result.seed == first_seed), None)
    first = first or rollout(task, policy, [first_seed], n_obs_steps=policy.n_obs_steps)[0]
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
    }
    tensor_file.publish(run / "result.json", json.dumps(result, indent=1).encode())
    return result


def training_summary(run: Path) -> dict[str, Any]:
    """What a finished training of either stage says of itself, from its folder.

    Raises CheckpointError or ConfigError where the run is not finished.
    """
    info = read_info(run)
    settings = json.loads((run / "config.json").read_text())
    training = settings["config"]["training"]
    measured = [line for line in read_lines(run / "metrics.jsonl") if "validation_loss" in line]
    last = measured[-1] if measured else {}
    return {
        "mode": info.mode if info.stage == 2 else "stage1",
        "head": info.head.head,
        "size": info.head.size,
        "conditioning": info.head.conditioning,
        "action": info.head.action,
        "demonstrations": settings["data"].get("demonstrations", {}).get("demonstrations", 0),
        "seed": training["seed"],
        "train_seconds": info.seconds,
        "steps": training["steps"],
        "checkpoint_step": info.step,
        "device": info.device,
        "threads": training["threads"],
        "batch_size": training["batch_size"],
        "trained_parameters": _trained_parameters(run, info),
        "validation_loss": last.get("validation_loss"),
        "action_error": {name: last[name] for name in _ERRORS if name in last} or None,
        "stage1": asdict(info.stage1) if info.stage1 else None,
    }


def _trained_parameters(run: Path, info: CheckpointInfo) -> int:
    checkpoint = find_checkpoint(run)
    files = [checkpoint]
    if info.stage == 1 and info.backbone is not None:
        files.append(backbone_path(checkpoint, info.backbone))
    return sum(tensor_file.count_numbers(file) for file in files)


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


def _outcome(result: Rollout) -> dict[str, Any]:
    return {"seed": result.seed, "success": bool(result.success), "steps": result.steps}


def _mean(values: list[int]) -> float | None:
    return float(np.mean(values)) if values else None


def _save_strip(path: Path, task: Task, result: Rollout) -> None:
    matplotlib.image.imsave(path, np.concatenate(render_strip(task, result.positions), axis=1))
