"""Wrong assumptions of a mapping are named, and what is right is not refused, however noisy."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation as Reference

from shared.errors import DemonstrationError
from shared.rotation import matrix_to_quat_xyzw, matrix_to_rot6d, matrix_to_rotvec, rotvec_to_matrix
from tests.trainer.data.demonstrations.example import Reach, mapping, plain_columns, write_robomimic
from tests.trainer.data.demonstrations.reach_file import (
    JOINTS,
    Columns,
    assert_true,
    delta_columns,
    read,
    with_columns,
)
from trainer.data.demonstrations import read_demonstrations


def quat(motion: Reach) -> NDArray[Any]:
    return matrix_to_quat_xyzw(motion.rotation)


MISTAKES = {
    "a world frame": (
        with_columns(position=lambda m: m.position + np.array([-0.56, 0, 0.912])),
        {"state": {}},
        r"wrong frame: x is .* m, the action range 0\.200 to 0\.800 m; poses must be of the tool centre point in the "
        "robot's base frame",
    ),
    "a world frame, observed too": (
        with_columns(position=lambda m: m.position + np.array([0.1, 0.08, 0.1])),
        {},
        r"wrong frame: the commanded positions are 0\.1\d m \(median\) from the observed ones; all would agree with "
        r"action\.frame\.base = \{position = \[0\.0?9?\d*",
    ),
    "a tool turned by 90 degrees": (
        with_columns(rotation=lambda m: matrix_to_rot6d(m.rotation @ rotvec_to_matrix(np.array([0, 0, np.pi / 2])))),
        {},
        r"wrong frame: the commanded rotations are 1\.\d+ rad .*state\.frame\.tool = .*quat_xyzw = "
        r"\[-?0\.0, -?0\.0, 0\.707, 0\.707\]",
    ),
    "quaternions in the other order": (
        with_columns(quat=quat),
        {"action__rotation": {"columns": "quat", "encoding": "quat_wxyz"}},
        r"wrong quaternion order: the commanded rotations are .*all would agree with action\.rotation\.encoding = "
        '"quat_xyzw"',
    ),
    "quaternions in the other order, also where they are observed": (
        with_columns(quat=quat, **{"obs/quat": lambda m: quat(m.seen())}),
        {
            "action__rotation": {"columns": "quat", "encoding": "quat_wxyz"},
            "state__rotation": {"columns": "obs/quat", "encoding": "quat_wxyz"},
        },
        r"wrong quaternion order: the tool points down in \d+% of the steps, and with action\.rotation\.encoding = "
        r'"quat_xyzw" and state\.rotation\.encoding = "quat_xyzw" in 100%, as over a table',
    ),
    "a delta taken as absolute": (
        lambda m: delta_columns("base", "state")(m),
        {"action__rotation": {"columns": "rotation", "encoding": "rotation_vector"}, "action__position__scale": 0.05},
        r"a delta taken as absolute: half of the commanded positions lie within 0\.\d+ m of the base's origin; all "
        r'would agree with action\.mode = "delta"',
    ),
    "a delta taken as absolute, nothing observed": (
        lambda m: delta_columns("base", "state")(m),
        {
            "action__rotation": {"columns": "rotation", "encoding": "rotation_vector"},
            "action__position__scale": 0.05,
            "state": {},
        },
        'a delta taken as absolute: .* these are motions, not poses: set action.mode to "delta"',
    ),
    "an absolute action taken as a delta": (
        plain_columns,
        {"action__mode": "delta", "action__delta_from": "state", "action__delta_axes": "base"},
        r'an absolute action taken as a delta: .* all would agree with action\.mode = "absolute"',
    ),
    "rotation vectors in degrees": (
        with_columns(rotvec=lambda m: np.rad2deg(matrix_to_rotvec(m.rotation))),
        {"action__rotation": {"columns": "rotvec", "encoding": "rotation_vector"}},
        r"degrees taken as radians: data/demo_0: 'rotvec' is up to 1\d\d\.\d rad; all would agree with "
        r'action\.rotation\.unit = "deg"',
    ),
    "joints in degrees": (
        with_columns(joints=lambda m: np.rad2deg(m.joints)),
        JOINTS,
        r'degrees taken as radians: .* all would agree with action\.joint_position\.unit = "deg"',
    ),
    "joints in degrees, few enough for radians": (
        with_columns(joints=lambda m: np.rad2deg(m.joints) / 20),
        JOINTS | {"state": {}},
        r"degrees taken as radians: joint \d is .* rad, the action range -3\.000 to 3\.000 rad",
    ),
    "a reach too far": (
        with_columns(position=lambda m: m.position + np.array([0, 0, 0.2]) * (m.position[:, :1] > 0.65)),
        {"accept": ["continuity"], "state": {}},
        r"outside the action range: z is -?0\.\d+ to 0\.5\d\d m, the action range -0\.100 to 0\.500 m; pretrain with a",
    ),
    "another Euler convention": (
        with_columns(euler=lambda m: Reference.from_matrix(m.rotation).as_euler("ZYX")),
        {"action__rotation": {"columns": "euler", "encoding": "euler", "axes": "zyx"}},
        r'wrong Euler convention: .* all would agree with action\.rotation\.axes = "ZYX"',
    ),
    "millimetres": (
        with_columns(position=lambda m: 1000 * m.position),
        {},
        r"millimetres taken as metres: .* all would agree with action\.position\.scale = 0\.001",
    ),
    "a swapped gripper": (
        plain_columns,
        {"action__gripper": {"columns": "gripper", "open": 1, "closed": -1}},
        r"swapped gripper: the gripper is seen to open when it is told to close \(their correlation is -\d\.\d+\); all "
        r"would agree with action\.gripper\.open = -1 and closed = 1",
    ),
    "a swapped gripper, not observed": (
        plain_columns,
        {"action__gripper": {"columns": "gripper", "open": 1, "closed": -1}, "state__gripper": None},
        r"swapped gripper, it seems: every episode that uses the gripper begins with it told to be closed; exchange "
        r"open and closed of action\.gripper, or name what is observed of it in state\.gripper",
    ),
    "a jump": (
        with_columns(position=lambda m: np.where(np.arange(40)[:, None] == 20, m.position - [0, 0, 0.3], m.position)),
        {"accept": ["range"]},
        r"not continuous: data/demo_0 jumps by 0\.\d+ m between steps (19 and 20|20 and 21), which at 20 Hz is \d\.",
    ),
    "a jump of joints": (
        with_columns(joints=lambda m: np.where(np.arange(40)[:, None] == 20, -m.joints, m.joints)),
        JOINTS,
        r"not continuous: data/demo_0 jumps by \d\.\d+ rad",
    ),
    "another episode's actions": (
        with_columns(joints=lambda m: m.joints[::-1]),
        JOINTS,
        r"not what was observed: the commanded joint positions are \d\.\d+ rad \(median\) from the observed ones",
    ),
    "gripper of another range": (
        with_columns(gripper=lambda m: 50 * (m.gripper + 1)),
        {},
        r"data/demo_0: 'gripper' is 100 at step \d+; the mapping says that it is -1 open and 1 closed",
    ),
    "no number": (
        with_columns(position=lambda m: np.where(np.arange(40)[:, None] == 7, np.nan, m.position)),
        {},
        "data/demo_0: 'position' is not finite at step 7, column 0",
    ),
    "no quaternion": (
        with_columns(quat=lambda m: 0.1 * quat(m)),
        {"action__rotation": {"columns": "quat", "encoding": "quat_xyzw"}},
        "data/demo_0: 'quat' is not a unit quaternion at step 0",
    ),
    "too few components": (
        plain_columns,
        {"action__position": {"columns": "position[1:4]"}},
        r"data/demo_0: 'position\[1:4\]' asks for component 3; 'position' has 3, from 0",
    ),
    "another number of joints": (
        plain_columns,
        JOINTS | {"action__joint_position": {"columns": "joints[0:5]"}, "state": {}},
        "the demonstrations have 5 joints, the action range has 6",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_wrong_assumption_is_named(tmp_path: Path, mistake: str) -> None:
    columns, changes, complaint = MISTAKES[mistake]
    with pytest.raises(DemonstrationError, match=rf"demos\.hdf5: .*{complaint}"):
        read(tmp_path, columns, **changes)  # type: ignore[arg-type]


QUARTER = rotvec_to_matrix(np.array([0, 0, np.pi / 2]))
MINORITIES = {
    "a swapped gripper": (
        with_columns(gripper=lambda m: -m.gripper),
        "gripper",
        r"swapped gripper: data/demo_1 and 3 more of 10 episodes: the gripper is seen to open when it is told to close "
        r"\(their correlation is -1\.00\)",
    ),
    "a tool turned by 90 degrees": (
        with_columns(rotation=lambda m: matrix_to_rot6d(m.rotation @ QUARTER)),
        "observed",
        r"not what was observed: data/demo_1 and 3 more of 10 episodes: the commanded rotations are "
        r"1\.\d+ rad \(median\) from the observed ones",
    ),
    "reversed in time": (
        with_columns(position=lambda m: m.position[::-1], rotation=lambda m: matrix_to_rot6d(m.rotation[::-1])),
        "observed",
        r"not what was observed: data/demo_\d( and \d more of 10 episodes)?: the commanded positions are 0\.\d+ m",
    ),
    "y mirrored": (
        with_columns(position=lambda m: m.position * [1, -1, 1]),
        "observed",
        r"not what was observed: data/demo_\d( and \d more of 10 episodes)?: the commanded positions are 0\.\d+ m",
    ),
    "nothing but zeros": (
        with_columns(position=lambda m: 0 * m.position),
        "delta",
        r"a delta taken as absolute: data/demo_1 and 3 more of 10 episodes: half of the commanded positions lie within "
        r"0\.000 m of the base's origin",
    ),
}


@pytest.mark.parametrize("mistake", MINORITIES)
def test_a_minority_of_wrong_episodes_is_named(tmp_path: Path, mistake: str) -> None:
    """Four of ten, which the median over all episodes does not see."""
    columns, assumption, complaint = MINORITIES[mistake]
    numbers = itertools.count()
    path = write_robomimic(
        tmp_path / "demos.hdf5", 10, lambda m: (columns if next(numbers) in (1, 4, 6, 8) else plain_columns)(m)
    )
    remedy = "the others agree with the mapping, so that these were recorded in another way"
    complaint = rf"demos\.hdf5: {complaint}.*; {remedy}.*add \"{assumption}\" to accept"
    with pytest.raises(DemonstrationError, match=complaint):
        read_demonstrations(path, mapping=mapping())
    accepted = ["observed", assumption]
    assert len(read_demonstrations(path, mapping=mapping(accept=accepted)).episodes) == 10


def _as_real_arms_do(motion: Reach, rng: np.random.Generator) -> Columns:
    """Observed 0.1 to 0.4 s late, by noisy sensors, beside the commands by what loads bend, and around a held thing."""
    seen = motion.seen(int(rng.integers(2, 9)))
    count = len(seen.gripper)
    turn = rotvec_to_matrix(rng.normal(0, 0.1, 3) + rng.normal(0, 0.05, (count, 3)))
    opening = np.where(seen.gripper > 0, rng.uniform(0.0, 0.03), 0.04) + rng.normal(0, 0.001, count)
    return plain_columns(motion) | {
        "obs/position": seen.position + rng.normal(0, 0.03, 3) + rng.normal(0, 0.01, (count, 3)),
        "obs/rotation": matrix_to_rot6d(seen.rotation @ turn),
        "obs/joints": seen.joints + rng.normal(0, 0.05, 6) + rng.normal(0, 0.01, (count, 6)),
        "obs/gripper": opening,
    }


@pytest.mark.parametrize("changes", [{}, "joints"])
def test_noisy_episodes_are_not_refused(tmp_path: Path, changes: Any) -> None:
    rng = np.random.default_rng(0)
    path = write_robomimic(tmp_path / "demos.hdf5", 200, lambda m: _as_real_arms_do(m, rng))
    meant = mapping(**JOINTS) if changes == "joints" else mapping()
    assert len(read_demonstrations(path, mapping=meant).episodes) == 200


def test_an_observed_gripper_that_never_moves_decides_nothing(tmp_path: Path) -> None:
    swapped = {"columns": "gripper", "open": 1, "closed": -1}
    for noise in (0.0, 1e-4):
        rng = np.random.default_rng(0)
        columns = with_columns(**{"obs/gripper": lambda m, n=noise, r=rng: 0.02 + r.normal(0, n, len(m.gripper))})
        assert_true(read(tmp_path, columns))
        complaint = (
            "swapped gripper, it seems: every episode that uses the gripper begins with it told to be closed, and what "
            "is observed of it does not follow; exchange open and closed of action.gripper"
        )
        with pytest.raises(DemonstrationError, match=complaint):
            read(tmp_path, columns, action__gripper=swapped)


def test_an_assumption_can_be_accepted(tmp_path: Path) -> None:
    swapped = {"columns": "gripper", "open": 1, "closed": -1}
    demonstrations = read(tmp_path, plain_columns, action__gripper=swapped, accept=["gripper"])
    assert demonstrations.episodes[0].actions[0, -1] == 1.0
