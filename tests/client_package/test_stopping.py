"""Stops: the shortest there are, as Ruckig finds them too, and how far they go; and what the guard lets through."""

import numpy as np
import pytest
from ruckig import ControlInterface, InputParameter, Ruckig, Trajectory

from headstart_client import ArmLimits
from headstart_client.guard import Guard
from headstart_client.stopping import JointStop, State

JERK, ACCELERATION, VELOCITY = 200.0, 10.0, 2.0
LIMITS = ArmLimits(*(np.array([value]) for value in (-1.0, 1.0, VELOCITY, ACCELERATION, JERK)))


def states() -> list[tuple[float, float, float]]:
    """Random, and those where something is nothing."""
    rng = np.random.default_rng(0)
    drawn = rng.uniform(-1, 1, (2000, 3)) * [1.0, VELOCITY, ACCELERATION]
    drawn[:300, 1], drawn[200:500, 2] = 0.0, 0.0
    # A velocity that its acceleration just takes away.
    drawn[500:600, 1] = -drawn[500:600, 2] * np.abs(drawn[500:600, 2]) / (2 * JERK)
    return [(q, v, a) for q, v, a in drawn.tolist()]


def test_stops_are_those_of_ruckig() -> None:
    ruckig, given, trajectory = Ruckig(1), InputParameter(1), Trajectory(1)
    given.control_interface = ControlInterface.Velocity
    given.max_velocity, given.max_acceleration, given.max_jerk = [VELOCITY], [ACCELERATION], [JERK]
    given.target_velocity = given.target_acceleration = [0.0]
    for state in states():
        stop = JointStop.shortest(state, ACCELERATION, JERK)
        (given.current_position, given.current_velocity, given.current_acceleration) = ([value] for value in state)
        ruckig.calculate(given, trajectory)
        assert stop.end == pytest.approx(trajectory.duration, abs=1e-7)
        (end,), _, _ = trajectory.at_time(trajectory.duration)
        position, velocity, acceleration = stop.at(stop.end)
        assert position == pytest.approx(end, abs=1e-8)
        assert (velocity, acceleration) == (0.0, 0.0)


def test_extremes_are_those_of_the_way() -> None:
    for state in states():
        stop = JointStop.shortest(state, ACCELERATION, JERK)
        way = np.array([stop.at(time)[0] for time in np.linspace(0.0, stop.end, 200)])
        lowest, highest = stop.extremes()
        assert lowest - 1e-12 <= way.min() < lowest + 1e-4
        assert highest - 1e-4 < way.max() <= highest + 1e-12


def test_the_guard_allows_what_can_stop_inside_and_nothing_else() -> None:
    guard, inside = Guard(LIMITS, 1e-3), 0
    for q, v, a in states():
        # One period before, with the same acceleration.
        before = State([q - 1e-3 * v + 0.5e-6 * a], [v - 1e-3 * a], [a])
        stop = JointStop.shortest((q, v, a), ACCELERATION, JERK)
        way = [stop.at(time) for time in np.linspace(0.0, stop.end, 500)]
        safe = max(abs(position) for position, _, _ in way) <= 1.0 and max(abs(one[1]) for one in way) <= VELOCITY
        inside += safe
        assert guard.allows(before, State([q], [v], [a])) == safe, (q, v, a)
    assert len(states()) - inside > 100


@pytest.mark.parametrize(
    ("state", "allowed"),
    [
        (State([3e-8], [0.9e-4], [0.1999]), True),
        (State([3e-8], [0.9e-4], [0.2001]), False),
        (State([3e-8], [2e-4], [0.1999]), False),
        (State([1e-9], [0.0], [0.0]), True),
        (State([1e-7], [0.0], [0.0]), False),
        (State([float("nan")], [0.0], [0.0]), False),
    ],
)
def test_the_guard_allows_no_jump(state: State, allowed: bool) -> None:
    """From rest at 0, in 1 ms: to an acceleration of 200 * 1e-3 = 0.2 at most, and what goes with it."""
    assert Guard(LIMITS, 1e-3).allows(State([0.0], [0.0], [0.0]), state) == allowed
