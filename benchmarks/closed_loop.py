"""A policy in the simulator through its server and the executor: success and jerk, beside the direct loop.

    python -m benchmarks.closed_loop RUN --task stack --name stack [--episodes 100] [--only WAY ...] [--out FOLDER]

RUN is a Stage-2 run folder, served by `trainer serve` in a process of its own and asked over a WebSocket. Time is the
simulator's: an answer takes as long as a way says, so that every run comes out the same. `direct` carries actions out
as `trainer evaluate` does, which waits for no answer. The others go through inverse kinematics and the executor, at the
rate of the physics (500 Hz): `waiting` asks when 8 actions are done, and the arm stands until the answer is here;
`asynchronous` asks after as many, goes on meanwhile, and the policy holds what is committed. Interrupted, it goes on
where it stopped. What came out is kept in docs/results/closed_loop/NAME.json.
"""

import argparse
import itertools
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._closed_loop_episode import WAYS, Way, episode
from benchmarks._policy_server import policy_server
from headstart_client import PolicyClient
from trainer.intervals import difference_interval, rate_interval
from trainer.json_lines import read_lines, rewrite
from trainer.recipe.machine import describe_machine
from trainer.simulation.scene import load_scene
from trainer.simulation.task import find_task

KEPT = Path(__file__).resolve().parents[1] / "docs" / "results" / "closed_loop"
Rows = dict[int, dict[str, Any]]
"""Of one way, each episode's as JSON, by its seed."""


def paired(rows: Rows, others: Rows) -> dict[str, Any]:
    """How a way's episodes compare with another's from the same initial states: those that both have."""
    both = [seed for seed in rows if seed in others]
    ours, theirs = (np.array([[int(one[seed]["success"]) for seed in both]]) for one in (rows, others))
    return {
        "episodes": len(both),
        "lost": int((ours < theirs).sum()),
        "won": int((ours > theirs).sum()),
        "difference": float((ours - theirs).mean()),
        "interval": difference_interval(ours, theirs),
        "jerk_times_less": {
            name: float(f"{_mean(others, name, both) / _mean(rows, name, both):.4g}")
            for name in next(iter(rows.values()))
            if "_jerk_" in name
        },
    }


def _mean(rows: Rows, name: str, seeds: Sequence[int]) -> float:
    return float(np.nanmean([rows[seed][name] for seed in seeds]))


def summary(rows: Rows, direct_rows: Rows, waiting_rows: Rows | None = None) -> dict[str, Any]:
    """Figures of one way's episodes, beside the direct loop's and those of an arm that waits as long.

    Args:
        rows: by seed.
        direct_rows: likewise.
        waiting_rows: likewise; None where they are to be compared with the direct loop's alone.
    """
    first, outcomes = next(iter(rows.values())), np.array([[int(row["success"]) for row in rows.values()]])
    wins = [row["steps"] for row in rows.values() if row["success"]]
    found: dict[str, Any] = {
        "kind": first["kind"],
        "latency_s": first["latency_s"],
        "successes": int(outcomes.sum()),
        "episodes": len(rows),
        "interval": rate_interval(outcomes),
        "against_direct": paired(rows, direct_rows),
        "against_waiting": paired(rows, waiting_rows) if waiting_rows else None,
        "outcomes": {str(seed): int(row["success"]) for seed, row in rows.items()},
        "mean_success_steps": float(np.mean(wins)) if wins else None,
        "commands": sum(row.get("commands", 0) for row in rows.values()),
        "violations": sum(row.get("violations", 0) for row in rows.values()),
        "events": dict(sum((Counter(row.get("events", {})) for row in rows.values()), Counter())),
    }
    for name in (name for name in first if "_jerk_" in name):
        found[name] = float(f"{_mean(rows, name, list(rows)):.6g}")
    return found


def summaries(done: Mapping[Way, Rows]) -> list[dict[str, Any]]:
    """Figures of every way that has episodes in common with the direct loop."""
    direct_rows = done[WAYS[0]]
    found = []
    for way in (way for way in WAYS if done[way].keys() & direct_rows.keys()):
        waiting = done[Way("waiting", way.latency_s)] if way.kind == "asynchronous" else {}
        common = waiting if waiting.keys() & done[way].keys() else None
        found.append(summary(done[way], direct_rows, common))
    return found


def roll_out(log: Path, run: Path, task: str, ways: Sequence[Way], seeds: range, done: Mapping[Way, Rows]) -> None:
    """Adds the episodes that are not done yet to `done`, and to a log of them."""
    scene = load_scene(find_task(task))
    with policy_server(run, "--threads", "1") as url, PolicyClient(url) as client, log.open("a") as file:
        for seed, way in itertools.product(seeds, ways):
            if seed in done[way]:
                continue
            row = episode(scene, seed, client, way)
            done[way][seed] = row
            file.write(json.dumps(row) + "\n")
            file.flush()
            print(f"{seed} {way}: {row['success']} after {row['steps']}", flush=True)


def read_log(log: Path) -> dict[Way, Rows]:
    """The episodes that are done, of each way, by seed."""
    done: dict[Way, Rows] = {way: {} for way in WAYS}
    for row in read_lines(log):
        done[Way(row["kind"], row["latency_s"])][row["seed"]] = row
    rewrite(log, [row for rows in done.values() for row in rows.values()])
    return {way: dict(sorted(rows.items())) for way, rows in done.items()}


def main() -> None:
    """Rolls out every way, and keeps what came out."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, help="run folder of Stage 2")
    parser.add_argument("--task", required=True)
    parser.add_argument("--name", required=True, help="of the file in docs/results/closed_loop")
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--first-seed", type=int, default=100_000)
    parser.add_argument("--only", nargs="+", choices=[str(way) for way in WAYS], help="ways; all where it is left out")
    parser.add_argument("--out", type=Path, default=Path("closed-loop"), help="folder of the episodes that are done")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    log = options.out / f"{options.name}.jsonl"
    seeds = range(options.first_seed, options.first_seed + options.episodes)
    ways = [way for way in WAYS if options.only is None or str(way) in options.only]
    done = read_log(log)
    roll_out(log, options.run, options.task, ways, seeds, done)
    keep(options, read_log(log))


def keep(options: argparse.Namespace, done: Mapping[Way, Rows]) -> None:
    """Writes docs/results/closed_loop/NAME.json."""
    kept = {
        "command": f"python -m benchmarks.closed_loop RUN --task {options.task} --name {options.name} "
        f"--episodes {options.episodes}",
        "task": options.task,
        "first_seed": options.first_seed,
        "machine": describe_machine(),
        "date": time.strftime("%Y-%m-%d"),
        "figures": summaries(done),
    }
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / f"{options.name}.json").write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
