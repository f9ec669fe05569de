"""The file that robosuite and robomimic wrote: frames out of its scene, five readings of the same motion, pictures."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from shared.errors import ConfigError, DemonstrationError
from shared.rotation import geodesic_angle, rot6d_to_matrix
from tests.trainer.data.demonstrations.written import LIFT, unpack_lift
from trainer.data.demonstrations import open_source, read_demonstrations
from trainer.data.demonstrations.episode import Demonstrations
from trainer.data.demonstrations.formats.frame_cache import FrameCache
from trainer.data.demonstrations.formats.robosuite_frames import COMMANDED, OBSERVED_SITE, robosuite_frames
from trainer.data.demonstrations.mapping.mapping_file import parse_mapping

# The table's surface is at z = -0.112 in the base frame, and Lift's cube is about 0.02 m above it.
RANGES = {"position": {"min": [0.2, -0.4, -0.2], "max": [0.8, 0.4, 0.3]}}
CAMERAS = ["obs/agentview_image", "obs/robot0_eye_in_hand_image"]


@pytest.fixture(scope="module")
def lift(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack_lift(tmp_path_factory.mktemp("robomimic"))


def read(path: Path, frames: FrameCache | None = None, **changes: Any) -> Demonstrations:
    return read_demonstrations(path, mapping=parse_mapping(LIFT | changes, "mapping"), ranges=RANGES, frames=frames)


def test_what_the_file_says_is_used(lift: Path) -> None:
    contents = open_source(lift).contents
    assert (contents.format, contents.episodes, contents.rate_hz, contents.robot) == (
        "robomimic HDF5",
        2,
        20.0,
        "panda",
    )
    assert contents.tasks == ("Lift",)
    assert contents.masks == ("train", "valid")
    assert contents.cameras == dict.fromkeys(CAMERAS, (32, 32))
    demonstrations = read(lift)
    assert (demonstrations.task, demonstrations.robot) == ("Lift", "panda")
    assert [episode.name for episode in demonstrations.episodes] == ["data/demo_1", "data/demo_2"]
    # robomimic's split left none for its mask 'valid'.
    assert not any(episode.validation for episode in demonstrations.episodes)


DELTA = {
    "space": "ee_pose",
    "mode": "delta",
    "delta_from": "state",
    "delta_axes": "base",
    "position": {"columns": "actions[0:3]", "scale": 0.05},
    "rotation": {"columns": "actions[3:6]", "encoding": "rotation_vector", "scale": 0.5},
    "gripper": LIFT["action"]["gripper"],
}
SITE = LIFT["state"] | {"rotation": {"columns": "obs/robot0_eef_quat_site", "encoding": "quat_xyzw"}}


@pytest.mark.parametrize(
    "changes",
    [{"state": SITE}, {"action": DELTA}, {"action": DELTA, "state": SITE}],
    ids=["site", "delta", "delta-site"],
)
def test_absolute_and_delta_actions_are_the_same_commands(lift: Path, changes: dict[str, Any]) -> None:
    """Absolute ones are in the base frame, deltas start from hand or site in the world: three frames, one motion."""
    for a, b in zip(read(lift).episodes, read(lift, **changes).episodes, strict=True):
        # The first step's observation is of a simulator that had not been stepped.
        assert np.abs(a.actions - b.actions)[1:, :3].max() < 2e-3
        angle = geodesic_angle(*(rot6d_to_matrix(e.actions[1:, 3:9].astype(np.float64)) for e in (a, b)))
        assert angle.max() < 0.01
        assert np.array_equal(a.actions[:, 9], b.actions[:, 9])


def test_the_reached_pose_is_where_the_hand_went(lift: Path) -> None:
    reached = {"space": "ee_pose", "label": "reached", "latency": 1, "gripper": LIFT["action"]["gripper"]}
    with h5py.File(lift) as file:
        cube = file["data/demo_1/obs/object"][-1, :3] - [-0.56, 0, 0.912]
    last = read(lift, action=reached).episodes[0].actions[-1]
    # The cube is held by the tool centre point, which points down.
    assert np.linalg.norm(last[:3] - cube) < 0.02
    assert rot6d_to_matrix(last[3:9])[2, 2] < -0.98


@pytest.mark.parametrize("key", ["action", "state"])
def test_the_wrong_frame_is_refused(lift: Path, key: str) -> None:
    changed = LIFT[key] | {"frame": "base"}
    complaint = "wrong frame: z is|wrong frame: the commanded (positions|rotations) are"
    with pytest.raises(DemonstrationError, match=complaint):
        read(lift, **{key: changed})


def test_the_frames_are_those_of_the_simulator(lift: Path) -> None:
    from trainer.simulation.scene import load_scene
    from trainer.simulation.task import find_task

    with h5py.File(lift) as file:
        scene = file["data/demo_1"].attrs["model_file"]
    found = robosuite_frames(scene, {"env_version": "1.4.1"})
    wanted = load_scene(find_task("lift")).frames
    for frames in (found[COMMANDED], found[OBSERVED_SITE]):
        for pose, expected in ((frames.world_base, wanted.world_base), (frames.site_tcp, wanted.site_tcp)):
            # The scene is written with six digits.
            assert np.abs(pose[0] - expected[0]).max() < 1e-6
            assert geodesic_angle(pose[1], expected[1]) < 1e-5
    in_base = robosuite_frames(
        scene, {"env_version": "1.5.2", "env_kwargs": {"controller_configs": {"body_parts": {"right": {}}}}}
    )
    assert not in_base[COMMANDED].world_base[0].any()
    assert in_base[OBSERVED_SITE].world_base[0].tolist() == [-0.56, 0, 0.912]


@pytest.mark.parametrize("scene", ["", "<mujoco>", "<mujoco/>", "<mujoco><worldbody/></mujoco>"])
def test_a_scene_without_a_panda_has_no_frames(lift: Path, tmp_path: Path, scene: str) -> None:
    assert robosuite_frames(scene, {}) == {}
    path = tmp_path / "lift.hdf5"
    path.write_bytes(lift.read_bytes())
    with h5py.File(path, "r+") as file:
        for demo in file["data"].values():
            demo.attrs["model_file"] = scene
    with pytest.raises(
        DemonstrationError, match="frame is 'robosuite', but the file does not hold the scene of a Panda"
    ):
        read(path)


def test_pictures_lie_in_the_file_or_in_the_cache(lift: Path, tmp_path: Path) -> None:
    observation = {"cameras": CAMERAS}
    with h5py.File(lift) as file:
        stored = {camera: file[f"data/demo_2/{camera}"][()] for camera in CAMERAS}
    packed = tmp_path / "packed.hdf5"
    packed.write_bytes(lift.read_bytes())
    with h5py.File(packed, "r+") as file:
        for camera in CAMERAS:
            for name in ("demo_1", "demo_2"):
                values = file[f"data/{name}/{camera}"][()]
                del file[f"data/{name}/{camera}"]
                file.create_dataset(f"data/{name}/{camera}", data=values, compression="gzip")
    with pytest.raises(ConfigError, match="its pictures need a folder to be decoded into"):
        read(packed, observation=observation)
    cached = read(packed, FrameCache(tmp_path / "frames"), observation=observation)
    mapped = read(lift, observation=observation)
    assert cached.cameras == mapped.cameras == dict.fromkeys(CAMERAS, (32, 32))
    assert cached.observation_widths == {}
    for camera in CAMERAS:
        for demonstrations in (cached, mapped):
            steps = np.arange(41)
            assert np.array_equal(demonstrations.episodes[1].images[camera].at(steps), stored[camera])
    smaller = read(packed, FrameCache(tmp_path / "frames"), observation=observation | {"image_size": [16, 24]})
    assert smaller.cameras == dict.fromkeys(CAMERAS, (16, 24))
    averages = [d.episodes[0].images[CAMERAS[0]].at(np.arange(41)).mean((1, 2)) for d in (smaller, mapped)]
    assert np.abs(averages[0] - averages[1]).max() < 2
    with h5py.File(packed, "r+") as file:
        del file["data/demo_2/obs/agentview_image"]
    with pytest.raises(DemonstrationError, match="data/demo_2: 'obs/agentview_image' has no pictures of 32 x 32"):
        read(packed, FrameCache(tmp_path / "frames"), observation=observation)
