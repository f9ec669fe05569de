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
import functools
import itertools
import json
import math
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks._policy_server import policy_server
from benchmarks.executor import arm_limits
from headstart_client import ArmLimits, Executor, PolicyClient, PolicyError
from headstart_client.audit import MotionAudit
from headstart_client.kinematics import Kinematics
from headstart_client.tool_policy import ToolPath, ToolPolicy
from services.catalogue import ARMS
from trainer.evaluation.results import COMMITTED_STEPS
from trainer.intervals import difference_interval, rate_interval
from trainer.json_lines import read_lines, rewrite
from trainer.recipe.machine import describe_machine
from trainer.simulation.controller import DOF
from trainer.simulation.environment import ACTION_WIDTH, OPEN, Environment
from trainer.simulation.robosuite_env import CONTROL_RATE_HZ
from trainer.simulation.scene import Scene, load_scene
from trainer.simulation.task import find_task

KEPT = Path(__file__).resolve().parents[1] / "docs" / "results" / "closed_loop"
STEP_S = 1 / CONTROL_RATE_HZ
Array = NDArray[np.float64]
Rows = dict[int, dict[str, Any]]
"""Of one way, each episode's as JSON, by its seed."""


@dataclass(frozen=True)
class Way:
    """How a policy's chunks get to the arm.

    Attributes:
        kind: `direct`, `waiting` or `asynchronous`.
        latency_s: from an observation to its answer [s].
    """

    kind: str
    latency_s: float = 0.0

    def __str__(self) -> str:
        return f"{self.kind}-{1e3 * self.latency_s:.0f}ms"


WAYS = (
    Way("direct"),
    *(Way(kind, latency_s) for latency_s in (0.0, 0.05, 0.2) for kind in ("asynchronous", "waiting")),
)


@dataclass
class Motion:
    """What was commanded and what the tool did, at the rate of the physics.

    Attributes:
        commanded: positions of the tool [m].
        moved: positions of the controlled site [m].
    """

    commanded: list[Array] = field(default_factory=list)
    moved: list[Array] = field(default_factory=list)

    def figures(self, rate_hz: float) -> dict[str, float]:
        """Mean and 99th percentile of the jerk's size [m/s^3]: of commands at two rates, and of the tool."""
        commanded, moved = np.concatenate(self.commanded), np.concatenate(self.moved)
        substeps = len(self.commanded[0])
        each = {
            "command": (commanded, rate_hz),
            "command_policy_rate": (commanded[substeps - 1 :: substeps], CONTROL_RATE_HZ),
            "tool": (moved, rate_hz),
        }
        found = {}
        for name, (positions, rate) in each.items():
            jerk = np.linalg.norm(np.diff(positions, 3, axis=0), axis=1) * rate**3
            found[f"{name}_jerk_mean"] = float(jerk.mean()) if len(jerk) else math.nan
            found[f"{name}_jerk_p99"] = float(np.percentile(jerk, 99)) if len(jerk) else math.nan
        return found


class Seen:
    """The latest observations of an environment, as a PolicyClient sends them."""

    def __init__(self, environment: Environment, steps: int) -> None:
        self._environment = environment
        self._kept = [environment.observation()] * steps

    def look(self) -> None:
        """Takes another."""
        self._kept = [*self._kept[1:], self._environment.observation()]

    def message(self) -> dict[str, NDArray[np.float32]]:
        """Each key's values, (n_obs_steps, width), the latest last."""
        return {key: np.stack([one[key] for one in self._kept]) for key in self._kept[0]}


class Asked(Protocol):
    """What answers: a PolicyClient, or what stands for it."""

    about: dict[str, Any]

    def __call__(self, observation: Any, prefix: Array | None = None) -> Array:
        """The chunk for an observation and a prefix."""


@functools.cache
def panda() -> tuple[Kinematics, ArmLimits]:
    """The simulator's arm."""
    arm = ARMS["panda"]
    chain = Kinematics(arm.urdf, arm.joints, base_frame=arm.base_frame, tool_frame=arm.tool_frame)
    return chain, arm_limits(arm.name)


def direct(environment: Environment, client: Asked) -> Iterator[Array]:
    """Actions of each physics step (physics steps, 10), as `trainer evaluate` carries them out."""
    seen, about = Seen(environment, client.about["n_obs_steps"]), client.about
    past, taken = about["n_obs_steps"] - 1, about["n_action_steps"]
    commands: list[Array] = []
    ahead = np.zeros((0, ACTION_WIDTH))
    while True:
        prefix = [*commands[len(commands) - past :], *ahead] if commands else []
        chunk = client(seen.message(), np.array(prefix) if prefix else None)
        chunk[: len(ahead)] = ahead
        for action in chunk[:taken]:
            commands.append(action)
            yield np.repeat(action[None], environment.substeps, axis=0)
            seen.look()
        ahead = chunk[taken : taken + COMMITTED_STEPS]


class Answer(NamedTuple):
    """A chunk on its way.

    Attributes:
        arrives: when it is there [s].
        chunk: joint positions with gripper, (steps, dof + 1).
        begins: when its first step is due [s].
    """

    arrives: float
    chunk: Array
    begins: float


class Arm:
    """The executor of one episode, and all of its commands.

    Attributes:
        executor: which is asked for commands at the rate of the physics.
        states: of every command, (3, dof) each.
    """

    def __init__(self, environment: Environment) -> None:
        (self._kinematics, limits), self._substeps = panda(), environment.substeps
        start = np.array(environment.data.qpos[:DOF])
        rate_hz = CONTROL_RATE_HZ * environment.substeps
        self.executor = Executor(limits, start, rate_hz=rate_hz, policy_rate_hz=CONTROL_RATE_HZ)
        self.states: list[Array] = []
        self._ticks = 0

    def step(self, answers: deque[Answer]) -> Array:
        """Actions of each physics step of a control step; answers are offered when they are there."""
        rows = np.empty((self._substeps, self.executor.limits.dof + 1))
        for row in rows:
            self.offer(answers)
            self._ticks += 1
            command = self.executor.tick(self._ticks * self.executor.period)
            self.states.append(command.state())
            row[:-1], row[-1] = command.position, OPEN if command.gripper is None else command.gripper
        return np.column_stack([self._kinematics.poses(rows[:, :-1]), rows[:, -1]])

    def offer(self, answers: deque[Answer]) -> None:
        """Gives the executor those of the answers that are there by now."""
        while answers and answers[0].arrives <= self._ticks * self.executor.period + 1e-9:
            self.executor.offer(answers[0].chunk, answers.popleft().begins)


def through_executor(environment: Environment, client: Asked, way: Way, arm: Arm) -> Iterator[Array]:
    """Actions of each physics step (physics steps, 10), of an arm that stands or goes on while the policy is asked.

    Args:
        environment: which carries each out before it asks for the next.
        client: of the policy.
        way: not `direct`.
        arm: of the episode.
    """
    (kinematics, limits), executor = panda(), arm.executor
    policy = ToolPolicy(client, ToolPath(kinematics, limits, STEP_S), kinematics, executor)
    seen, taken = Seen(environment, client.about["n_obs_steps"]), client.about["n_action_steps"]
    ahead, past = math.floor(way.latency_s / STEP_S + 1e-9) + 1, client.about["n_obs_steps"] - 1
    every = taken + (math.ceil(way.latency_s / STEP_S - 1e-9) if way.kind == "waiting" else 0)
    answers = deque[Answer]()
    for step in itertools.count():
        now = step * STEP_S
        arm.offer(answers)
        if step % every == 0:
            arrives, waits = now + way.latency_s, way.kind == "waiting"
            if waits and way.latency_s:
                executor.halt(now, "it waits for the policy")
            try:
                chunk = policy(seen.message(), None if waits else executor.prefix(now, past, ahead))
                answers.append(Answer(arrives, chunk, arrives if waits else now))
            except PolicyError as error:
                executor.note("unanswered", str(error))
        yield arm.step(answers)
        seen.look()


def episode(scene: Scene, seed: int, client: Asked, way: Way) -> dict[str, Any]:
    """What came of one episode, as JSON: success, steps, jerk, and the executor's audit and events."""
    environment = Environment(scene, seed)
    motion, arm = Motion(), Arm(environment)
    through = through_executor(environment, client, way, arm)
    actions = direct(environment, client) if way.kind == "direct" else through
    success, steps = False, 0
    while not success and steps < scene.task.episode_limit:
        wanted = next(actions)
        motion.moved.append(environment.step_along(wanted))
        motion.commanded.append(wanted[:, :3])
        steps += 1
        if environment.diverged():
            break
        success = environment.succeeded()
    rate_hz = CONTROL_RATE_HZ * environment.substeps
    found: dict[str, Any] = {**asdict(way), "seed": seed, "success": success, "steps": steps}
    found |= {name: float(f"{value:.6g}") for name, value in motion.figures(rate_hz).items()}
    if arm.states:
        audit = MotionAudit(arm.executor.limits, arm.executor.period)
        audit.add(np.array(arm.states))
        found |= {"commands": audit.steps, "violations": sum(audit.violations.values())}
        found |= {"events": dict(Counter(event.kind for event in arm.executor.events))}
    return found


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
    kept = {
        "command": f"python -m benchmarks.closed_loop RUN --task {options.task} --name {options.name} "
        f"--episodes {options.episodes}",
        "task": options.task,
        "first_seed": options.first_seed,
        "machine": describe_machine(),
        "date": time.strftime("%Y-%m-%d"),
        "figures": summaries(read_log(log)),
    }
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / f"{options.name}.json").write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
