"""What the executor does with good chunks, bad ones, late ones and none. All of it in simulated time."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from headstart_client import ArmLimits, ChunkChecks, Command, Executor
from headstart_client.audit import MotionAudit

DOF = 3
LIMITS = ArmLimits(*([value] * DOF for value in (-1.5, 1.5, 2.0, 10.0, 200.0)))  # type: ignore[arg-type]
Array = NDArray[np.float64]


def executor(**changes: Any) -> Executor:
    return Executor(LIMITS, np.zeros(DOF), **({"rate_hz": 500, "policy_rate_hz": 20} | changes))


def sines(times: Array) -> Array:
    """(times, DOF): 0.3 rad at 0.3 to 0.5 Hz."""
    return 0.3 * np.sin(2 * np.pi * np.array([0.3, 0.4, 0.5]) * times[..., None])


def starting(times: Array) -> Array:
    """(times, DOF): from rest to 0.6 rad and back."""
    return 0.3 - 0.3 * np.cos(2 * np.pi * np.array([0.3, 0.35, 0.4]) * times[..., None])


def chunk(start: float, of: Callable[[Array], Array] = sines, steps: int = 16) -> Array:
    return of(start + np.arange(steps) / 20)


class Run:
    """Ticks of an executor, whose commands are audited at the end."""

    def __init__(self, subject: Executor) -> None:
        self.executor, self.commands = subject, list[Command]()

    def until(self, end: float) -> Command:
        """Ticks up to a time [s]."""
        while (len(self.commands) + 0.5) * self.executor.period < end:
            self.commands.append(self.executor.tick((len(self.commands) + 1) * self.executor.period))
        return self.commands[-1]

    def audited(self) -> Array:
        """All states (ticks, 3, DOF), which kept every limit."""
        states = np.array([command.state() for command in self.commands])
        audit = MotionAudit(self.executor.limits, self.executor.period)
        audit.add(states)
        assert sum(audit.violations.values()) == 0, audit.violations
        return states

    def kinds(self) -> list[str]:
        return [event.kind for event in self.executor.events]


def follow(subject: Executor, end: float, delay: float, every: float = 0.2) -> Run:
    """A policy that sees the future, asked each `every` [s], whose answers come `delay` later."""
    run, asked = Run(subject), 0.0
    while asked + delay < end:
        run.until(asked + delay)
        subject.offer(chunk(asked), asked)
        asked += every
    run.until(end)
    return run


@pytest.mark.parametrize("delay", [0.01, 0.05, 0.2, 0.45])
def test_it_follows_in_time_however_late_answers_are(delay: float) -> None:
    run = follow(executor(), 6.0, delay)
    states, settled = run.audited(), round(2.0 * 500)
    times = np.array([command.time for command in run.commands])
    # The spline rounds curves off by a sixth of the bend from step to step: 0.3 (2 pi 0.5)^2 / 20^2 / 6 = 1.2 mrad.
    assert np.abs(states[settled:, 0] - sines(times[settled:])).max() < 2e-3
    assert run.kinds() == ["followed"]


def test_noise_from_step_to_step_comes_out_less() -> None:
    noise = 1e-3 * np.random.default_rng(0).standard_normal((100, DOF))
    commanded = []
    for added in (np.zeros((100, DOF)), noise):
        run = Run(executor())
        run.executor.offer(chunk(0.0, starting, steps=100) + added, 0.0)
        run.until(4.9)
        commanded.append(run.audited()[:, 0])
        assert run.kinds() == ["followed"]
    # At the knots (1, 4, 1) / 6 leaves 0.71 of white noise, between them less.
    assert 0.5 < np.std(commanded[1] - commanded[0]) / np.std(noise) < 0.71


def test_a_standing_arm_carries_out_a_late_chunk_from_its_beginning() -> None:
    """Dropping what passed while it stood would have it hurry after the chunk."""
    run = Run(executor())
    run.until(0.2)
    run.executor.offer(chunk(0.0, starting), 0.0)
    run.until(0.9)
    states = run.audited()
    times = np.array([command.time for command in run.commands])
    assert np.abs(states[:, 0] - starting(np.maximum(times - 0.2, 0.0))).max() < 2e-3
    assert run.kinds() == ["followed"]
    # It is as old as its observation all the same.
    late = Run(executor(most_age_s=0.5))
    late.until(0.2)
    late.executor.offer(chunk(0.0, starting), 0.0)
    assert late.until(0.5).following
    assert not late.until(0.502).following


def test_a_new_chunk_that_disagrees_takes_over_smoothly() -> None:
    run = Run(executor())
    run.executor.offer(chunk(0.0, starting), 0.0)
    run.until(0.4)
    run.executor.offer(chunk(0.35, starting) + 0.05, 0.35)
    run.until(1.1)
    states = run.audited()
    apart = states[:, 0] - starting(np.array([command.time for command in run.commands]))
    assert np.abs(apart[:200]).max() < 2e-3
    assert np.abs(apart[-50:] - 0.05).max() < 2e-3
    # The jump of 50 mrad takes (60 * 0.05 / 100)^(1/3) = 0.31 s, at half of the jerk limit, and no overshoot.
    assert apart.max() < 0.052
    assert np.abs(np.diff(states[200:, 2], axis=0)).max() * 500 < 0.55 * LIMITS.jerk[0]


def test_a_strong_arm_takes_the_time_it_is_given_to_take_over() -> None:
    limits = replace(LIMITS, acceleration=np.full(DOF, 100.0), jerk=np.full(DOF, 20000.0))
    run = Run(Executor(limits, np.zeros(DOF), rate_hz=500, policy_rate_hz=20, join_s=0.4))
    run.executor.offer(np.zeros((16, DOF)), 0.0)
    run.until(0.4)
    run.executor.offer(np.full((16, DOF), 0.05), 0.4)
    # The quintic from rest to rest has done 0.1035 of its way after a quarter of its time, half of it after a half.
    assert run.until(0.5).position == pytest.approx(0.1035 * 0.05, rel=0.01)
    assert run.until(0.6).position == pytest.approx(0.5 * 0.05, rel=0.01)
    assert run.until(0.8).position == pytest.approx(0.05, rel=0.01)
    run.audited()


def test_chunks_at_every_step_still_get_there() -> None:
    """Each takes over from where the arm is; that must not begin the way anew each time."""
    run = Run(executor())
    for step in range(40):
        run.executor.offer(np.full((16, DOF), 0.8), step / 20)
        run.until((step + 1) / 20)
    states = run.audited()
    arrived = np.flatnonzero(np.abs(states[:, 0] - 0.8).max(axis=1) < 1e-3)[0] / 500
    # One chunk alone would take 1.875 * 0.8 / 1.0 = 1.5 s, at half of the velocity limit.
    assert 1.3 < arrived < 1.6
    assert states[:, 0].max() < 0.801


def test_a_late_policy_stops_the_arm_at_rest_and_it_goes_on_later() -> None:
    run = Run(executor())
    run.executor.offer(chunk(0.0), 0.0)
    # The chunk's last step is due at 0.75 s.
    assert run.until(0.75).following
    assert not run.until(0.76).following
    at_rest = run.until(1.2)
    assert not at_rest.velocity.any()
    assert not at_rest.acceleration.any()
    assert run.executor.resting
    assert run.kinds() == ["followed", "stopped", "rested"]
    assert "its chunk ended at 0.750 s" in run.executor.events[1].reason
    run.executor.offer(chunk(1.15), 1.15)
    assert run.until(1.85).following
    states = run.audited()
    # The arm stood until the answer was there, 0.05 s after its observation, and so the chunk began then.
    assert np.abs(states[-1, 0] - sines(np.array(run.commands[-1].time - 0.05))).max() < 2e-3
    assert run.kinds() == ["followed", "stopped", "rested", "followed"]


def test_an_old_observation_stops_it_before_the_chunk_ends() -> None:
    run = Run(executor(most_age_s=0.3))
    run.executor.offer(chunk(0.0), 0.0)
    assert run.until(0.3).following
    assert not run.until(0.304).following
    run.executor.offer(chunk(0.0), 0.0)
    run.until(1.0)
    assert run.kinds() == ["followed", "stopped", "dropped", "rested"]
    run.audited()


BAD: dict[str, tuple[Callable[[Array], Any], str]] = {
    "not a number": (lambda good: np.where(np.arange(16)[:, None] == 7, np.nan, good), "number 0 of step 7 is nan"),
    "infinite": (lambda good: np.where(np.arange(16)[:, None] == 15, np.inf, good), "number 0 of step 15 is inf"),
    "another arm's": (lambda good: np.zeros((16, 7)), r"its shape is (16, 7), not"),
    "one step": (lambda good: good[:1], "its shape is (1, 3), not"),
    "no array": (lambda good: {"actions": good}, "it is no array of numbers"),
    "ragged": (lambda good: [[0.0], [0.0, 1.0]], "it is no array of numbers"),
    "outside": (lambda good: good + np.array([0, 0, 1.9]), "wants joint 2 at"),
    "degrees": (lambda good: np.degrees(good), "outside -1.49"),
}


@pytest.mark.parametrize("what", BAD)
def test_nonsense_stops_it_and_sense_starts_it_again(what: str) -> None:
    spoil, reason = BAD[what]
    run = Run(executor())
    run.executor.offer(chunk(0.0), 0.0)
    run.until(0.4)
    run.executor.offer(spoil(chunk(0.35)), 0.35)
    assert not run.until(0.402).following
    assert run.kinds() == ["followed", "refused", "stopped"]
    assert reason in run.executor.events[1].reason
    rest = run.until(0.9)
    assert not rest.velocity.any()
    run.executor.offer(chunk(0.85), 0.85)
    assert run.until(1.5).following
    run.audited()


def test_what_is_absurdly_far_is_refused_unless_it_is_wanted() -> None:
    limits = replace(LIMITS, lower=np.full(DOF, -9.0), upper=np.full(DOF, 9.0))
    far = np.full((16, DOF), 4.0)
    for checks, kinds in ((ChunkChecks(), ["refused"]), (ChunkChecks(farthest_s=np.inf), ["followed"])):
        run = Run(Executor(limits, np.zeros(DOF), rate_hz=500, policy_rate_hz=20, checks=checks))
        run.executor.offer(far, 0.0)
        run.until(0.5)
        assert run.kinds()[:1] == kinds
        run.audited()


def test_a_little_outside_is_moved_to_the_limit() -> None:
    run = Run(executor())
    run.executor.offer(np.linspace(0.0, 1.6, 80)[:, None] * np.ones(DOF), 0.0)
    states = run.until(5.0).position
    assert np.abs(states - 1.5).max() < 5e-3
    assert (run.audited()[:, 0] <= 1.5).all()


def test_a_workspace_is_never_left() -> None:
    limits = LIMITS.within([-0.2, -np.inf, -np.inf], [0.2, np.inf, np.inf])
    run = Run(Executor(limits, np.zeros(DOF), rate_hz=500, policy_rate_hz=20))
    run.executor.offer(chunk(0.0, steps=6), 0.0)
    run.until(0.2)
    run.executor.offer(chunk(0.2), 0.2)
    run.until(2.0)
    assert "wants joint 0 at 0.29" in next(e.reason for e in run.executor.events if e.kind == "refused")
    assert np.abs(run.audited()[:, 0, 0]).max() <= 0.2
    assert run.executor.resting


def test_faster_than_the_arm_is_followed_behind_and_caught_up_with() -> None:
    """A ramp of 3 rad/s for 0.5 s, where the arm does 2 rad/s."""
    run = Run(executor())
    run.executor.offer(np.clip(3.0 * (np.arange(60) / 20 - 0.5), 0.0, 1.4)[:, None] * np.ones(DOF), 0.0)
    run.until(2.5)
    states = run.audited()
    assert np.abs(states[:, 1]).max() > 1.9
    assert np.abs(states[-1, 0] - 1.4).max() < 1e-3
    assert run.kinds() == ["followed", "slowed", "followed"]


def test_chunks_out_of_order_are_dropped() -> None:
    run = Run(executor())
    run.until(0.2)
    run.executor.offer(chunk(0.2), 0.2)
    run.until(0.3)
    run.executor.offer(chunk(0.0), 0.0)
    run.until(0.5)
    run.executor.offer(chunk(0.0), float("nan"))
    run.until(0.51)
    assert run.kinds() == ["followed", "dropped", "refused", "stopped"]
    late = executor()
    late.offer(chunk(0.0), 0.0)
    late.tick(5.0)
    assert [event.kind for event in late.events] == ["dropped"]


def test_the_gripper_passes_through_and_is_kept_while_stopping() -> None:
    run, gripper = Run(executor()), np.where(np.arange(16) < 4, -1.0, 1.0)
    run.executor.offer(np.column_stack([chunk(0.0), gripper]), 0.0)
    assert run.until(0.198).gripper == -1.0
    assert run.until(0.2).gripper == 1.0
    assert run.until(2.0).gripper == 1.0
    assert executor().tick(0.002).gripper is None


def test_the_prefix_is_what_was_commanded_and_what_will_be() -> None:
    run = follow(executor(), 1.0, 0.1)
    prefix = run.executor.prefix(1.0, past=2, ahead=4)
    assert prefix is not None
    assert prefix.shape == (6, DOF)
    assert np.abs(prefix - sines(1.0 + np.arange(-2, 4) / 20)).max() < 2e-3
    # It ends where the chunk does: one of 0.8 s.
    long = run.executor.prefix(1.0, past=1, ahead=60)
    assert long is not None
    assert len(long) == 1 + 12
    # Nothing was commanded yet.
    assert executor().prefix(0.0, past=1, ahead=2) is None


def test_it_starts_at_the_end_of_a_range_and_not_beyond() -> None:
    run = Run(Executor(LIMITS, LIMITS.upper, rate_hz=500, policy_rate_hz=20))
    run.executor.offer(np.linspace(1.5, 1.0, 30)[:, None] * np.ones(DOF), 0.0)
    assert np.abs(run.until(1.45).position - 1.0).max() < 2e-2
    run.audited()
    with pytest.raises(ValueError, match=r"the arm is at \[1.6, 0.0, 0.0\]; move it inside"):
        Executor(LIMITS, [1.6, 0.0, 0.0], rate_hz=500, policy_rate_hz=20)
    with pytest.raises(ValueError, match="too few"):
        executor(rate_hz=30)


def test_the_same_calls_give_the_same_commands() -> None:
    one, other = (follow(executor(), 2.0, 0.13).audited() for _ in range(2))
    assert np.array_equal(one, other)


def test_events_are_bounded() -> None:
    subject = executor()
    for index in range(3000):
        subject.offer([[0.0]], 0.0)
        subject.tick(index * subject.period)
    assert len(subject.events) == 1000


def test_a_prefix_is_of_what_is_carried_out_from_now_on_and_of_nothing_before_the_first_chunk() -> None:
    run = Run(executor())
    run.until(0.2)
    # Commands before the first chunk would be actions without a gripper, which no policy has.
    assert run.executor.prefix(0.2, 1, 1) is None
    run.executor.offer(np.column_stack([chunk(0.2, starting), np.ones(16)]), 0.2)
    run.until(0.4)
    newer = np.column_stack([np.full((16, DOF), 0.2), -np.ones(16)])
    run.executor.offer(newer, 0.4)
    prefix = run.executor.prefix(0.4, 1, 8)
    assert prefix is not None
    assert prefix.shape == (9, DOF + 1)
    # The latest commanded were the older chunk's, what comes is the newer one's.
    assert prefix[:, -1].tolist() == [1.0, 1.0] + [-1.0] * 7


def hurrying(times: Array) -> Array:
    """(times, DOF): moves and speeds up from the first moment, to 1.6 rad/s."""
    turned: Array = 0.5 * np.array([5.0, -5.0, 4.0]) * np.minimum(times, 0.3)[..., None] ** 2
    return 0.05 + 0.1 * times[..., None] + turned


def test_what_is_made_up_for_and_the_path_together_keep_the_limits() -> None:
    """Each alone kept them; a Panda that began to reach for a cube got 0.25 s behind, one joint going to and fro."""
    limits = ArmLimits(*map(np.array, ([-3, -2], [3, 2], [2.1, 2.1], [15, 7.5], [7500, 3750])))
    aside = [0.016, -0.017, -0.038, -0.05, -0.055, -0.056, -0.055, -0.056, -0.06, -0.065, -0.07, -0.075, -0.079]
    down = [0.066, 0.084, 0.115, 0.155, 0.204, 0.255, 0.304, 0.348, 0.385, 0.416, 0.443, 0.47, 0.497]
    run = Run(Executor(limits, np.zeros(2), rate_hz=500, policy_rate_hz=20))
    run.executor.offer(np.column_stack([aside, down]), 0.0)
    run.until(0.6)
    states = run.audited()
    assert run.kinds() == ["followed"]
    assert states[-1, 0] == pytest.approx([-0.079, 0.497], abs=2e-3)
    assert states[:, 0, 1].min() > -1e-6


def test_what_no_arm_follows_later_in_a_chunk_does_not_make_the_arm_take_over_later() -> None:
    """It took 6.3 times as long, which mends nothing there, and was 0.11 rad behind after 0.4 s."""
    limits, times = ArmLimits(*(np.full(2, value) for value in (-3.0, 3.0, 1.0, 10.0, 200.0))), np.arange(60) / 20

    def behind(hurry: float) -> Array:
        """How far the arm is from a chunk that goes so much faster from 2 s on [rad/s], every 0.1 s up to 1.8 s."""
        run = Run(Executor(limits, np.zeros(2), rate_hz=200, policy_rate_hz=20))
        wanted = 0.05 + 0.1 * np.sin(2 * times) + hurry * np.maximum(times - 2.0, 0.0)
        run.executor.offer(np.column_stack([wanted] * 2), 0.0)
        run.until(1.8)
        apart: Array = run.audited()[19::20, 0, 0] - np.interp(np.arange(1, 19) / 10, times, wanted)
        return np.abs(apart)

    assert behind(1.5)[3:].max() < 3e-3
    # What can be followed throughout is as it was.
    assert behind(0.0)[3:].max() < 1e-3


@pytest.mark.parametrize("faster", [1.0, 8.0])
def test_the_prefix_is_what_will_be_commanded_where_the_arm_is_behind_its_path(faster: float) -> None:
    """It was the path: a policy was told of jumps that it never made, and answered with some of its own."""
    run = Run(executor())
    run.executor.offer(faster * chunk(0.0, hurrying) / 2, 0.0)
    run.until(0.15)
    # A moment that is rounded a little later than the tick's, 75 * 0.002.
    prefix = run.executor.prefix(3 * 0.05, past=2, ahead=8)
    run.until(0.5)
    assert prefix is not None
    due = [round((0.15 + step / 20) * 500) - 1 for step in range(-2, 8)]
    assert np.array([run.commands[tick].position for tick in due]) == pytest.approx(prefix, abs=1e-9)
    assert ("slowed" in run.kinds()) == (faster > 1)


def test_the_prefix_of_an_arm_that_stops_is_its_stop() -> None:
    run = Run(executor())
    run.executor.offer(chunk(0.0), 0.0)
    run.until(0.4)
    run.executor.halt(0.4, "a test")
    prefix = run.executor.prefix(0.4, past=1, ahead=4)
    run.until(0.6)
    assert prefix is not None
    due = [round(time * 500) - 1 for time in (0.35, 0.4, 0.45, 0.5, 0.55)]
    assert np.array([run.commands[tick].position for tick in due]) == pytest.approx(prefix, abs=1e-9)
    assert np.abs(prefix[-1] - prefix[1]).max() > 1e-2
