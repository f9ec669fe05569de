import itertools

import numpy as np
import ruckig
from hypothesis import given, settings
from hypothesis import strategies as st

from services.synthesis.draw.sampling import draw_candidates
from services.synthesis.motion.profiles import row_durations, sample_rows
from services.synthesis.motion.timing import Parameterizer
from services.synthesis.motion.vias import fastest_that_stops_within, via_velocities
from services.synthesis.pipeline import synthesize
from services.synthesis.request.families import is_family
from shared.records import content_hash
from tests.services.synthesis.examples import (
    JOINT_SPACE,
    TABLE,
    accepted_candidates,
    panda,
    parse,
    random_configurations,
    whole,
)
from tests.services.synthesis.pieces import fine_rows

CARRIED = {**TABLE, "count": 120, "via_velocity": [0.4, 1.0]}


def test_samples_of_segments_that_begin_and_end_in_motion_equal_ruckigs_bit_for_bit() -> None:
    n, rate_hz, limits = 80, 50.0, panda().planning_limits
    q, rng = random_configurations(2 * n, seed=8), np.random.default_rng(8)
    start, target = q[:n], q[n:]
    velocities = tuple(rng.uniform(-0.5, 0.5, (n, 7)) * limits.velocity for _ in range(2))
    shortest = np.where(np.arange(n) % 2, 0.0, 4.0)
    profiles, made = Parameterizer(panda()).connect(start, target, shortest, np.ones(n), (velocities[0], velocities[1]))
    assert made.all()
    segments, dwell = np.arange(n + 1), np.zeros(n)
    duration = row_durations(segments, profiles.duration, dwell)
    first = np.concatenate([[0], np.cumsum(np.ceil(duration * rate_hz).astype(np.int64) + 1)])
    sampled = np.empty((first[-1], 7)), np.empty((first[-1], 7)), np.empty((first[-1], 7))
    sample_rows(
        segments, first, rate_hz, profiles.start, profiles.velocity, profiles.acceleration, profiles.time,
        profiles.jerk, profiles.duration, dwell, np.zeros((n, 2)), *sampled, np.empty(first[-1]),
    )  # fmt: skip
    request, trajectory = ruckig.InputParameter(7), ruckig.Trajectory(7)
    request.max_velocity, request.max_acceleration = limits.velocity.tolist(), limits.acceleration.tolist()
    request.max_jerk = limits.jerk.tolist()
    compared = 0
    for i in range(n):
        request.current_position, request.target_position = start[i].tolist(), target[i].tolist()
        request.current_velocity, request.target_velocity = velocities[0][i].tolist(), velocities[1][i].tolist()
        request.minimum_duration = float(shortest[i]) or None
        ruckig.Ruckig(7).calculate(request, trajectory)
        assert trajectory.duration == profiles.duration[i]
        for k in range(first[i + 1] - first[i]):
            if k / rate_hz < trajectory.duration:
                for ours, reference in zip(sampled, trajectory.at_time(k / rate_hz), strict=True):
                    assert ours[first[i] + k].tolist() == reference
                    compared += len(reference)
    assert compared > 100_000


def test_the_fastest_velocity_that_stops_within_a_distance_is_ruckigs() -> None:
    limits = panda().planning_limits
    solver, trajectory, request = ruckig.Ruckig(1), ruckig.Trajectory(1), ruckig.InputParameter(1)
    request.control_interface = ruckig.ControlInterface.Velocity
    request.target_velocity = request.target_acceleration = [0.0]
    for distance in (1e-9, 1e-6, 1e-3, 0.03, 0.2, 1.0, 4.0):
        fastest = fastest_that_stops_within(np.full((1, 7), distance), limits)[0]
        for joint in range(7):
            request.max_acceleration, request.max_jerk = [limits.acceleration[joint]], [limits.jerk[joint]]
            request.current_velocity = [fastest[joint]]
            solver.calculate(request, trajectory)
            assert abs(trajectory.at_time(trajectory.duration)[0][0] - distance) < 1e-9 * distance + 1e-15


@given(st.integers(0, 2**32), st.floats(0.0, 1.0))
@settings(max_examples=40, deadline=None)
def test_via_velocities_stay_below_the_limits_and_point_onward(seed: int, share: float) -> None:
    limits, n = panda().planning_limits, 40
    q, rng = random_configurations(n + 1, seed=seed), np.random.default_rng(seed)
    # Some waypoints lie on a limit, some next to each other.
    q = np.where(rng.random(q.shape) < 0.1, np.where(rng.random(q.shape) < 0.5, limits.lower, limits.upper), q)
    q[5], q[9] = q[4], q[8] + 1e-12
    profiles, made = Parameterizer(panda()).connect(q[:-1], q[1:], np.zeros(n), np.ones(n))
    assert made.all()
    kept = np.where(np.arange(n) % 6 < 5, share, 0.0)
    kept[-1] = 0.0
    velocity = via_velocities(q[:-1], q[1:], profiles.duration, kept, limits)
    assert (np.abs(velocity) < limits.velocity).all()
    assert not velocity[kept == 0].any()
    assert (velocity[:-1] * (q[2:] - q[:-2]) >= 0).all()
    on_limit = (q[1:] <= limits.lower) | (q[1:] >= limits.upper)
    assert not velocity[on_limit].any()


def test_the_arm_goes_on_through_vias_but_stops_where_its_gripper_acts() -> None:
    request = parse(CARRIED)
    drawn = draw_candidates(request, panda(), np.arange(400), np.zeros(400, np.int64))
    assert is_family(drawn.family, "via_points").all()
    flips = np.diff(drawn.events.gripper, axis=1) != 0
    inner = np.arange(1, flips.shape[1] + 1) < drawn.segments[:, None]
    assert np.array_equal(drawn.events.kept > 0, inner & ~flips)
    assert not drawn.events.dwell[drawn.events.kept > 0].any()
    assert drawn.events.kept[drawn.events.kept > 0].min() >= 0.4

    rows = synthesize(whole(request))
    drawn = accepted_candidates(request, rows)
    stops = drawn.segments - 1 - (drawn.events.kept > 0).sum(1)
    assert stops.sum() > 60
    assert (drawn.events.kept > 0).sum() > 60
    for row, expected in zip(fine_rows(rows), stops, strict=True):
        at_rest = list(np.abs(row.qd).max(axis=1) < 1e-9)
        rests = [resting for resting, _ in itertools.groupby(at_rest) if resting]
        assert len(rests) - 2 == expected


def test_a_request_without_via_velocity_is_the_one_it_was() -> None:
    plain, spelled = parse(JOINT_SPACE, count=6), parse(JOINT_SPACE, count=6, via_velocity=None)
    assert plain.dataset_id == spelled.dataset_id
    asked = parse(JOINT_SPACE, count=6, via_velocity=[0.5, 0.5])
    assert asked.dataset_id != plain.dataset_id
    assert content_hash(synthesize(whole(asked)).table) != content_hash(synthesize(whole(plain)).table)
