from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from shared.robots import JointLimits
from trainer.config import ActionName
from trainer.evaluation.smoothness import (
    chunk_motion,
    describe_chunks,
    describe_motion,
    fast_steps,
    joint_limit_breaks,
    step_jumps,
)

SEEDS = st.integers(0, 2**32 - 1)
RATES = st.sampled_from([10.0, 20.0, 50.0])
STEPS = 16
POSE_KEYS = {
    "jerk_m_per_s3",
    "acceleration_m_per_s2",
    "rotation_jerk_rad_per_s3",
    "rotation_acceleration_rad_per_s2",
}


def seconds(steps: int, rate_hz: float) -> NDArray[np.float64]:
    return np.arange(steps) / rate_hz


def poses(position: NDArray[np.float64], turns: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """(steps, 10) of positions (steps, 3) and rotation vectors (steps, 3), with a gripper that jumps."""
    turns = np.zeros_like(position) if turns is None else turns
    rows = Rotation.from_rotvec(turns).as_matrix()[:, :2].reshape(-1, 6)
    gripper = np.where(np.arange(len(position)) % 2, 1.0, -1.0)[:, None]
    return np.concatenate([position, rows, gripper], 1)


def joints(q: NDArray[np.float64]) -> NDArray[np.float64]:
    """(steps, dof + 1) of joints (steps, dof), with a gripper that jumps."""
    return np.concatenate([q, np.where(np.arange(len(q)) % 2, 1.0, -1.0)[:, None]], 1)


def polynomial(coefficients: NDArray[np.float64], time: NDArray[np.float64]) -> NDArray[np.float64]:
    """(steps, n) of (degree + 1, n) coefficients, the constant first."""
    return np.asarray(np.power.outer(time, np.arange(len(coefficients))) @ coefficients)


def cubic_poses(jerk: float, rate_hz: float, steps: int = STEPS) -> NDArray[np.float64]:
    """A jerk [m/s^3] along y alone."""
    position = np.zeros((steps, 3))
    position[:, 1] = jerk / 6 * seconds(steps, rate_hz) ** 3
    return poses(position)


@given(SEEDS, RATES)
def test_a_cubic_position_has_its_third_derivative_as_jerk_and_its_second_as_acceleration(
    seed: int, rate_hz: float
) -> None:
    rng = np.random.default_rng(seed)
    coefficients = rng.normal(size=(4, 3))
    found = chunk_motion(poses(polynomial(coefficients, seconds(STEPS, rate_hz)))[None], "ee_pose", rate_hz)
    assert found.keys() == POSE_KEYS
    assert found["jerk_m_per_s3"] == pytest.approx([6 * np.linalg.norm(coefficients[3])], rel=1e-7)
    # A central difference of a cubic is its derivative.
    between = seconds(STEPS, rate_hz)[1:-1, None]
    acceleration = 2 * coefficients[2] + 6 * coefficients[3] * between
    expected = np.linalg.norm(acceleration, axis=1).mean()
    assert found["acceleration_m_per_s2"] == pytest.approx([expected], rel=1e-7)
    assert found["rotation_jerk_rad_per_s3"] == pytest.approx([0], abs=1e-9)
    assert found["rotation_acceleration_rad_per_s2"] == pytest.approx([0], abs=1e-9)


@given(SEEDS, RATES)
def test_a_quadratic_position_has_its_acceleration_and_no_jerk(seed: int, rate_hz: float) -> None:
    coefficients = np.random.default_rng(seed).normal(size=(3, 3))
    found = chunk_motion(poses(polynomial(coefficients, seconds(STEPS, rate_hz)))[None], "ee_pose", rate_hz)
    assert found["acceleration_m_per_s2"] == pytest.approx([2 * np.linalg.norm(coefficients[2])], rel=1e-7)
    assert found["jerk_m_per_s3"] == pytest.approx([0], abs=1e-6)


@given(SEEDS, RATES, st.floats(-5, 5), st.floats(-1, 1))
def test_a_constant_angular_acceleration_about_a_fixed_axis_is_found_and_has_no_jerk(
    seed: int, rate_hz: float, acceleration: float, velocity: float
) -> None:
    rng = np.random.default_rng(seed)
    axis = rng.normal(size=3)
    axis /= np.linalg.norm(axis)
    time = seconds(STEPS, rate_hz)
    turned = Rotation.from_rotvec(np.outer(velocity * time + acceleration / 2 * time**2, axis))
    actions = poses(np.zeros((STEPS, 3)), (turned * Rotation.from_rotvec(rng.normal(size=3))).as_rotvec())
    found = chunk_motion(actions[None], "ee_pose", rate_hz)
    assert found["rotation_acceleration_rad_per_s2"] == pytest.approx([abs(acceleration)], abs=1e-8)
    assert found["rotation_jerk_rad_per_s3"] == pytest.approx([0], abs=1e-6)
    assert found["jerk_m_per_s3"].tolist() == [0]
    assert found["acceleration_m_per_s2"].tolist() == [0]


@given(SEEDS, RATES)
def test_a_cubic_angle_has_its_jerk(seed: int, rate_hz: float) -> None:
    rng = np.random.default_rng(seed)
    axis, jerk = rng.normal(size=3), float(rng.uniform(0.1, 2))
    angle = jerk / 6 * seconds(STEPS, rate_hz) ** 3
    actions = poses(np.zeros((STEPS, 3)), np.outer(angle, axis / np.linalg.norm(axis)))
    found = chunk_motion(actions[None], "ee_pose", rate_hz)
    assert found["rotation_jerk_rad_per_s3"] == pytest.approx([jerk], abs=1e-6)


def test_a_turn_that_tips_over_is_an_acceleration_of_its_angular_velocity() -> None:
    """A quarter of a degree about z at every step, then about x: one change by sqrt(2) of that, in one of 14."""
    turn = np.radians(0.25)
    first, second = Rotation.from_rotvec([0, 0, turn]), Rotation.from_rotvec([turn, 0, 0])
    rotation = [Rotation.identity()]
    for step in range(STEPS - 1):
        rotation.append((first if step < 8 else second) * rotation[-1])
    actions = poses(np.zeros((STEPS, 3)), np.array([each.as_rotvec() for each in rotation]))
    found = chunk_motion(actions[None], "ee_pose", 20.0)
    change = np.sqrt(2) * turn * 20**2
    assert found["rotation_acceleration_rad_per_s2"] == pytest.approx([change / 14], rel=1e-6)
    assert found["rotation_jerk_rad_per_s3"] == pytest.approx([2 * change * 20 / 13], rel=1e-6)


@given(SEEDS, RATES, st.integers(1, 7))
def test_joints_have_the_mean_jerk_and_acceleration_of_each(seed: int, rate_hz: float, dof: int) -> None:
    coefficients = np.random.default_rng(seed).normal(size=(4, dof))
    time = seconds(STEPS, rate_hz)
    found = chunk_motion(joints(polynomial(coefficients, time))[None], "joint_position", rate_hz)
    assert found.keys() == {"jerk_rad_per_s3", "acceleration_rad_per_s2"}
    assert found["jerk_rad_per_s3"] == pytest.approx([np.abs(6 * coefficients[3]).mean()], rel=1e-6)
    acceleration = np.abs(2 * coefficients[2] + 6 * coefficients[3] * time[1:-1, None]).mean()
    assert found["acceleration_rad_per_s2"] == pytest.approx([acceleration], rel=1e-6)


def test_chunks_are_measured_one_by_one() -> None:
    chunks = np.stack([cubic_poses(jerk, 20.0) for jerk in (3.0, 0.0, 7.0)])
    found = chunk_motion(chunks, "ee_pose", 20.0)
    assert found["jerk_m_per_s3"] == pytest.approx([3, 0, 7], rel=1e-9)
    for index in range(3):
        alone = chunk_motion(chunks[index : index + 1], "ee_pose", 20.0)
        assert all(values[0] == found[name][index] for name, values in alone.items())


def test_predicted_chunks_are_described_by_medians_and_demonstrated_ones_by_means() -> None:
    predicted = np.stack([cubic_poses(jerk, 20.0) for jerk in (1.0, 90.0, 2.0)])
    demonstrated = np.stack([cubic_poses(jerk, 20.0) for jerk in (1.0, 1.0, 2.0, 8.0)])
    found = describe_chunks(predicted, demonstrated, "ee_pose", 20.0)
    assert found.keys() == {f"{whose}_{key}" for whose in ("chunk", "demonstration") for key in POSE_KEYS}
    assert found["chunk_jerk_m_per_s3"] == pytest.approx(2)
    assert found["demonstration_jerk_m_per_s3"] == pytest.approx(3)
    # The mean of a jerk's acceleration over a window is that at its middle.
    middle = 7.5 / 20
    assert found["chunk_acceleration_m_per_s2"] == pytest.approx(2 * middle)
    assert found["demonstration_acceleration_m_per_s2"] == pytest.approx(3 * middle)


def test_chunks_of_joints_are_described_in_radians() -> None:
    chunks = np.stack([joints(jerk / 6 * seconds(STEPS, 10.0)[:, None] ** 3) for jerk in (1.0, 2.0, 30.0)])
    found = describe_chunks(chunks, chunks, "joint_position", 10.0)
    assert found["chunk_jerk_rad_per_s3"] == pytest.approx(2)
    assert found["demonstration_jerk_rad_per_s3"] == pytest.approx(11)
    assert len(found) == 4


@given(SEEDS, st.lists(st.integers(0, 40), min_size=1, max_size=5))
def test_episodes_count_by_their_steps_and_those_without_a_jerk_not_at_all(seed: int, lengths: list[int]) -> None:
    rng = np.random.default_rng(seed)
    jerks = rng.uniform(0.1, 5, len(lengths))
    episodes = [cubic_poses(jerk, 20.0, length) for jerk, length in zip(jerks, lengths, strict=True)]
    found = describe_motion(episodes, "ee_pose", 20.0)
    steps = np.array([max(length - 3, 0) for length in lengths])
    if not steps.any():
        assert found == {}
        return
    assert found.keys() == POSE_KEYS | {"speed_m_per_s", "step_jump_m", "step_jump_rad"}
    assert found["jerk_m_per_s3"] == pytest.approx((steps * jerks).sum() / steps.sum(), rel=1e-6)
    fastest = [
        jerk / 6 * ((length - 1) ** 3 - (length - 2) ** 3) / 20**2
        for jerk, length in zip(jerks, lengths, strict=True)
        if length > 3
    ]
    assert found["speed_m_per_s"] == pytest.approx(max(fastest), rel=1e-6)


@settings(max_examples=20)
@given(SEEDS)
def test_jumps_of_every_step_are_pooled_over_the_episodes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    episodes = [
        poses(rng.normal(0, 0.01, (length, 3)).cumsum(0), np.outer(rng.normal(0, 0.01, length).cumsum(), [0.6, 0, 0.8]))
        for length in (4, 9, 30, 3)
    ]
    found = describe_motion(episodes, "ee_pose", 20.0)
    off, turned = [], []
    for episode in episodes[:3]:
        p = episode[:, :3]
        rotation = Rotation.from_matrix(
            np.stack([episode[:, 3:6], episode[:, 6:9], np.cross(episode[:, 3:6], episode[:, 6:9])], 1)
        )
        for at in range(2, len(p) - 1):
            off.append(np.linalg.norm(p[at] - p[at - 1] - (p[at - 1] - p[at - 2] + p[at + 1] - p[at]) / 2))
            turn = [(rotation[k] * rotation[k - 1].inv()).as_rotvec() for k in (at - 1, at, at + 1)]
            turned.append(np.linalg.norm(turn[1] - (turn[0] + turn[2]) / 2))
    assert len(off) == 1 + 6 + 27
    assert found["step_jump_m"] == pytest.approx(np.percentile(off, 95), rel=1e-9)
    assert found["step_jump_rad"] == pytest.approx(np.percentile(turned, 95), rel=1e-6)


def test_episodes_of_joints_have_neither_speed_nor_jumps() -> None:
    episode = joints(2.0 / 6 * seconds(20, 10.0)[:, None] ** 3)
    found = describe_motion([episode, episode[:3]], "joint_position", 10.0)
    assert found.keys() == {"jerk_rad_per_s3", "acceleration_rad_per_s2"}
    assert found["jerk_rad_per_s3"] == pytest.approx(2)


@pytest.mark.parametrize("action", ["ee_pose", "joint_position"])
def test_episodes_of_less_than_four_steps_say_nothing(action: ActionName) -> None:
    assert describe_motion([], action, 20.0) == {}
    assert describe_motion([cubic_poses(1.0, 20.0, steps) for steps in range(4)], action, 20.0) == {}


def uniform(steps: int, seed: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """A motion of constant velocities: positions, angles, and the axis turned about."""
    rng = np.random.default_rng(seed)
    axis = rng.normal(size=3)
    position = rng.normal(size=3) + np.outer(np.arange(steps), rng.normal(0, 0.02, 3))
    return position, 0.05 * np.arange(steps), axis / np.linalg.norm(axis)


@given(SEEDS)
def test_uniform_motion_jumps_nowhere(seed: int) -> None:
    position, angle, axis = uniform(12, seed)
    found = step_jumps(poses(position, np.outer(angle, axis)), np.arange(2, 11))
    assert found.keys() == {"jump_m", "jump_rad"}
    for values in found.values():
        assert values.shape == (9,)
        assert values.max() < 1e-12


def test_a_command_that_lies_aside_is_a_jump_to_it_and_back() -> None:
    """Displaced by d: the steps to it and from it are off by d and -d, their neighbours by half of one of these."""
    position, angle, axis = uniform(12, 0)
    position[6] += [0, 0.003, 0.004]
    angle[6] += 0.02
    found = step_jumps(poses(position, np.outer(angle, axis)), range(2, 11))
    shares = np.array([0, 0, 0, 0.5, 1.5, 1.5, 0.5, 0, 0])
    assert np.abs(found["jump_m"] - 0.005 * shares).max() < 1e-12
    assert np.abs(found["jump_rad"] - 0.02 * shares).max() < 1e-12


def test_motion_that_goes_on_from_another_place_jumps_by_the_distance() -> None:
    position, angle, axis = uniform(12, 1)
    position[6:] += [0, 0.003, 0.004]
    angle[6:] += 0.02
    commands = poses(position, np.outer(angle, axis))
    found = step_jumps(commands, np.array([6, 9, 5]))
    assert found["jump_m"] == pytest.approx([0.005, 0, 0.0025], abs=1e-12)
    assert found["jump_rad"] == pytest.approx([0.02, 0, 0.01], abs=1e-12)
    single = step_jumps(commands.astype(np.float32), [6])
    assert single["jump_m"] == pytest.approx([0.005], abs=1e-6)


def test_a_motion_that_bends_but_never_jumps_is_off_by_half_its_third_difference() -> None:
    commands = cubic_poses(6.0, 10.0)
    second = cubic_poses(0.0, 10.0)
    second[:, 0] = seconds(STEPS, 10.0) ** 2
    # Steps of a square lie on a line, those of a cube on a parabola that is 3 h^3 from its neighbours' mean.
    assert step_jumps(second, [2, 8])["jump_m"] == pytest.approx([0, 0], abs=1e-12)
    assert step_jumps(commands, [2, 8])["jump_m"] == pytest.approx([0.003, 0.003], rel=1e-9)


@given(SEEDS, RATES, st.floats(0.05, 2))
def test_steps_count_as_fast_that_pass_a_speed_by_more_than_a_thousandth(
    seed: int, rate_hz: float, speed: float
) -> None:
    rng = np.random.default_rng(seed)
    shares = rng.choice([0.0, 0.5, 1.0, 1.0009, 1.0011, 1.5, 10.0], 30)
    directions = rng.normal(size=(30, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    steps = shares[:, None] * directions * speed / rate_hz
    commands = poses(np.concatenate([np.zeros((1, 3)), steps.cumsum(0)]))
    assert fast_steps(commands, rate_hz, speed) == (shares > 1.001).sum()


def test_turning_in_place_is_not_fast() -> None:
    assert fast_steps(poses(np.zeros((10, 3)), np.outer(np.arange(10), [0.5, 0, 0])), 20.0, 0.1) == 0


LIMITS = JointLimits(
    lower=np.array([-2.8973, -1.7628]),
    upper=np.array([2.8973, 1.7628]),
    velocity=np.array([2.0, 1.5]),
    acceleration=np.array([6.0, 4.0]),
    jerk=np.array([100.0, 80.0]),
)
RATE_HZ = 20.0
BREAKS = ("position_breaks", "velocity_breaks", "acceleration_breaks", "jerk_breaks")


def breaks(q: NDArray[np.float64]) -> dict[str, float]:
    return joint_limit_breaks(joints(q)[None].astype(np.float32), LIMITS, RATE_HZ)


def motion(initial: tuple[float, ...], joint: int = 0, steps: int = STEPS) -> NDArray[np.float64]:
    """One joint's motion by its position, velocity, acceleration and jerk at the start; the other stands still."""
    time = seconds(steps, RATE_HZ)
    q = np.zeros((steps, 2))
    q[:, joint] = sum(value * time**power / [1, 1, 2, 6][power] for power, value in enumerate(initial))
    return q


@given(SEEDS)
def test_a_motion_within_every_limit_breaks_none(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frequency = rng.uniform(0.5, 8, (20, 1, 2))
    shares = [LIMITS.upper, LIMITS.velocity / frequency, LIMITS.acceleration / frequency**2]
    amplitude = np.minimum.reduce([*np.broadcast_arrays(*shares), LIMITS.jerk / frequency**3])
    time = seconds(STEPS, RATE_HZ)[None, :, None]
    q = amplitude * np.sin(frequency * time + rng.uniform(0, 2 * np.pi, (20, 1, 2)))
    chunks = np.stack([joints(each) for each in q]).astype(np.float32)
    assert joint_limit_breaks(chunks, LIMITS, RATE_HZ) == dict.fromkeys(BREAKS, 0.0)


@pytest.mark.parametrize("joint", [0, 1])
@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize(
    ("broken", "shares"),
    [
        ("position_breaks", (1.01,)),
        ("velocity_breaks", (0.0, 1.01)),
        ("acceleration_breaks", (0.0, 0.0, 1.01)),
        # Slowing down at first, so that the acceleration stays within its limit on both sides.
        ("jerk_breaks", (0.0, 0.0, -1.4, 1.01)),
    ],
)
def test_a_motion_that_passes_one_limit_breaks_that_one_alone(
    broken: str, shares: tuple[float, ...], sign: int, joint: int
) -> None:
    bounds = (LIMITS.upper, LIMITS.velocity, LIMITS.acceleration, LIMITS.jerk)
    start = tuple(sign * share * float(bound[joint]) for share, bound in zip(shares, bounds, strict=False))
    assert breaks(motion(start, joint, steps=4)) == dict.fromkeys(BREAKS, 0.0) | {broken: 1.0}
    within = tuple(value / 1.02 for value in start)
    assert breaks(motion(within, joint, steps=4)) == dict.fromkeys(BREAKS, 0.0)


@pytest.mark.parametrize("joint", [0, 1])
@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("name", ["velocity", "acceleration", "jerk", "position"])
def test_a_motion_at_a_limit_breaks_nothing_although_float32_rounds_its_positions(
    name: str, sign: int, joint: int
) -> None:
    bound = {name: float(getattr(LIMITS, name)[joint]) for name in ("velocity", "acceleration", "jerk")}
    start = {
        "position": (float(LIMITS.upper[joint]),),
        "velocity": (-0.7, bound["velocity"]),
        "acceleration": (0.9, -bound["velocity"], bound["acceleration"]),
        "jerk": (1.1, 0.0, -bound["acceleration"], bound["jerk"]),
    }[name]
    exact = motion(tuple(sign * value for value in start), joint, {"jerk": 4}.get(name, 8))
    assert np.abs(np.float32(exact) - exact).max() > 0
    assert breaks(exact) == dict.fromkeys(BREAKS, 0.0)


def test_shares_count_the_steps_of_all_chunks_in_which_any_joint_breaks() -> None:
    """One step of one chunk at which both joints are outside: it is one position, and two steps that are too fast."""
    chunks = np.zeros((3, 10, 3), np.float32)
    chunks[1, 5, :2] = [3, -2]
    found = joint_limit_breaks(chunks, LIMITS, RATE_HZ)
    assert found["position_breaks"] == pytest.approx(1 / 30)
    assert found["velocity_breaks"] == pytest.approx(2 / 27)
    assert found["acceleration_breaks"] == pytest.approx(3 / 24)
    assert found["jerk_breaks"] == pytest.approx(4 / 21)


def test_the_gripper_breaks_no_limit() -> None:
    chunks = np.zeros((1, 8, 3), np.float32)
    chunks[..., -1] = [9, -9, 9, -9, 9, -9, 9, -9]
    assert joint_limit_breaks(chunks, LIMITS, RATE_HZ) == dict.fromkeys(BREAKS, 0.0)
