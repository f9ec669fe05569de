"""Copies of demonstrations, commanded open loop in the simulator: how many do the task, and where others go wrong."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from shared.demonstrated_motions import DemonstratedMotions
from shared.errors import ConfigError
from shared.follow import ShardSource, wait_for_shards
from shared.motions_file import motions_of
from trainer.data.copies.opening import open_copies
from trainer.intervals import wilson
from trainer.json_lines import read_lines, rewrite
from trainer.progress import Progress, progress
from trainer.simulation.replay import (
    THE_END,
    THE_START,
    Copy,
    Replayer,
    columns,
    copies_of,
    distance_to_source,
    failed_segment,
    segment_names,
)
from trainer.simulation.robosuite_env import CONTROL_RATE_HZ
from trainer.simulation.robosuite_task import ROBOT, RobosuiteTask
from trainer.simulation.scene import load_scene
from trainer.simulation.task import find_task
from trainer.tensor_file import publish

_GROUPS = ("near", "middle", "far")

Entry = dict[str, Any]
"""What became of a copy: its id, whether it succeeded, its steps, the segment it failed in, and its distance [m]."""


def replay_dataset(data: str, task: str, count: int, out: Path | None) -> None:
    """What `python -m trainer replay` does: replays the first `count` copies, prints a table, and writes its figures.

    Raises ConfigError where the dataset is no copies that can be commanded in this task.
    """
    _check_arguments(count, out)
    source = open_copies(data, cache=(out.parent if out else Path("runs")) / "shards")
    simulated = find_task(task)
    motions = _checked_motions(source, simulated)
    with progress(f"replay {task}") as report:
        entries = replay_copies(source, simulated, motions, count, out and out.with_suffix(".jsonl"), report)
    summary = summarize_replays(entries, motions)
    of = {"dataset_id": source.header.dataset_id, "task": task}
    print("\n".join(describe_replays(summary, task)))
    if out is not None:
        publish(out, json.dumps({**of, **summary, "copies": entries}, indent=1).encode())
        print(f"figures: {out}")


def _check_arguments(count: int, out: Path | None) -> None:
    if count < 1:
        raise ConfigError(f"--count {count}: it must be at least 1")
    if out is not None and out.suffix == ".jsonl":
        raise ConfigError(f"--out {out}: a file of that name is kept beside it; give it another ending, such as .json")


def _checked_motions(source: ShardSource, task: RobosuiteTask) -> DemonstratedMotions:
    """The motions that a dataset's rows are copies of. Raises ConfigError unless they can be commanded in a task."""
    header, motions = source.header, motions_of(source)
    where = f"dataset {header.dataset_id[:12]}"
    if motions is None:
        raise ConfigError(
            f"{where} has no copies of demonstrations: its request has another workspace than 'objects'; its rows "
            "know of no objects that could be laid in the simulator"
        )
    if header.robot.name != ROBOT:
        raise ConfigError(f"{where} is for the robot '{header.robot.name}', the simulator has a '{ROBOT}'")
    if header.rate_hz != CONTROL_RATE_HZ:
        raise ConfigError(
            f"{where} is at {header.rate_hz:g} Hz, the simulator acts at {CONTROL_RATE_HZ:g} Hz; make copies at its "
            "rate"
        )
    own, simulated = ({thing.name for thing in things} for things in (motions.objects, task.objects))
    if own != simulated:
        raise ConfigError(
            f"{where} is of '{motions.task}', with the objects {', '.join(sorted(own))}; task '{task.name}' has "
            f"{', '.join(sorted(simulated))}"
        )
    return motions


def replay_copies(
    source: ShardSource,
    task: RobosuiteTask,
    motions: DemonstratedMotions,
    count: int,
    log: Path | None,
    report: Progress,
) -> list[Entry]:
    """An entry for each of the first `count` copies, in their order.

    Args:
        source: the dataset, finished or growing.
        task: whose objects are those of the motions.
        motions: that its rows are copies of.
        count: copies; all where there are fewer.
        log: file of JSON lines that keeps what is known, and is gone on from.
        report: told of each copy.
    """
    count = min(count, source.header.count)
    this = {"dataset_id": source.header.dataset_id, "task": task.name}
    lines = [line for line in read_lines(log) if this.items() <= line.items()] if log else []
    known = {line["id"]: {key: value for key, value in line.items() if key not in this} for line in lines}
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        rewrite(log, lines)
    done = before = sum(number < count for number in known)
    names = [segment_names(motion, [thing.name for thing in motions.objects]) for motion in motions.motions]
    replayer, entries = Replayer(load_scene(task), motions), list[Entry]()
    for copy in _first_copies(source, motions, count, lambda note: report(before, count, note)):
        if copy.id not in known:
            replayed, place = replayer.replay(copy), copy.row.source
            known[copy.id] = {
                "id": copy.id,
                "success": replayed.success,
                "steps": replayed.steps,
                "failed_segment": failed_segment(copy, replayed, names[place]),
                "distance_m": round(distance_to_source(copy, motions.motions[place]), 4),
            }
            if log is not None:
                with log.open("a") as file:
                    file.write(json.dumps({**known[copy.id], **this}) + "\n")
            done += 1
            report(done, count, f"{_successes(list(known.values()))} of {len(known)} succeeded")
        entries.append(known[copy.id])
    return entries


def _first_copies(
    source: ShardSource, motions: DemonstratedMotions, count: int, tell: Callable[[str], None]
) -> Iterator[Copy]:
    """The first copies of a dataset, waited for where they are still being made."""
    names, left = [thing.name for thing in motions.objects], count
    shards = -(-count // source.header.shard_rows)
    tell("")
    state = wait_for_shards(
        source, shards, on_wait=lambda now: tell(f"waiting for copies, {now.watermark} of {shards} shards are there")
    )
    for commit in state.commits[:shards]:
        rows = source.read_shard(commit, columns(names)).slice(0, left)
        left -= rows.num_rows
        yield from copies_of(rows, names)


def summarize_replays(entries: Sequence[Entry], motions: DemonstratedMotions) -> dict[str, Any]:
    """How many copies succeeded, how many failed in which segment, and successes by distance from the source."""
    objects = [thing.name for thing in motions.objects]
    every = (THE_START, *(name for motion in motions.motions for name in segment_names(motion, objects)), THE_END)
    failed = Counter(entry["failed_segment"] for entry in entries if not entry["success"])
    by_distance = np.argsort([entry["distance_m"] for entry in entries], kind="stable")
    groups = {}
    for name, places in zip(_GROUPS, np.array_split(by_distance, len(_GROUPS)), strict=True):
        if len(places):
            own = [entries[place] for place in places]
            groups[name] = {"from_m": own[0]["distance_m"], "to_m": own[-1]["distance_m"], **_rate(own)}
    # Segments in the order of time, as the first demonstration that has them has them.
    failures = {name: failed[name] for name in dict.fromkeys(every) if failed[name]}
    return {**_rate(entries), "failures": failures, "by_distance": groups}


def _rate(entries: Sequence[Entry]) -> dict[str, Any]:
    successes = _successes(entries)
    return {"count": len(entries), "successes": successes, "interval": wilson(successes, len(entries))}


def _successes(entries: Sequence[Entry]) -> int:
    return sum(entry["success"] for entry in entries)


def describe_replays(summary: dict[str, Any], task: str) -> list[str]:
    """The table for people."""
    lines = [f"copies of {task} that succeeded: {_in_words(summary)}"]
    if summary["failures"]:
        lines.append("where the others failed:")
        width = max(map(len, summary["failures"]))
        lines += [f"  {name:{width}}  {failed}" for name, failed in summary["failures"].items()]
    lines.append("by how far the objects lie from where they lay in the demonstration:")
    for name, group in summary["by_distance"].items():
        span = f"{100 * group['from_m']:.0f} to {100 * group['to_m']:.0f} cm"
        lines.append(f"  {name:6}  {span:11}  {_in_words(group)}")
    return lines


def _in_words(rate: dict[str, Any]) -> str:
    low, high = (100 * bound for bound in rate["interval"])
    share = 100 * rate["successes"] / rate["count"]
    return f"{rate['successes']} of {rate['count']} ({share:.0f} %, 95 % interval {low:.0f} to {high:.0f} %)"
