"""The executor of headstart-client: that it keeps every limit of every arm, how long a tick takes, and how it follows.

    python -m benchmarks.executor [--steps N] [--seconds N] [--seed S]

`audited_steps` are commands at 1,000 Hz, on every arm of the catalogue in turn, under chunks of 16 steps at 20 Hz that
are random, adversarial or like real ones, whose answers come after 0 to 2 s, out of order, or never; some are nonsense.
Each is looked at by headstart_client.audit. Ticks are timed by the thread's CPU time, which other work on the machine
disturbs less; `keepouts_` figures are of ticks at 500 Hz with a table and the arm itself to keep out of. A simulated
hour is 3,600,000 ticks at 1,000 Hz. `executor_` figures are of smooth chunks with noise of 1 mrad, `average_` figures
of a moving average with alpha 0.25 at the policy's rate, its step clipped, joined by straight lines.
"""

import argparse
import gc
import time
import tracemalloc
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks._bars import Bar, conclude
from benchmarks._keepout_ticks import keepout_ticks
from headstart_client import ArmLimits, ChunkChecks, Executor
from headstart_client.audit import MotionAudit
from services.catalogue import ARMS
from services.synthesis.arm.robot_model import robot_model

RATE_HZ, POLICY_HZ, STEPS = 1000.0, 20.0, 16
ALPHA = 0.25
"""Of the moving average."""
KIND_S, SILENT_S = 2.0, 4.0
"""How long chunks are of one kind, and how long there are none at last [s]."""
TIMED_TICKS = 200_000
"""Most of which the time is taken; what is allocated is looked at afterwards, since that takes time too."""
KINDS = ("random", "limits", "alternating", "outward", "real", "nonsense")
"""Chunks: anywhere; jumps between limits; to and fro between two postures; to a limit with velocity towards it; a
smooth motion with noise; and those that must be refused."""
KEEPOUTS_AWAY_MM = (80, 20, 5)
"""How far the fingers are from the margin of a table."""
AUDIT_BARS: dict[str, Bar] = {"violations": ("==", 0), "stops_without_rest": ("==", 0)}
BARS: dict[str, Bar] = AUDIT_BARS | {
    "tick_p99_us": ("<", 200),
    "allocation_growth_bytes_per_hour": ("<=", 65536),
    "lag_ratio": ("<", 0.5),
    "jerk_ratio": (">=", 10),
}

Array = NDArray[np.float64]


def arm_limits(name: str) -> ArmLimits:
    """Of an arm of the catalogue."""
    return ArmLimits.from_robot(robot_model(ARMS[name]).spec.to_json())


def smooth_motion(limits: ArmLimits, times: Array) -> Array:
    """Sines of other frequencies for each joint, at less than half of its limits, (times, dof)."""
    pace = 2 * np.pi * np.linspace(0.15, 0.25, limits.dof)
    size = 0.15 * (limits.upper - limits.lower)
    size = np.minimum(size, 0.4 * np.minimum(limits.velocity / pace, limits.acceleration / pace**2))
    positions: Array = (limits.lower + limits.upper) / 2 + size * np.sin(pace * times[:, None])
    return positions


def chunk(kind: str, rng: np.random.Generator, limits: ArmLimits, start: float) -> Array:
    """A chunk (STEPS, dof + 1) for an observation at `start` [s], of one of KINDS."""
    low, high = limits.lower, limits.upper
    shape, times = (STEPS, limits.dof), start + np.arange(STEPS) / POLICY_HZ
    if kind == "random":
        targets = rng.uniform(low, high, shape)
    elif kind == "limits":
        targets = np.where(rng.random(shape) < 0.5, low, high)
    elif kind == "alternating":
        targets = rng.uniform(low, high, (2, limits.dof))[np.arange(STEPS) % 2]
    elif kind == "outward":
        side, slope = rng.random(limits.dof) < 0.5, limits.velocity * rng.uniform(0.5, 1.0)
        late = (STEPS - 1 - np.arange(STEPS))[:, None] / POLICY_HZ
        targets = np.clip(np.where(side, high - late * slope, low + late * slope), low, high)
    else:
        targets = smooth_motion(limits, times) + 1e-3 * rng.standard_normal(shape)
        if kind == "nonsense":
            targets[rng.integers(STEPS), rng.integers(limits.dof)] = rng.choice([np.nan, np.inf, -100.0])
    return np.column_stack([targets, np.where(rng.random() < 0.5, -1.0, 1.0) * np.ones(STEPS)])


@dataclass
class Answers:
    """A policy on a bad network: what arrives at an executor, and when."""

    limits: ArmLimits
    rng: np.random.Generator
    kind: str = "real"
    longest_s: float = 2.0
    lost: float = 0.1
    _next_ask: float = 0.0
    _waiting: list[tuple[float, float, Array]] = field(default_factory=list)

    def due(self, now: float) -> Iterator[tuple[Array, float]]:
        """Chunks that arrive by `now`, each with its observation's time."""
        if now >= self._next_ask:
            if self.rng.random() >= self.lost:
                delay = self.longest_s * self.rng.random() ** 3
                self._waiting.append((now + delay, now, chunk(self.kind, self.rng, self.limits, now)))
            self._next_ask = now + self.rng.choice([0.05, 0.2, 0.4, 1.0])
        for item in [item for item in self._waiting if item[0] <= now]:
            self._waiting.remove(item)
            yield item[2], item[1]


def audit_arm(name: str, steps: int, seed: int, rate_hz: float = RATE_HZ) -> Counter[str]:
    """What came of `steps` commands on one arm, and of a last stop to rest: violations, stops, events of each kind."""
    rng, limits = np.random.default_rng([seed, *name.encode()]), arm_limits(name)
    # In two of three stretches everything inside the limits is to be carried out, however far it is.
    stretches = [ChunkChecks(farthest_s=farthest_s) for farthest_s in (np.inf, 1.0, np.inf)]
    counts: Counter[str] = Counter()
    for checks in stretches:
        middle = (limits.lower + limits.upper) / 2
        executor = Executor(limits, middle, rate_hz=rate_hz, policy_rate_hz=POLICY_HZ, checks=checks)
        counts += _audit(executor, Answers(limits, rng), steps // len(stretches))
    return counts


def _audit(executor: Executor, answers: Answers, steps: int) -> Counter[str]:
    audit, counts, states = MotionAudit(executor.limits, executor.period), Counter[str](), []
    silent_from, moving, stopping = steps - round(SILENT_S / executor.period), False, 0
    limits = executor.limits
    # No stop takes longer: from full speed at full acceleration outwards.
    stop_s = float(np.max(limits.velocity / limits.acceleration + 2 * limits.acceleration / limits.jerk))
    for index in range(1, steps + 1):
        now = index * executor.period
        if index % round(KIND_S / executor.period) == 1:
            answers.kind = str(answers.rng.choice(KINDS))
        for actions, observed_at in answers.due(now) if index < silent_from else ():
            executor.offer(actions, observed_at)
        command = executor.tick(now)
        states.append(command.state())
        counts.update(event.kind for event in executor.events)
        executor.events.clear()
        if len(states) == 5000 or index == steps:
            audit.add(np.array(states))
            states.clear()
        moving = bool(command.velocity.any() or command.acceleration.any())
        stopping = 0 if command.following or not moving else stopping + 1
        counts["stops_without_rest"] += stopping * executor.period > stop_s + 2 * executor.period
    counts["audited_steps"], counts["violations"] = audit.steps, sum(audit.violations.values())
    counts["stops_without_rest"] += moving
    return counts


def following(noise_mrad: float, seconds: float = 20.0, seed: int = 0) -> dict[str, float]:
    """Lag [ms] and jerk behind smooth chunks with noise, of the executor and of a moving average, on a Panda.

    An answer comes each 0.2 s, 0.1 s after its observation. Lag is the shift in time at which what was commanded is
    nearest to the motion without its noise; jerk is of third differences, at the commands' rate and at the policy's.
    """
    limits, rng = arm_limits("panda"), np.random.default_rng(seed)
    executor = Executor(limits, (limits.lower + limits.upper) / 2, rate_hz=RATE_HZ, policy_rate_hz=POLICY_HZ)
    times = np.arange(1, round(seconds * RATE_HZ) + 1) / RATE_HZ
    commands, newest = [], (0.0, np.zeros((0, limits.dof)))
    averaged: list[Array] = [smooth_motion(limits, np.zeros(1))[0]]
    for index, now in enumerate(times):
        if index % round(0.2 * RATE_HZ) == 0:
            observed_at = max(0.0, now - 0.1)
            targets = smooth_motion(limits, observed_at + np.arange(STEPS) / POLICY_HZ)
            targets = targets + 1e-3 * noise_mrad * rng.standard_normal(targets.shape)
            newest = (observed_at, targets)
            executor.offer(targets, observed_at)
        if index % round(RATE_HZ / POLICY_HZ) == 0:
            step = min(STEPS - 1, round((now - newest[0]) * POLICY_HZ))
            most = limits.velocity / POLICY_HZ
            averaged.append(averaged[-1] + np.clip(ALPHA * (newest[1][step] - averaged[-1]), -most, most))
        commands.append(executor.tick(now).position)
    steps = np.arange(len(averaged)) / POLICY_HZ
    lines = np.stack([np.interp(times, steps, joint) for joint in np.array(averaged).T], axis=1)
    figures: dict[str, float] = {}
    for name, positions in (("executor", np.array(commands)), ("average", lines)):
        settled = slice(round(2 * RATE_HZ), None)
        lags = np.arange(0.0, 0.4, 0.001)
        apart = [_rms(positions[settled] - smooth_motion(limits, times[settled] - lag)) for lag in lags]
        jerk = np.abs(np.diff(positions[settled], 3, axis=0)) * RATE_HZ**3
        coarse = positions[settled][:: round(RATE_HZ / POLICY_HZ)]
        figures |= {
            f"{name}_lag_ms": 1e3 * float(lags[np.argmin(apart)]),
            f"{name}_error_mrad": 1e3 * apart[0],
            f"{name}_mean_jerk_rad_per_s3": float(jerk.mean()),
            f"{name}_p99_jerk_rad_per_s3": float(np.percentile(jerk, 99)),
            f"{name}_policy_rate_mean_jerk_rad_per_s3": float(np.abs(np.diff(coarse, 3, axis=0)).mean()) * POLICY_HZ**3,
        }
    return figures


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2)))


def running(seconds: float) -> dict[str, float]:
    """Time of a tick [us of the thread's CPU] and what is allocated [bytes], over simulated seconds on a Panda."""
    limits, taken, allocated = arm_limits("panda"), array("d"), []
    executor = Executor(limits, (limits.lower + limits.upper) / 2, rate_hz=RATE_HZ, policy_rate_hz=POLICY_HZ)
    rng, ticks = np.random.default_rng(0), round(seconds * RATE_HZ)
    timed = min(TIMED_TICKS, ticks // 8)
    for index in range(1, ticks + 1):
        now = index / RATE_HZ
        if index % 400 == 1:
            executor.offer(chunk("real", rng, limits, max(0.0, now - 0.1)), max(0.0, now - 0.1))
        began = time.thread_time_ns()
        executor.tick(now)
        if index <= timed:
            taken.append((time.thread_time_ns() - began) / 1e3)
        elif index == timed + 1:
            tracemalloc.start()
        if index in (ticks // 4, ticks):
            gc.collect()
            allocated.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    p50, p99 = np.percentile(taken, [50, 99])
    hours = 0.75 * seconds / 3600
    return {
        "tick_p50_us": float(p50),
        "tick_p99_us": float(p99),
        "allocation_growth_bytes_per_hour": (allocated[1] - allocated[0]) / hours,
    }


def main() -> int:
    """Measures, and prints one JSON object on the last line. Returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=1_000_000, help="of the audit, all arms together")
    parser.add_argument("--seconds", type=float, default=3600.0, help="of the run that is timed (default an hour)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    for name in ARMS:
        of_arm = audit_arm(name, -(-options.steps // len(ARMS)), options.seed)
        print(f"{name}: {dict(of_arm)}", flush=True)
        counts += of_arm
    report: dict[str, float] = {key: counts[key] for key in ("audited_steps", "violations", "stops_without_rest")}
    report |= {kind: counts[kind] for kind in ("stopped", "rested", "slowed", "refused", "dropped")}
    report |= following(noise_mrad=1.0) | running(options.seconds)
    for away in KEEPOUTS_AWAY_MM:
        p50, p99 = keepout_ticks(1e-3 * away, arm_limits("panda"))
        report |= {f"keepouts_{away}_mm_away_tick_p50_us": p50, f"keepouts_{away}_mm_away_tick_p99_us": p99}
    report["lag_ratio"] = report["executor_lag_ms"] / report["average_lag_ms"]
    report["jerk_ratio"] = report["average_mean_jerk_rad_per_s3"] / report["executor_mean_jerk_rad_per_s3"]
    return conclude({name: round(value, 3) for name, value in report.items()}, BARS)


if __name__ == "__main__":
    raise SystemExit(main())
