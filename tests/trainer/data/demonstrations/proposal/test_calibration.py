"""LeRobot's calibration files: motors' numbers in radians, proposed with confidence only where kinematics agrees."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from services.catalogue import ARMS
from shared.errors import ConfigError
from tests.trainer.data.demonstrations.proposal.example import Change, chain_of, recording, write
from trainer.__main__ import main
from trainer.data.demonstrations import open_source, read_demonstrations
from trainer.data.demonstrations.mapping.mapping_file import read_mapping
from trainer.data.demonstrations.proposal.calibration import read_calibration
from trainer.data.demonstrations.proposal.guess import Guess
from trainer.data.demonstrations.proposal.proposal import propose

FloatArray = NDArray[np.float64]

ROBOT = "so101"
CHAIN = chain_of(ROBOT)
NAMES = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")
LOW, HIGH = np.array([480, 500, 470, 520, 0]), np.array([3600, 3580, 3640, 3700, 4095])
TURNED = np.array([False, True, False, False, False])
CONTENT: dict[str, Any] = {
    name: {
        "id": place + 1,
        "drive_mode": int(place == 1),
        "homing_offset": 116 * place,
        "range_min": low,
        "range_max": high,
    }
    for place, (name, low, high) in enumerate(zip(NAMES, [*LOW.tolist(), 2000], [*HIGH.tolist(), 3500], strict=True))
}


def ticks(joints: FloatArray) -> FloatArray:
    """What motors count at joint positions [rad], whose zeros are the middles of their ranges."""
    return np.asarray(np.where(TURNED, -1, 1) * joints * 4096 / (2 * np.pi) + (LOW + HIGH) / 2)


def normalized(joints: FloatArray) -> FloatArray:
    """As LeRobot has them in a data set."""
    return np.asarray(np.where(TURNED, -1, 1) * (200 * (ticks(joints) - LOW) / (HIGH - LOW) - 100))


def in_degrees(joints: FloatArray) -> FloatArray:
    return np.asarray(np.rad2deg(joints))


def of(encode: Callable[[FloatArray], FloatArray], *, poses: bool = True) -> Change:
    """Joints commanded and observed in an encoding; and poses as observed, or none."""

    def change(columns: Any, told: Any, seen: Any) -> dict[str, FloatArray]:
        changed = {"actions": np.c_[encode(told.joints), told.gripper], "obs/joint_pos": encode(seen.joints)}
        none = np.zeros((len(told.gripper), 0))
        return changed if poses else changed | {"obs/eef_pos": none, "obs/eef_quat": none}

    return change


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "follower.json"
    path.write_text(json.dumps(CONTENT))
    return path


def guesses(path: Path, file: Path) -> dict[str, Guess]:
    found = propose(open_source(path), path, ROBOT, CHAIN, read_calibration(file))
    return {".".join(guess.key): guess for guess in found.guesses}


def test_the_recorded_motion_is_within_the_ranges() -> None:
    for seed in range(6):
        counted = ticks(recording(ROBOT, seed).joints)
        assert (counted > LOW).all()
        assert (counted < HIGH).all()


@pytest.mark.parametrize("encode", [normalized, ticks])
def test_kinematics_agrees_with_the_calibration(tmp_path: Path, file: Path, encode: Any) -> None:
    path = write(tmp_path / "demos.hdf5", ROBOT, of(encode))
    found = guesses(path, file)
    for table, columns in (("action", "actions[0:5]"), ("state", "obs/joint_pos")):
        guess = found[f"{table}.joint_position"]
        assert guess.is_sure, guess
        joints = guess.readings[0]
        assert (joints.columns, joints.unit, joints.sign, joints.offset) == (columns, "normalized", None, None)
        assert joints.normalized_range == ((-100.0, 100.0) if encode is normalized else (0.0, 4096.0))
        half = (HIGH - LOW) * np.pi / 4096
        if encode is normalized:
            assert np.allclose(joints.high, half, atol=1e-5)
            assert np.allclose(joints.low, -half, atol=1e-5)
        else:
            # From tick 0 to a turn later, the other way round where the direction is.
            assert np.allclose(joints.low, np.where(TURNED, 1, -1) * (HIGH + LOW) * np.pi / 4096, atol=1e-5)
            assert np.allclose(np.subtract(joints.high, joints.low), np.where(TURNED, -1, 1) * 2 * np.pi, atol=2e-5)


def test_degrees_stay_degrees(tmp_path: Path, file: Path) -> None:
    found = guesses(write(tmp_path / "demos.hdf5", ROBOT, of(in_degrees)), file)
    for table in ("action", "state"):
        assert found[f"{table}.joint_position"].is_sure
        assert found[f"{table}.joint_position"].readings[0].unit == "deg"


def test_a_middle_that_is_not_the_arms_zero(tmp_path: Path, file: Path) -> None:
    """Motor 3 was calibrated with its middle 0.3 rad from the URDF's zero."""
    shift = np.array([0, 0, 0.3, 0, 0])
    path = write(tmp_path / "demos.hdf5", ROBOT, of(lambda joints: normalized(joints - shift)))
    guess = guesses(path, file)["state.joint_position"]
    offsets = [np.array(one.offset or (0.0,) * 5) for one in guess.readings if one.unit == "normalized"]
    assert any(np.abs(one - shift).max() < 2e-3 for one in offsets)
    assert not guess.is_sure or len(offsets) == 1


def test_without_poses_it_is_offered_and_asked(tmp_path: Path, file: Path) -> None:
    found = guesses(write(tmp_path / "demos.hdf5", ROBOT, of(normalized, poses=False)), file)
    for table in ("action", "state"):
        guess = found[f"{table}.joint_position"]
        assert not guess.is_sure
        assert "normalized" in [reading.unit for reading in guess.readings]


def test_the_command_writes_a_mapping_that_holds(
    tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out, urdf = (
        write(tmp_path / "demos.hdf5", ROBOT, of(normalized)),
        tmp_path / "mapping.toml",
        tmp_path / "arm.urdf",
    )
    urdf.write_bytes(ARMS[ROBOT].files.urdf())
    arm = ["--robot", ROBOT, "--urdf", str(urdf), "--tip", ARMS[ROBOT].tool_frame]
    assert main(["inspect", str(data), *arm, "--propose", str(out), "--calibration", str(file)]) == 0
    assert "CAN'T TELL" not in out.read_text()
    assert tomllib.loads(out.read_text())["state"]["joint_position"]["unit"] == "normalized"
    read = read_demonstrations(data, mapping=read_mapping(out))
    for seed, episode in enumerate(read.episodes):
        assert np.abs(episode.actions[:, :5] - recording(ROBOT, seed).joints).max() < 1e-4
    capsys.readouterr()
    assert main(["inspect", str(data), "--calibration", str(file)]) == 2
    assert "--calibration is for a proposal" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"elbow_flex": {"id": 3}}, "motor 'elbow_flex' needs the whole numbers id, drive_mode, homing_offset"),
        ({"elbow_flex": CONTENT["elbow_flex"] | {"range_min": 3700}}, "goes from 3700 to 3640"),
        ({"elbow_flex": CONTENT["elbow_flex"] | {"range_max": 5000}}, "within 0 to 4095"),
        ({"elbow_flex": CONTENT["elbow_flex"] | {"drive_mode": 2}}, "has drive_mode 2"),
        ({"elbow_flex": CONTENT["elbow_flex"] | {"id": 1}}, "two motors of one id"),
        ({"motor_names": ["a"], "homing_offset": [1]}, "of LeRobot before 0.2"),
    ],
)
def test_what_is_no_calibration_is_said(file: Path, change: Any, message: str) -> None:
    file.write_text(json.dumps({**CONTENT, **change}))
    with pytest.raises(ConfigError, match=message):
        read_calibration(file)


def test_another_number_of_joints(tmp_path: Path, file: Path) -> None:
    file.write_text(json.dumps({name: CONTENT[name] for name in NAMES[1:]}))
    with pytest.raises(
        ConfigError, match=r"has 4 motors beside the gripper \(shoulder_lift, .*'obs/joint_pos' has 5 joints"
    ):
        guesses(write(tmp_path / "demos.hdf5", ROBOT, of(normalized)), file)
    file.write_text("[]")
    with pytest.raises(ConfigError, match="is no LeRobot calibration"):
        read_calibration(file)
    file.write_text("no")
    with pytest.raises(ConfigError, match="can't be read as a LeRobot calibration"):
        read_calibration(file)
