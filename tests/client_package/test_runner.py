"""The runner in real time, with a policy that answers late, not at all, or wrongly. Nothing here depends on speed."""

import threading
import time
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from headstart_client import ArmLimits, Command, Executor, PolicyError, Runner
from headstart_client.audit import MotionAudit

LIMITS = ArmLimits(*([value] * 2 for value in (-1.5, 1.5, 2.0, 10.0, 200.0)))  # type: ignore[arg-type]


class Policy:
    """Goes to and fro; each third answer is missing. Ends the run after some answers."""

    def __init__(self, answers: int) -> None:
        self.left, self.prefixes = answers, list[Any]()
        self.runner: Runner | None = None

    def __call__(self, observed_at: float, prefix: NDArray[np.float64] | None) -> NDArray[np.float64]:
        self.left -= 1
        self.prefixes.append(prefix)
        if not self.left:
            assert self.runner is not None
            self.runner.stop()
        if self.left % 3 == 0:
            raise PolicyError("no answer")
        time.sleep(0.03)
        times = observed_at + np.arange(40) / 20
        return 0.4 * np.sin(2 * times)[:, None] * np.ones(2)


def make(policy: Any, send: Any = None) -> tuple[Runner, list[Command]]:
    sent: list[Command] = []
    executor = Executor(LIMITS, np.zeros(2), rate_hz=100, policy_rate_hz=20)
    return Runner(executor, policy, time.monotonic, send or sent.append, ask_every_s=0.1, past_steps=1), sent


def check_motion(sent: list[Command]) -> None:
    """Limits were kept, something moved, and it stands at the end."""
    states = np.array([command.state() for command in sent])
    audit = MotionAudit(LIMITS, 0.01)
    audit.add(states)
    assert sum(audit.violations.values()) == 0
    assert np.ptp(states[:, 0]) > 0.01
    assert not states[-1, 1:].any()


def test_it_moves_the_arm_while_it_asks_and_stops_it_when_told() -> None:
    policy = Policy(12)
    runner, sent = make(policy)
    policy.runner = runner
    runner.run()
    check_motion(sent)
    assert policy.left == 0
    assert runner.latency_s >= 0.03
    events = runner.executor.events
    assert sum(event.kind == "unanswered" for event in events) == 4
    assert runner.executor.resting
    # The first has nothing to go on from. The others have the step before the observation, and those until the answer.
    assert policy.prefixes[0] is None
    assert all(prefix.shape[0] >= 2 for prefix in policy.prefixes[2:])


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("the bus is gone")])
def test_the_arm_is_stopped_before_an_error_leaves(error: Any) -> None:
    policy, sent = Policy(10**6), list[Command]()

    def send(command: Command) -> None:
        sent.append(command)
        if sum(c.following for c in sent) == 100 and command.following:
            raise error

    runner, _ = make(policy, send)
    with pytest.raises(error if isinstance(error, type) else OSError):
        runner.run()
    check_motion(sent)


def test_what_observing_raises_ends_the_run_with_the_arm_at_rest() -> None:
    sent: list[Command] = []
    executor = Executor(LIMITS, np.zeros(2), rate_hz=100, policy_rate_hz=20)
    moving = threading.Event()

    def observe() -> float:
        if moving.wait(timeout=0.2):
            raise ValueError("the camera is gone")
        return time.monotonic()

    def send(command: Command) -> None:
        sent.append(command)
        if np.abs(command.position).max() > 0.02:
            moving.set()

    with pytest.raises(ValueError, match="the camera is gone"):
        Runner(executor, Policy(10**6), observe, send, ask_every_s=0.01).run()
    check_motion(sent)
