"""Rolls one policy out with each way of smoothing its motion, and keeps what came out beside the other results.

    python -m docs.smoothing RUN --name NAME [--task stack] [--episodes 100] [--first-seed 200000]

RUN is a finished Stage-2 run whose checkpoint has a motion basis. The ways: nothing; so many directions of the basis;
the same with chunks that join; and what users of policy servers do, a moving average of the commands (each is 0.25 of
the policy's and 0.75 of the command before). Every way has the same initial states. The table in
docs/results/README.md is made of the kept files.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.data.action import GRIPPER
from trainer.deployment.policy import Policy
from trainer.evaluation.rollout_motion import joined_motion, rollout_motion
from trainer.evaluation.smoothness import describe_motion
from trainer.intervals import rate_interval
from trainer.recipe.machine import describe_machine
from trainer.simulation.rollout import Rollout, rollout
from trainer.simulation.task import find_task

KEPT = Path(__file__).resolve().parent / "results" / "smoothing"
_SHARE = 0.25
_TIMED_CHUNKS = 40
Actions = NDArray[np.float32]


@dataclass(frozen=True)
class Way:
    """How a policy's motion is smoothed.

    Attributes:
        name: in a table.
        directions: of the motion basis; None takes the checkpoint's number, 0 is no basis.
        committed: actions that chunks go on from; None lets them begin where they like.
        averaged: whether commands are a moving average.
    """

    name: str
    directions: int | None = 0
    committed: int | None = None
    averaged: bool = False


WAYS = (
    Way("nothing"),
    Way("moving average of the commands", averaged=True),
    Way("12 directions", 12),
    Way("8 directions", 8),
    Way("6 directions", 6),
    Way("5 directions", 5),
    Way("4 directions", 4),
    Way("5 directions, chunks go on from the last command", 5, 0),
    Way("5 directions, and from one committed step", 5, 1),
    Way("5 directions, and from two committed steps", 5, 2),
)


def averaged(chunks: Actions, last: Actions) -> Actions:
    """Moving averages of chunks (n, steps, 10) that go on from the last commands (n, 10), NaN where there were none."""
    before = np.where(np.isnan(last), chunks[:, 0], last)
    out = chunks.copy()
    for step in range(chunks.shape[1]):
        before = _SHARE * chunks[:, step] + (1 - _SHARE) * before
        out[:, step, :GRIPPER] = before[:, :GRIPPER]
    return out


def rolled(run: Path, way: Way, task: str, seeds: range) -> tuple[list[Rollout], Policy]:
    """The rollouts of one way."""
    policy = Policy.load(run, directions=way.directions)

    def answer(observations: Actions, fixed: Actions) -> Actions:
        chunks = policy.predict(observations, prefix=None if way.committed is None else fixed)
        return averaged(chunks, fixed[:, -1]) if way.averaged else chunks

    steps: dict[str, Any] = {"n_obs_steps": policy.n_obs_steps, "n_action_steps": policy.n_action_steps}
    return rollout(find_task(task), answer, seeds, **steps, committed=way.committed or 0), policy


def figures(run: Path, way: Way, task: str, seeds: range) -> dict[str, Any]:
    """Success, motion and time of one way."""
    rollouts, policy = rolled(run, way, task, seeds)
    demonstrated, rate = policy.info.demonstrated or {}, policy.info.rate_hz
    fastest = demonstrated.get("speed_m_per_s")
    motion = joined_motion([rollout_motion(one, "ee_pose", rate, fastest) for one in rollouts], demonstrated)
    outcomes = np.array([[int(one.success) for one in rollouts]])
    executed = describe_motion([one.commands for one in rollouts if one.success], "ee_pose", rate)
    wins = [one.steps for one in rollouts if one.success]
    seen = np.zeros((1, policy.n_obs_steps, policy.info.condition_dim), np.float32)
    return {
        "way": way.name,
        "successes": int(outcomes.sum()),
        "episodes": len(rollouts),
        "first_seed": seeds.start,
        "outcomes": outcomes[0].tolist(),
        "interval": rate_interval(outcomes),
        "executed_jerk_m_per_s3": executed.get("jerk_m_per_s3"),
        "mean_success_steps": float(np.mean(wins)) if wins else None,
        "chunk_ms": 1e3 * _seconds(lambda: policy.predict(seen)),
        **motion,
    }


def _seconds(answer: Callable[[], object]) -> float:
    """Median CPU time of one answer, which other work on the machine disturbs little."""
    spent = []
    for _ in range(_TIMED_CHUNKS):
        began = time.process_time()
        answer()
        spent.append(time.process_time() - began)
    return float(np.median(spent))


def smoothing_table() -> list[str]:
    """Markdown rows of every kept study."""
    lines = []
    for path in sorted(KEPT.glob("*.json")):
        kept = json.loads(path.read_text())
        lines += ["", f"`{kept['command']}`, {kept['about']}, on {kept['machine']}:", ""]
        lines += [
            "| smoothed by | success (95 %) | jerk of chunks (of commands) [m/s³] | jumps between chunks "
            "| faster than any demonstration | steps to success | a chunk |",
            "|---|---|---|---|---|---|---|",
        ]
        lines += [_row(one) for one in kept["figures"]]
        lines.append(
            f"| the demonstrations | | {kept['figures'][0]['demonstration_jerk_m_per_s3']:.1f} (mean) | | | | |"
        )
    return lines


def _row(one: dict[str, Any]) -> str:
    low, high = one["interval"]
    jumps = f"{1e3 * one['border_jump_m']:.1f} mm, {np.rad2deg(one['border_jump_rad']):.2f} deg"
    return (
        f"| {one['way']} | {one['successes']} of {one['episodes']} ({low:.0%} to {high:.0%}) "
        f"| {one['chunk_jerk_m_per_s3']:.1f} ({one['executed_jerk_m_per_s3']:.1f}) | {jumps} "
        f"| {one['fast_commands']:.1%} | {one['mean_success_steps']:.0f} | {one['chunk_ms']:.1f} ms |"
    )


def main() -> None:
    """Rolls out every way and writes docs/results/smoothing/NAME.json."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a finished Stage-2 run")
    parser.add_argument("--name", required=True, help="of the file that is kept")
    parser.add_argument("--task", default="stack")
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--first-seed", type=int, default=200_000)
    options = parser.parse_args()
    seeds, found = range(options.first_seed, options.first_seed + options.episodes), []
    for way in WAYS:
        found.append(figures(options.run, way, options.task, seeds))
        print(_row(found[-1]), flush=True)
    info = Policy.load(options.run).info
    about = f"{info.task}, mode {info.mode}, {info.step:,} steps"
    command = f"python -m docs.smoothing RUN --name {options.name} --task {options.task}"
    kept = {"command": command, "about": about, "machine": describe_machine(), "figures": found}
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / f"{options.name}.json").write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
