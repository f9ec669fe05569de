"""A policy that sees where the arm is, through the executor with late answers, beside the loop that waits for it."""

import numpy as np
import pytest
from numpy.typing import NDArray

from headstart_client import ArmLimits, Executor
from headstart_client.audit import MotionAudit

LIMITS = ArmLimits(*([value] * 2 for value in (-1.5, 1.5, 2.0, 10.0, 200.0)))  # type: ignore[arg-type]
GOAL, NEAR = np.array([0.6, -0.4]), 5e-3
Array = NDArray[np.float64]


def policy(position: Array, prefix: Array | None) -> Array:
    """16 steps from where the arm is, or from the end of what is committed, a tenth nearer to the goal in each."""
    fixed = np.zeros((0, 2)) if prefix is None else prefix[1:]
    start = position if not len(fixed) else fixed[-1]
    free = GOAL + (start - GOAL) * 0.9 ** np.arange(1, 17 - len(fixed))[:, None]
    return np.concatenate([fixed, free])


def direct() -> float:
    """When the goal is reached where the arm jumps to each action and time waits for the policy [s]."""
    position, steps = np.zeros(2), 0
    while np.abs(position - GOAL).max() > NEAR:
        for action in policy(position, None)[:8]:
            position, steps = action, steps + 1
            if np.abs(position - GOAL).max() <= NEAR:
                break
    return steps / 20


def through_executor(latency: float, joined: bool) -> tuple[float, Array]:
    """When it is reached [s], and the states until 2 s later."""
    executor = Executor(LIMITS, np.zeros(2), rate_hz=500, policy_rate_hz=20)
    states, reached, asked = [], np.inf, -np.inf
    position, tick, waiting = np.zeros(2), 0, list[Array]()
    while tick * executor.period < min(reached + 2.0, 20.0):
        now = tick * executor.period
        if waiting and now >= asked + latency - 1e-9:
            executor.offer(waiting.pop(), asked)
        # Asked anew as soon as the last answer is here, but not more often than each 0.2 s.
        if not waiting and now >= asked + 0.2 - 1e-9:
            prefix = executor.prefix(now, 1, round(np.ceil(latency * 20))) if joined else None
            asked, waiting = now, [policy(position, prefix)]
        tick += 1
        command = executor.tick(tick * executor.period)
        position = command.position
        states.append(command.state())
        if np.abs(position - GOAL).max() <= NEAR:
            reached = min(reached, command.time)
    return reached, np.array(states)


@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize("latency", [0.0, 0.05, 0.2])
def test_a_policy_gets_where_it_gets_by_itself(latency: float, joined: bool) -> None:
    reached, states = through_executor(latency, joined)
    audit = MotionAudit(LIMITS, 0.002)
    audit.add(states)
    assert sum(audit.violations.values()) == 0
    assert np.abs(states[-1, 0] - GOAL).max() < NEAR
    assert abs(reached - direct()) < 0.4
