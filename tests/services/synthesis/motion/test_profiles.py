import itertools

import numpy as np
import pytest
import ruckig

from services.synthesis.motion.profiles import (
    ACCELERATION,
    GAP,
    JERK,
    POSITION,
    VELOCITY,
    WITHIN,
    first_violation,
    row_durations,
    sample_rows,
)
from services.synthesis.motion.timing import Parameterizer, Profiles
from shared.robots import JointLimits
from tests.services.synthesis.examples import panda, random_configurations

RATE_HZ = 50.0


def _profiles(n: int, seed: int, shortest: float = 0.0, scale: float = 1.0) -> tuple[Profiles, np.ndarray]:
    q = random_configurations(2 * n, seed)
    profiles, made = Parameterizer(panda()).connect(q[:n], q[n:], np.full(n, shortest), np.full(n, scale))
    assert made.all()
    return profiles, q[n:]


def _sample(profiles: Profiles, dwell: float = 0.0) -> tuple[list[np.ndarray], ...]:
    """Each segment as a row of its own, in float64: q, qd, qdd."""
    n = len(profiles.duration)
    dwells, segments = np.full(n, dwell), np.arange(n + 1)
    duration = row_durations(segments, profiles.duration, dwells)
    first = np.concatenate([[0], np.cumsum(np.ceil(duration * RATE_HZ).astype(np.int64) + 1)])
    q, qd, qdd = (np.full((first[-1], panda().dof), np.nan) for _ in range(3))
    gripper = np.zeros(first[-1])
    command = np.stack([-np.ones(n), np.ones(n)], axis=1)
    sample_rows(
        segments, first, RATE_HZ, profiles.start, profiles.velocity, profiles.acceleration, profiles.time,
        profiles.jerk, profiles.duration, dwells, command, q, qd, qdd, gripper,
    )  # fmt: skip
    return tuple([values[a:b] for a, b in itertools.pairwise(first)] for values in (q, qd, qdd, gripper))


@pytest.mark.parametrize("shortest", [0.0, 4.0])
def test_samples_equal_ruckigs_bit_for_bit(shortest: float) -> None:
    profiles, target = _profiles(60, seed=0, shortest=shortest)
    sampled = _sample(profiles)
    limits = panda().planning_limits
    request, trajectory = ruckig.InputParameter(7), ruckig.Trajectory(7)
    request.max_velocity, request.max_acceleration = limits.velocity.tolist(), limits.acceleration.tolist()
    request.max_jerk = limits.jerk.tolist()
    request.minimum_duration = shortest or None
    compared = 0
    for i in range(60):
        request.current_position, request.target_position = profiles.start[i].tolist(), target[i].tolist()
        ruckig.Ruckig(7).calculate(request, trajectory)
        assert trajectory.duration == profiles.duration[i]
        for k in range(len(sampled[0][i])):
            if k / RATE_HZ < trajectory.duration:
                for ours, reference in zip(sampled, trajectory.at_time(k / RATE_HZ), strict=False):
                    assert ours[i][k].tolist() == reference
                    compared += len(reference)
    assert compared > 60_000


def test_a_speed_scale_is_a_time_dilation_within_the_scaled_limits() -> None:
    scale = 0.3
    profiles, target = _profiles(50, seed=1, scale=scale)
    full, _ = _profiles(50, seed=1)
    np.testing.assert_allclose(profiles.duration, full.duration / scale, rtol=1e-14)
    limits = panda().spec.limits.scaled(scale)
    _, qd, qdd, _ = (np.concatenate(values) for values in _sample(profiles))
    assert (np.abs(qd) <= limits.velocity).all()
    assert (np.abs(qdd) <= limits.acceleration).all()
    assert (np.abs(profiles.jerk) <= limits.jerk[:, None]).all()
    ends = np.array([row[-1] for row in _sample(profiles)[0]])
    np.testing.assert_allclose(ends, target, rtol=0, atol=1e-8)


def test_a_minimum_duration_is_kept() -> None:
    profiles, _ = _profiles(50, seed=2, shortest=6.0, scale=0.5)
    assert (profiles.duration >= 6.0 - 1e-9).all()


def test_a_dwell_rests_at_the_goal_with_the_gripper_switched() -> None:
    profiles, target = _profiles(5, seed=3)
    q, qd, qdd, gripper = _sample(profiles, dwell=0.5)
    for i in range(5):
        times = np.arange(len(q[i])) / RATE_HZ
        resting = times >= profiles.duration[i]
        assert np.count_nonzero(resting) >= 0.5 * RATE_HZ - 1
        np.testing.assert_allclose(q[i][resting], np.tile(target[i], (resting.sum(), 1)), rtol=0, atol=1e-8)
        assert not qd[i][resting].any()
        assert not qdd[i][resting].any()
        assert (gripper[i] == np.where(resting, 1.0, -1.0)).all()


def test_joints_that_hardly_move_stand_still() -> None:
    q = random_configurations(1, seed=4)
    target = q.copy()
    target[0, 0] += 0.5 if q[0, 0] < 0 else -0.5
    target[0, 3] += 1e-10
    profiles, made = Parameterizer(panda()).connect(q, target, np.zeros(1), np.ones(1))
    assert made.all()
    sampled = _sample(profiles)[0][0]
    assert np.array_equal(sampled[:, 1:], np.tile(q[0, 1:], (len(sampled), 1)))


def _verdicts(profiles: Profiles, limits: JointLimits, rows: list[int] | None = None, dwell: float = 0.0) -> list[int]:
    """Of segments that are rows of their own, or of rows with the given first segments."""
    n = len(profiles.duration)
    bounds = np.stack([limits.lower, limits.upper, limits.velocity, limits.acceleration, limits.jerk], axis=1)
    first = np.arange(n + 1) if rows is None else np.array([*rows, n])
    return list(
        first_violation(
            first, profiles.start, profiles.velocity, profiles.acceleration, profiles.time, profiles.jerk,
            profiles.duration, np.full(n, dwell), bounds,
        )
    )  # fmt: skip


def test_profiles_within_their_limits_pass_and_each_broken_limit_is_named() -> None:
    profiles, _ = _profiles(40, seed=5)
    limits = panda().spec.limits
    assert _verdicts(profiles, limits) == [WITHIN] * 40
    broken = {
        VELOCITY: {"velocity": 0.9 * np.abs(np.concatenate(_sample(profiles)[1])).max(0)},
        ACCELERATION: {"acceleration": 0.5 * limits.acceleration},
        JERK: {"jerk": 0.5 * limits.jerk},
        POSITION: {"lower": limits.lower + 0.4, "upper": limits.upper - 0.4},
    }
    for verdict, change in broken.items():
        changed = {name: getattr(limits, name) for name in ("lower", "upper", "velocity", "acceleration", "jerk")}
        found = _verdicts(profiles, JointLimits(**{**changed, **change}))
        assert set(found) <= {WITHIN, verdict}
        assert found.count(verdict) > 5


def test_an_overshoot_between_the_ends_of_a_piece_is_found() -> None:
    # Two pieces bring the joint to 1 rad/s; in the third it slows, turns and comes back; three more stop it.
    time, jerk, still = np.zeros((1, 1, 7)), np.zeros((1, 1, 7)), np.zeros((1, 1))
    time[0, 0, :6] = [1.0, 1.0, 4.0, 2.0, 2.0, 2.0]
    jerk[0, 0, :6] = [1.0, -1.0, -0.5, 1.0, 1.25, -1.25]
    samples = np.linspace(0, 4, 200_001)
    peak = (7 / 6 - 1 / 6 + samples - 0.5 * samples**3 / 6).max()
    profiles = Profiles(still, still, still, time, jerk, np.array([12.0]))
    wide = JointLimits(np.array([-99.0]), np.array([peak * 1.001]), *(np.array([9.0]) for _ in range(3)))
    narrow = JointLimits(np.array([-99.0]), np.array([peak * 0.999]), *(np.array([9.0]) for _ in range(3)))
    assert _verdicts(profiles, wide) == [WITHIN]
    assert _verdicts(profiles, narrow) == [POSITION]


def test_a_peak_of_velocity_within_a_piece_is_found() -> None:
    # A second of jerk 1, two of -1 and one of 1: between the second piece's ends, at 0.5 rad/s both, it has 1 rad/s.
    time, jerk, still = np.zeros((1, 1, 7)), np.zeros((1, 1, 7)), np.zeros((1, 1))
    time[0, 0, :3], jerk[0, 0, :3] = [1.0, 2.0, 1.0], [1.0, -1.0, 1.0]
    profiles = Profiles(still, still, still, time, jerk, np.array([4.0]))
    for fastest, verdict in ((1.001, WITHIN), (0.999, VELOCITY)):
        wide = np.array([9.0])
        assert _verdicts(profiles, JointLimits(-wide, wide, np.array([fastest]), wide, wide)) == [verdict]


def test_segments_that_do_not_meet_or_stop_are_found() -> None:
    q = random_configurations(4, seed=6)
    chain, made = Parameterizer(panda()).connect(q[:3], q[1:], np.zeros(3), np.ones(3))
    limits = panda().spec.limits
    assert made.all()
    assert _verdicts(chain, limits, rows=[0]) == [WITHIN] * 3
    assert _verdicts(chain, limits, rows=[0], dwell=0.1) == [WITHIN] * 3
    for name, size in (("start", 1e-6), ("velocity", 1e-6), ("acceleration", 1e-3)):
        moved = {field: getattr(chain, field).copy() for field in ("start", "velocity", "acceleration")}
        moved[name][1, 4] += size
        broken = Profiles(**moved, time=chain.time, jerk=chain.jerk, duration=chain.duration)
        assert GAP in _verdicts(broken, limits, rows=[0])
        assert _verdicts(broken, limits, rows=[0]).index(GAP) == 1
    chain.time[:, :, 6] *= 0.9
    assert set(_verdicts(chain, limits)) == {GAP}
