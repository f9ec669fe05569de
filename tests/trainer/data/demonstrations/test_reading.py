"""Mappings and mistakes, on robomimic files of a made-up arm whose truth is known."""

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation as Reference

from shared.errors import ConfigError, DemonstrationError
from shared.rotation import matrix_to_quat_xyzw, matrix_to_rot6d, matrix_to_rotvec, rotvec_to_matrix
from tests.trainer.data.demonstrations.example import RANGES, Reach, mapping, plain_columns, reach, write_robomimic
from trainer.data.demonstrations import read_demonstrations
from trainer.data.demonstrations.episode import Demonstrations

Columns = dict[str, NDArray[Any]]
EPISODES = 6


def read(folder: Path, columns: Callable[[Reach], Mapping[str, NDArray[Any]]], **changes: Any) -> Demonstrations:
    path = write_robomimic(folder / "demos.hdf5", EPISODES, columns)
    return read_demonstrations(path, mapping=mapping(**changes), ranges=RANGES)


def with_columns(**columns: Callable[[Reach], NDArray[Any]]) -> Callable[[Reach], Columns]:
    """The plain columns, and others beside them or in their place."""
    return lambda motion: plain_columns(motion) | {name: make(motion) for name, make in columns.items()}


def actions_of(motion: Reach) -> NDArray[np.float64]:
    return np.concatenate([motion.position, matrix_to_rot6d(motion.rotation), motion.gripper[:, None]], axis=1)


def assert_true(demonstrations: Demonstrations, tolerance: float = 1e-6) -> None:
    for seed, episode in enumerate(demonstrations.episodes):
        assert np.abs(episode.actions - actions_of(reach(seed))).max() < tolerance


def test_plain_columns_are_read(tmp_path: Path) -> None:
    demonstrations = read(tmp_path, plain_columns)
    assert_true(demonstrations)
    assert (demonstrations.task, demonstrations.robot, demonstrations.rate_hz) == ("Pick", "arm6", 20.0)
    assert (demonstrations.action_space, demonstrations.action_label) == ("ee_pose", "command")
    assert demonstrations.observation_widths == {"obs/position": 3, "obs/rotation": 6, "obs/gripper": 1}
    assert [episode.name for episode in demonstrations.episodes] == [f"data/demo_{i}" for i in range(EPISODES)]
    assert [episode.validation for episode in demonstrations.episodes] == [i == 4 for i in range(EPISODES)]
    seen = reach(2).seen()
    assert np.array_equal(demonstrations.episodes[2].observations["obs/position"], seen.position.astype(np.float32))


def test_a_seed_draws_some_of_them(tmp_path: Path) -> None:
    path = write_robomimic(tmp_path / "demos.hdf5", 12, plain_columns)
    drawn = read_demonstrations(path, 4, mapping=mapping(), ranges=RANGES, draw=1)
    places = [int(episode.name.rpartition("_")[2]) for episode in drawn.episodes]
    assert places == sorted(set(places))
    for place, episode in zip(places, drawn.episodes, strict=True):
        assert np.abs(episode.actions - actions_of(reach(place))).max() < 1e-6
    trained = [place for place, episode in zip(places, drawn.episodes, strict=True) if not episode.validation]
    assert (len(trained), len(places), drawn.number) == (4, 8, 4)
    assert trained != list(range(4))
    # Fewer others than are drawn: all of them are held out. None: a tenth of those drawn.
    most, whole = (read_demonstrations(path, n, mapping=mapping(), ranges=RANGES, draw=1) for n in (11, 12))
    assert (len(most.episodes), sum(episode.validation for episode in most.episodes), most.number) == (12, 1, 11)
    assert [episode.validation for episode in whole.episodes] == [i == 4 for i in range(12)]


@pytest.mark.parametrize("columns", [{}, {"obs/position": "obs/position[0:2]"}])
def test_some_components_of_a_column(tmp_path: Path, columns: dict[str, str]) -> None:
    low_dim = [columns.get(name, name) for name in ("obs/position", "obs/joints[1:4]")]
    demonstrations = read(tmp_path, plain_columns, observation__low_dim=low_dim)
    assert list(demonstrations.observation_widths.values()) == [2 if columns else 3, 3]
    assert np.array_equal(
        demonstrations.episodes[0].observations["obs/joints[1:4]"], reach(0).seen().joints[:, 1:4].astype(np.float32)
    )


def test_a_world_frame_and_another_point_of_the_tool(tmp_path: Path) -> None:
    base, turn = np.array([-0.56, 0.1, 0.912]), rotvec_to_matrix(np.array([0, 0, 0.4]))
    site = np.array([0.0, 0.0, -0.1])

    def world_position(motion: Reach) -> NDArray[Any]:
        return np.asarray(base + (motion.position - motion.rotation @ site) @ turn.T)

    columns = with_columns(position=world_position, rotation=lambda m: matrix_to_rot6d(turn @ m.rotation))
    frame = {
        "base": {"position": base.tolist(), "quat_xyzw": matrix_to_quat_xyzw(turn).tolist()},
        "tool": {"position": site.tolist()},
    }
    assert_true(read(tmp_path, columns, action__frame=frame))


def test_the_pose_reached_later(tmp_path: Path) -> None:
    changes = {"action__label": "reached", "action__latency": 2, "action__position": None, "action__rotation": None}
    demonstrations = read(tmp_path, plain_columns, **changes)
    assert demonstrations.action_label == "reached"
    # Observed are the commands two steps before, so that two steps later they are the commands; the last ones stay.
    for seed, episode in enumerate(demonstrations.episodes):
        assert np.abs(episode.actions[:-2] - actions_of(reach(seed))[:-2]).max() < 1e-6
        assert np.abs(episode.actions[-2:, :9] - actions_of(reach(seed))[-3, :9]).max() < 1e-6


def _delta_columns(axes: str, source: str) -> Callable[[Reach], Columns]:
    def columns(motion: Reach) -> Columns:
        seen = motion.seen()
        before_p, before_r = seen.position, seen.rotation
        if source == "command":
            before_p = np.concatenate([seen.position[:1], motion.position[:-1]])
            before_r = np.concatenate([seen.rotation[:1], motion.rotation[:-1]])
        shift = motion.position - before_p
        turn = motion.rotation @ np.swapaxes(before_r, 1, 2)
        if axes == "tool":
            shift = np.einsum("tji,tj->ti", before_r, shift)
            turn = np.swapaxes(before_r, 1, 2) @ motion.rotation
        return plain_columns(motion) | {"position": shift / 0.05, "rotation": matrix_to_rotvec(turn) / 0.5}

    return columns


@pytest.mark.parametrize("axes", ["base", "tool"])
@pytest.mark.parametrize("source", ["state", "command"])
def test_deltas_become_absolute(tmp_path: Path, axes: str, source: str) -> None:
    changes = {
        "action__mode": "delta",
        "action__delta_from": source,
        "action__delta_axes": axes,
        "action__position": {"columns": "position", "scale": 0.05},
        "action__rotation": {"columns": "rotation", "encoding": "rotation_vector", "scale": 0.5},
    }
    assert_true(read(tmp_path, _delta_columns(axes, source), **changes), 1e-5)


JOINTS: dict[str, Any] = {
    "action__space": "joint_position",
    "action__position": None,
    "action__rotation": None,
    "action__joint_position": {"columns": "joints"},
    "state": {"joint_position": {"columns": "obs/joints"}},
}


def test_joints_and_gripper(tmp_path: Path) -> None:
    for columns, changes in (
        (plain_columns, {}),
        (with_columns(joints=lambda m: np.rad2deg(m.joints)), {"action__joint_position__unit": "deg"}),
        (
            with_columns(joints=lambda m: m.joints - m.seen().joints),
            {"action__mode": "delta", "action__delta_from": "state"},
        ),
    ):
        demonstrations = read(tmp_path, columns, **JOINTS, **changes)
        assert demonstrations.action_space == "joint_position"
        for seed, episode in enumerate(demonstrations.episodes):
            motion = reach(seed)
            assert episode.actions.shape == (40, 7)
            assert np.abs(episode.actions - np.c_[motion.joints, motion.gripper]).max() < 1e-6


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
        lambda m: _delta_columns("base", "state")(m),
        {"action__rotation": {"columns": "rotation", "encoding": "rotation_vector"}, "action__position__scale": 0.05},
        r"a delta taken as absolute: half of the commanded positions lie within 0\.\d+ m of the base's origin; all "
        r'would agree with action\.mode = "delta"',
    ),
    "a delta taken as absolute, nothing observed": (
        lambda m: _delta_columns("base", "state")(m),
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


def test_what_the_file_does_not_have_is_named_with_what_it_has(tmp_path: Path) -> None:
    for changes, complaint in (
        ({"action__position__columns": "pose"}, r"has no column 'pose'; it has gripper, joints, obs/gripper, .*"),
        ({"observation__low_dim": None}, "does not say what is observed; give observation.low_dim in the mapping, of"),
        ({"observation__cameras": ["obs/front"]}, "has no camera 'obs/front'; it has none"),
        ({"filter_key": "train"}, "has no mask 'train'; it has none"),
        ({"only_task": "DatasetRoot"}, "has no task 'DatasetRoot'; it has Pick"),
    ):
        with pytest.raises(ConfigError, match=complaint):
            read(tmp_path, plain_columns, **changes)
    path = tmp_path / "demos.hdf5"
    with h5py.File(path, "r+") as file:
        file["data"].attrs["env_args"] = "{}"
    for key in ("robot", "rate_hz"):
        with pytest.raises(ConfigError, match=f"does not say its {key}; give {key} in the mapping"):
            read_demonstrations(path, mapping=mapping(**({"robot": "arm"} if key == "rate_hz" else {})))
    found = read_demonstrations(path, mapping=mapping(robot="arm", rate_hz=20, task="pick"))
    assert (found.task, found.robot, found.rate_hz) == ("pick", "arm", 20.0)


def test_filter_keys_choose_and_hold_out(tmp_path: Path) -> None:
    path = write_robomimic(tmp_path / "demos.hdf5", EPISODES, plain_columns)
    with h5py.File(path, "r+") as file:
        for name, indices in (("train", [0, 3, 5]), ("valid", [1]), ("few", [2, 3])):
            file[f"mask/{name}"] = np.array([f"demo_{index}" for index in indices], dtype="S")

    def found(**changes: Any) -> list[tuple[str, bool]]:
        episodes = read_demonstrations(path, mapping=mapping(**changes)).episodes
        return [(episode.name[-1], episode.validation) for episode in episodes]

    assert found() == [("0", False), ("1", True), ("3", False), ("5", False)]
    assert found(filter_key="few") == [("2", False), ("3", False)]
    assert found(filter_key="few", validation_filter_key="valid") == [("1", True), ("2", False), ("3", False)]
    with h5py.File(path, "r+") as file:
        file["mask/even"] = np.array([f"demo_{index}" for index in range(0, 12, 2)], dtype="S")
        for index in range(EPISODES, 12):
            file.copy("data/demo_0", file["data"], f"demo_{index}")
    # The fifth of those that are used, rather than demo_4.
    assert [held for _, held in found(filter_key="even")] == [False] * 4 + [True, False]
    with h5py.File(path, "r+") as file:
        file["mask/gone"] = np.array(["demo_99"], dtype="S")
    with pytest.raises(DemonstrationError, match="mask 'gone' names demo_99, which is not in it"):
        found(filter_key="gone")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.99])
def test_a_truncated_file_is_named(tmp_path: Path, share: float) -> None:
    path = write_robomimic(tmp_path / "demos.hdf5", EPISODES, plain_columns)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DemonstrationError, match=r"demos\.hdf5: isn't a whole HDF5 file"):
        read_demonstrations(path, mapping=mapping())


def test_columns_of_different_lengths_are_named(tmp_path: Path) -> None:
    path = write_robomimic(tmp_path / "demos.hdf5", 2, plain_columns)
    with h5py.File(path, "r+") as file:
        short = file["data/demo_1/obs/rotation"][:-1]
        del file["data/demo_1/obs/rotation"]
        file["data/demo_1/obs/rotation"] = short
    with pytest.raises(DemonstrationError, match=r"data/demo_1: 'obs/rotation' has shape \(39, 6\), expected \(40, "):
        read_demonstrations(path, mapping=mapping())
    with h5py.File(path, "r+") as file:
        del file["data/demo_1/obs/rotation"]
    with pytest.raises(DemonstrationError, match="data/demo_1: lacks 'obs/rotation'"):
        read_demonstrations(path, mapping=mapping())


def with_pictures(steps: int) -> Callable[[Reach], Columns]:
    return with_columns(**{"obs/front": lambda motion: np.zeros((steps, 8, 8, 3), np.uint8)})


@pytest.mark.parametrize(("pictures", "num_samples"), [(41, True), (39, True), (41, False)])
def test_each_step_needs_a_picture(tmp_path: Path, pictures: int, num_samples: bool) -> None:
    """With one too many an episode, the steps of every later episode would be shown another step's picture."""
    path = write_robomimic(tmp_path / "demos.hdf5", 2, with_pictures(pictures))
    complaint = rf"data/demo_0: 'obs/front' has {pictures} pictures, num_samples is 40; each step needs one"
    if not num_samples:
        complaint = r"data/demo_0: 'obs/front' has 41 pictures for 40 steps; each step needs one"
        with h5py.File(path, "r+") as file:
            for demo in file["data"].values():
                del demo.attrs["num_samples"]
    with pytest.raises(DemonstrationError, match=rf"demos\.hdf5: {complaint}"):
        read_demonstrations(path, mapping=mapping(observation={"cameras": ["obs/front"]}))
