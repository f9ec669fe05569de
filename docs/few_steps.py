"""Rolls policies out with few sampling steps, and keeps what came out beside the other results.

    python -m docs.few_steps RUN [RUN ...] [--task stack] [--episodes 100] [--first-seed 200000]

Each RUN is a finished Stage-2 run of the task, with any prediction type. Each is rolled out with 1, 2, 4 and 10 steps
of its sampler, all from the same initial states, chunks joined as `evaluate` joins them. What is kept already is not
rolled out again. The table in docs/results/README.md is made of the kept files, the runs in the order of their names.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from trainer.deployment.policy import Policy
from trainer.evaluation.results import COMMITTED_STEPS
from trainer.evaluation.rollout_motion import joined_motion, rollout_motion
from trainer.intervals import difference_interval, rate_interval
from trainer.recipe.machine import describe_machine
from trainer.simulation.rollout import rollout
from trainer.simulation.task import find_task
from trainer.training.checkpoint_info import CheckpointInfo

KEPT = Path(__file__).resolve().parent / "results" / "few_steps"
STEPS = (10, 4, 2, 1)
_BASELINE = ("epsilon", 10)
_TIMED_CHUNKS = 300
Row = dict[str, Any]


def figures(policy: Policy, task: str, seeds: range) -> Row:
    """Success, motion and CPU time of a policy with so many steps."""

    def answer(observations: np.ndarray, fixed: np.ndarray) -> np.ndarray:
        return policy.predict(observations, prefix=fixed)

    steps: dict[str, Any] = {"n_obs_steps": policy.n_obs_steps, "n_action_steps": policy.n_action_steps}
    rollouts = rollout(find_task(task), answer, seeds, **steps, committed=COMMITTED_STEPS)
    demonstrated, rate = policy.info.demonstrated or {}, policy.info.rate_hz
    motion = joined_motion([rollout_motion(one, "ee_pose", rate, None) for one in rollouts], demonstrated)
    wins = [one.steps for one in rollouts if one.success]
    return {
        "first_seed": seeds.start,
        "outcomes": [int(one.success) for one in rollouts],
        "mean_success_steps": float(np.mean(wins)) if wins else None,
        "chunk_jerk_m_per_s3": motion["chunk_jerk_m_per_s3"],
        "border_jump_m": motion["border_jump_m"],
        **_chunk_times(policy),
    }


def _chunk_times(policy: Policy) -> dict[str, float]:
    """CPU time of one robot's chunk, which other work on the machine disturbs little: median, 99th percentile [ms]."""
    rng, spent = np.random.default_rng(0), []
    for _ in range(_TIMED_CHUNKS):
        seen = rng.uniform(-1, 1, (1, policy.n_obs_steps, policy.info.condition_dim)).astype(np.float32)
        began = time.process_time()
        policy.predict(seen)
        spent.append(1e3 * (time.process_time() - began))
    p50, p99 = np.percentile(spent, [50, 99])
    return {"chunk_cpu_p50_ms": float(p50), "chunk_cpu_p99_ms": float(p99)}


def _described(run: Path, info: CheckpointInfo) -> Row:
    return {
        "run": run.name,
        "prediction_type": info.head.prediction_type,
        "about": f"{info.head.head} {info.head.size}, mode {info.mode}, {info.step:,} training steps",
    }


def few_steps_table() -> list[str]:
    """Markdown rows of every kept task."""
    lines = []
    for path in sorted(KEPT.glob("*.json")):
        kept = json.loads(path.read_text())
        rows = sorted(kept["rows"], key=lambda row: (row["run"], -row["steps"]))
        baseline = next((row for row in rows if (row["prediction_type"], row["steps"]) == _BASELINE), None)
        lines += ["", f"`{kept['command']}` on {kept['machine']}:", ""]
        lines += [
            "| policy | sampling steps | success (95 %) | against DDIM of 10 steps (95 %) | steps to success "
            "| jerk of chunks [m/s³] | jumps | CPU time of a chunk: median, 99 % |",
            "|---" * 8 + "|",
        ]
        lines += [_line(row, baseline) for row in rows]
    return lines


def _rows(path: Path) -> list[Row]:
    return json.loads(path.read_text())["rows"] if path.exists() else []


def _line(row: Row, baseline: Row | None) -> str:
    outcomes = np.array([row["outcomes"]])
    low, high = rate_interval(outcomes)
    against = "-"
    if baseline is not None and baseline is not row:
        others = np.array([baseline["outcomes"]])
        least, most = difference_interval(outcomes, others)
        by = outcomes.mean() - others.mean()
        against = f"{100 * by:+.0f} points ({100 * least:+.0f} to {100 * most:+.0f})"
    sampler = "Euler" if row["prediction_type"] == "flow" else "DDIM"
    needed = row["mean_success_steps"]
    return (
        f"| `{row['prediction_type']}`, {row['about']} | {row['steps']} of {sampler} "
        f"| {outcomes.sum()} of {outcomes.size} ({low:.0%} to {high:.0%}) | {against} "
        f"| {'-' if needed is None else f'{needed:.0f}'} | {row['chunk_jerk_m_per_s3']:.1f} "
        f"| {1e3 * row['border_jump_m']:.1f} mm | {row['chunk_cpu_p50_ms']:.1f}, {row['chunk_cpu_p99_ms']:.1f} ms |"
    )


def main() -> None:
    """Rolls out what is not kept yet, and writes docs/results/few_steps/TASK.json after each number of steps."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+", help="folders of finished Stage-2 runs")
    parser.add_argument("--task", default="stack")
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--first-seed", type=int, default=200_000)
    options = parser.parse_args()
    path = KEPT / f"{options.task}.json"
    seeds = range(options.first_seed, options.first_seed + options.episodes)
    for run in options.runs:
        for steps in STEPS:
            if any((row["run"], row["steps"]) == (run.name, steps) for row in _rows(path)):
                continue
            policy = Policy.load(run, sampling_steps=steps)
            row = {**_described(run, policy.info), "steps": steps, **figures(policy, options.task, seeds)}
            print(_line(row, None), flush=True)
            command = f"python -m docs.few_steps RUN ... --task {options.task}"
            # Read only now: another run may have been rolled out beside this one.
            kept = {"command": command, "machine": describe_machine(), "rows": [*_rows(path), row]}
            KEPT.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
