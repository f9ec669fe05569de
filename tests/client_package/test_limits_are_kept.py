"""The executor keeps every limit of every arm, whatever it is given: the audit of benchmarks.executor, small."""

from typing import Any

import numpy as np
import pytest

from benchmarks._bars import judge
from benchmarks.executor import AUDIT_BARS, arm_limits, audit_arm
from headstart_client import ArmLimits, Executor
from headstart_client.audit import MotionAudit
from headstart_client.stopping import JointStop
from services.catalogue import ARMS


@pytest.mark.parametrize("arm", ARMS)
def test_no_limit_is_left_and_every_stop_ends_at_rest(arm: str) -> None:
    counts = audit_arm(arm, 3_000, seed=1) + audit_arm(arm, 6_000, seed=2, rate_hz=100.0)
    assert judge(counts, AUDIT_BARS)
    assert counts["audited_steps"] == 9_000
    # It was no easy life.
    assert min(counts["stopped"], counts["refused"]) > 0


@pytest.mark.parametrize("quantity", ["velocity", "acceleration", "jerk"])
def test_the_audit_notices_a_limit_that_is_a_little_lower(quantity: str) -> None:
    """A stop from full speed uses each limit whole; an arm that may do 1 % less is out of it."""
    stop = JointStop.shortest((0.0, 2.0, 0.0), acceleration=10.0, jerk=200.0)
    states = np.array([stop.at(index / 1000) for index in range(400)])[:, :, None]
    assert states[-1, 0, 0] == pytest.approx(2.0 / 2 * (2.0 / 10 + 10 / 200), abs=1e-12)
    whole: dict[str, Any] = {
        "lower": [-1],
        "upper": [1],
        "velocity": [2.0],
        "acceleration": [10.0],
        "jerk": [200.0 * (1 + 1e-9)],
    }
    found = []
    for share in (1.0, 0.99):
        audit = MotionAudit(ArmLimits(**(whole | {quantity: share * np.array(whole[quantity])})), 1e-3)
        audit.add(states)
        found.append({name for name, count in audit.violations.items() if count})
    assert found == [
        set(),
        {quantity, f"{quantity}_of_positions"} | ({"agreement"} if quantity == "jerk" else set()),
    ]


def test_the_audit_notices_positions_outside_and_velocities_that_are_not_theirs() -> None:
    limits = arm_limits("panda")
    still = np.zeros((10, 3, 7))
    still[:, 0] = limits.upper + 1e-9
    audit = MotionAudit(limits, 1e-3)
    audit.add(still[:4])
    audit.add(still[4:])
    assert (audit.steps, audit.violations["position"], audit.violations["jerk"]) == (10, 10, 0)
    lying = still.copy()
    lying[:, 0], lying[:, 1] = 0.0, 0.01
    audit = MotionAudit(limits, 1e-3)
    audit.add(lying[:4])
    audit.add(lying[4:])
    assert audit.violations["agreement"] == 9


def test_targets_at_a_limit_with_velocity_towards_it_are_reached_without_leaving_it() -> None:
    limits = arm_limits("panda")
    executor = Executor(limits, limits.upper - 0.5, rate_hz=1000, policy_rate_hz=20)
    audit = MotionAudit(limits, executor.period)
    executor.offer(np.linspace(limits.upper - 0.5, limits.upper, 40), 0.0)
    states = np.array([executor.tick(index / 1000).state() for index in range(1, 2501)])
    audit.add(states)
    assert sum(audit.violations.values()) == 0
    assert np.abs(states[-1, 0] - limits.upper).max() < 0.02  # [rad]; 40 steps take 1.95 s, at 0.26 rad/s
    assert not states[-1, 1:].any()
