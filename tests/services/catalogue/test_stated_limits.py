"""Limits as exporters write them: what is missing is named with the remedy that fits, and what is stated is kept."""

import math

import pytest

from services.catalogue import ARMS
from services.catalogue.stated_limits import with_soft_limits
from services.synthesis.arm.robot_model import robot_model
from shared.errors import RobotError
from tests.services.catalogue.own import GANTRY, own

LIFT = '<limit lower="-1.5" upper="1.2" velocity="2" effort="10"/>'
TURN = '<limit velocity="2" effort="10"/>'
RAIL = '<limit lower="-0.4" upper="0.4" velocity="1" effort="10"/>'
CONTINUOUS = 'give it type="continuous" if it turns without end'


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            LIFT,
            '<limit velocity="2" effort="8"/>',
            f"'lift' has no range: .* neither lower nor upper; .*rad.*, or {CONTINUOUS}",
        ),
        (
            RAIL,
            '<limit velocity="2"/>',
            r"'rail' has no range: its <limit> has neither lower nor upper; write both \[m\]$",
        ),
        (
            LIFT,
            '<limit lower="0" upper="0" velocity="2"/>',
            "both 0; make it a fixed joint if it can't move, else write",
        ),
        (LIFT, '<limit upper="0" velocity="2"/>', "upper limit is 0, and so is lower, which is left out; write it"),
        (
            LIFT,
            '<limit lower="0" upper="0" velocity="0" effort="0"/>',
            "limits that are all 0, as exporters write what",
        ),
        (LIFT, "", "'lift' has no <limit>; one that is revolute needs one with lower, upper and velocity"),
        (LIFT, '<limit lower="1" upper="-1" velocity="2"/>', "reversed: lower is 1, upper is -1; exchange them"),
        (
            LIFT,
            '<limit lower="-inf" upper="inf" velocity="2"/>',
            f"'-inf', which is no finite number; .*; {CONTINUOUS}",
        ),
        (LIFT, '<limit lower="-1e16" upper="1e16" velocity="2"/>', f"beyond 100; state the range .*, or {CONTINUOUS}"),
        (
            LIFT,
            '<limit lower="-1" upper="1" velocity="0"/>',
            r"limit 0; it must be above 0 .*: write its greatest speed \[rad/s\]",
        ),
        (RAIL, '<limit lower="-1" upper="1" velocity="0"/>', r"write its greatest speed \[m/s\]"),
        (TURN, "", r"'turn' has no <limit>; one that is continuous needs one with velocity$"),
        (
            TURN,
            '<limit effort="10"/>',
            r"'turn' has no velocity limit; <limit> of one that is continuous needs velocity$",
        ),
        (TURN, '<limit velocity="fast"/>', r"'fast', which is no finite number; .* continuous needs velocity$"),
    ],
)
def test_the_remedy_fits_the_joint(old: str, new: str, said: str) -> None:
    with pytest.raises(RobotError, match=said):
        own(GANTRY.replace(old, new))


def test_a_joint_of_two_turns_keeps_them() -> None:
    arm = own(GANTRY.replace(LIFT, f'<limit lower="{-2 * math.pi!r}" upper="{2 * math.pi!r}" velocity="2"/>'))
    assert robot_model(arm).spec.limits.upper[2] == 2 * math.pi


def test_acceleration_and_jerk_of_urdf_1_2_are_read() -> None:
    some = GANTRY.replace(LIFT, LIFT.replace("/>", ' acceleration="6" deceleration="5" jerk="70"/>'))
    arm = own(some)
    assert list(arm.acceleration) == [5, 10, 5, 12.5, 15, 15]
    assert list(arm.jerk) == [100, 200, 70, 250, 300, 300]
    assert arm.limits_source.startswith("acceleration the URDF's of lift; jerk the URDF's of lift; else default rule")
    every = GANTRY.replace(' effort="10"', ' effort="10" acceleration="7" jerk="80"')
    arm = own(every)
    assert (arm.acceleration, arm.jerk) == ((7,) * 6, (80,) * 6)
    assert arm.limits_source == "acceleration the URDF's; jerk the URDF's"
    # What the user says goes first; what is not above 0 or no number is not said.
    arm = own(every, jerk=(90.0,))
    assert (arm.acceleration, arm.jerk) == ((7,) * 6, (90,) * 6)
    assert arm.limits_source == "jerk as given; acceleration the URDF's"
    assert own(GANTRY.replace(LIFT, LIFT.replace("/>", ' acceleration="0" jerk="nan"/>'))).acceleration[2] == 10
    with pytest.raises(RobotError, match="jerk of joint 'lift' is 1e\\+10 in its <limit>; at most 1e\\+09 is"):
        own(GANTRY.replace(LIFT, LIFT.replace("/>", ' jerk="1e10"/>')))


def soft(joint: str, **ends: str) -> str:
    said = " ".join(f'soft_{name}_limit="{value}"' for name, value in ends.items())
    return GANTRY.replace(joint, f'{joint}<safety_controller k_velocity="20" {said}/>')


@pytest.mark.parametrize(
    ("joint", "ends", "place", "kept"),
    [
        (LIFT, {"lower": "-0.6", "upper": "0.6"}, 2, (-0.6, 0.6)),
        (LIFT, {"lower": "-0.6", "upper": "9"}, 2, (-0.6, 1.2)),
        (LIFT, {"upper": "0.5"}, 2, (-1.5, 0.5)),
        (RAIL, {"lower": "-0.1", "upper": "0.2"}, 0, (-0.1, 0.2)),
        # A continuous joint that has soft limits is one with a range.
        (TURN, {"lower": "-1", "upper": "2"}, 1, (-1, 2)),
    ],
)
def test_soft_limits_are_kept_where_they_are_narrower(
    joint: str, ends: dict[str, str], place: int, kept: tuple[float, float]
) -> None:
    arm = own(soft(joint, **ends))
    limits = robot_model(arm).spec.limits
    assert (limits.lower[place], limits.upper[place]) == kept
    assert f"are kept, where they are narrower: {arm.joints[place]} {kept[0]:g} to {kept[1]:g}" in "\n".join(arm.notes)
    assert abs(arm.home[place] - sum(kept) / 2) < 1e-12
    whole = own(soft(joint, **ends), soft_limits=False)
    assert whole.content_hash == own().content_hash
    assert any("soft limits (safety_controller) are not kept" in note for note in whole.notes)


@pytest.mark.parametrize("ends", [{"lower": "0", "upper": "0"}, {"lower": "2", "upper": "3"}])
def test_soft_limits_that_leave_no_range_are_noted(ends: dict[str, str]) -> None:
    arm = own(soft(LIFT, **ends))
    assert arm.content_hash == own().content_hash
    assert any("are not kept: lift" in note and "which is no range" in note for note in arm.notes)


@pytest.mark.parametrize("ends", [{"lower": "-3", "upper": "3"}, {}, {"lower": "nan"}])
def test_soft_limits_that_do_not_limit_change_nothing(ends: dict[str, str]) -> None:
    assert own(soft(LIFT, **ends)).notes == own().notes


def test_arms_of_the_catalogue_say_where_soft_limits_are_not_kept() -> None:
    narrower = set()
    for arm in ARMS.values():
        _, notes = with_soft_limits(arm.description, arm.moving, keep=False)
        if notes:
            narrower.add(arm.name)
        assert bool(notes) == any("soft limits (safety_controller) are not kept" in note for note in arm.notes)
    assert narrower == {"tiago", "tiago_pro"}
