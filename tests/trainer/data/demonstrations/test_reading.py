"""Mappings, on robomimic files of a made-up arm whose truth is known."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from shared.errors import ConfigError, DemonstrationError
from shared.rotation import matrix_to_quat_xyzw, matrix_to_rot6d, rotvec_to_matrix
from tests.trainer.data.demonstrations.example import RANGES, Reach, mapping, plain_columns, reach, write_robomimic
from tests.trainer.data.demonstrations.reach_file import (
    EPISODES,
    JOINTS,
    Columns,
    actions_of,
    assert_true,
    delta_columns,
    read,
    with_columns,
)
from trainer.data.demonstrations import read_demonstrations


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
    assert_true(read(tmp_path, delta_columns(axes, source), **changes), 1e-5)


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
