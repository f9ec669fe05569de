"""Copies of a known data set, each corrupted in one way: what is said of it, with the numbers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from services.catalogue import ARMS
from services.synthesis.arm.robot_model import robot_model
from tests.trainer.data.demonstrations.proposal.example import EPISODES, LAG, STEPS, chain_of, write
from tests.trainer.example import make_demonstrations
from trainer.__main__ import main
from trainer.data.demonstrations import open_source
from trainer.data.demonstrations.mapping.mapping import Mapping
from trainer.data.demonstrations.mapping.mapping_file import parse_mapping
from trainer.data.demonstrations.motion_report.lag import delayed, lag_of
from trainer.data.demonstrations.motion_report.limits import KnownLimits
from trainer.data.demonstrations.motion_report.recordings import read_recordings, recordings_of
from trainer.data.demonstrations.motion_report.report import describe_motion_faults

ROBOT = "panda"
CHAIN = chain_of(ROBOT)
LIMITS = KnownLimits.of_robot(robot_model(ARMS[ROBOT]).spec.to_json())
RATE_HZ = 5.0
"""Slower than it was made for, so that the arm keeps its limits."""
NO_DRIFT = "none beyond 0.01 rad or 0.003 m in 6 episodes"


def mapping(space: str) -> Mapping:
    pose = {
        "position": {"columns": "actions[0:3]"},
        "rotation": {"columns": "actions[3:6]", "encoding": "rotation_vector"},
    }
    joints: dict[str, Any] = {"joint_position": {"columns": "actions[0:7]"}}
    place = 6 if space == "ee_pose" else 7
    content = {
        "action": {
            "space": space,
            **(pose if space == "ee_pose" else joints),
            "gripper": {"columns": f"actions[{place}]", "open": -1, "closed": 1},
        },
        "state": {
            "position": {"columns": "obs/eef_pos"},
            "rotation": {"columns": "obs/eef_quat", "encoding": "quat_xyzw"},
            "joint_position": {"columns": "obs/joint_pos"},
        },
        "observation": {"low_dim": ["obs/gripper_width"]},
        "robot": ROBOT,
        "rate_hz": RATE_HZ,
    }
    return parse_mapping(content, "mapping")


def written(path: Path, space: str = "joint_position") -> Path:
    """The known set, with joints or poses commanded."""
    if space == "ee_pose":
        return write(path, ROBOT)
    return write(path, ROBOT, lambda columns, told, seen: {"actions": np.c_[told.joints, told.gripper]})


def said(path: Path, space: str = "joint_position", table: float | None = None) -> list[str]:
    recordings = read_recordings(open_source(path), path, mapping(space), None)
    return describe_motion_faults(recordings, CHAIN, LIMITS, table)


def corrupted(path: Path, change: Callable[[Any], None], *episodes: int) -> Path:
    """The known set with the columns of some episodes, or of all, changed in place."""
    with h5py.File(written(path), "r+") as file:
        for index in episodes or range(EPISODES):
            change(file[f"data/demo_{index}"])
    return path


def add(column: str, place: Any, value: float) -> Callable[[Any], None]:
    def change(demo: Any) -> None:
        values = demo[column][()]
        values[place] += value
        demo[column][()] = values

    return change


@pytest.mark.parametrize("space", ["joint_position", "ee_pose"])
def test_the_known_set_has_a_lag_and_no_faults(tmp_path: Path, space: str) -> None:
    found = said(written(tmp_path / "known.hdf5", space), space)
    assert found[0] == "lag: what is observed follows commands after 2.0 steps, 0.400 s; by episode 2.0 to 2.0 steps"
    assert found[1] == f"drift between episodes, observations against commands: {NO_DRIFT}"
    assert found[2] == f"drift between episodes, joints against poses, by the arm's kinematics: {NO_DRIFT}"
    keeps = "keeps those of position, velocity, acceleration, jerk"
    both = [f"limits: what is commanded {keeps}"] if space == "joint_position" else []
    assert found[3:-2] == [*both, f"limits: what is observed {keeps}"]
    assert found[-2] == "never moves: no number does"
    assert found[-1].startswith("table: the tool's height is lowest 0.1320 m, in data/demo_3 at step 5")


def test_a_lag_between_whole_steps_and_none(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    time = np.linspace(0, 6, 80)[:, None]
    told = [np.sin(time * rng.uniform(0.5, 2, 3) + rng.uniform(0, 6, 3)) for _ in range(4)]
    # Of an episode each, with an offset of its own, which is no lag.
    pairs = [(one, delayed(one, 2.2 + 0.1 * place) + place) for place, one in enumerate(told)]
    lag = lag_of(pairs, 20.0)
    assert lag is not None
    assert abs(lag.steps - 2.35) < 0.03
    assert abs(lag.least - 2.2) < 0.03
    assert abs(lag.most - 2.5) < 0.03
    assert lag_of([(one, rng.normal(size=one.shape)) for one in told], 20.0) is None
    assert lag_of([(one, np.zeros_like(one)) for one in told], 20.0) is None
    assert lag_of([(one[:5], one[:5]) for one in told], 20.0) is None

    # The known set, observed one step later than it was.
    def later(demo: Any) -> None:
        for name in ("joint_pos", "eef_pos", "eef_quat"):
            values = demo[f"obs/{name}"][()]
            demo[f"obs/{name}"][()] = values[np.maximum(np.arange(STEPS) - 1, 0)]

    rate = RATE_HZ * 4
    path = corrupted(tmp_path / "later.hdf5", later)
    faster = mapping("joint_position").model_copy(update={"rate_hz": rate})
    found = describe_motion_faults(read_recordings(open_source(path), path, faster, None), None, None, None)
    assert found[0].startswith(f"lag: what is observed follows commands after {LAG + 1}.0 steps, 0.150 s;")
    assert found[2] == (
        "drift between episodes, joints against poses, by the arm's kinematics: not looked at; give --robot with "
        "--service, or --urdf with --tip"
    )
    assert found[3] == "limits: not looked at; give --robot with --service, or --urdf with --tip"


def test_an_encoder_that_was_set_anew_in_one_episode(tmp_path: Path) -> None:
    """Joint 3 as observed 0.05 rad further in episode 3."""
    found = said(corrupted(tmp_path / "joint.hdf5", add("obs/joint_pos", np.s_[:, 2], 0.05), 3))
    assert found[1] == (
        "drift between episodes, observations against commands: joint 3 is off by 0.0000 to 0.0500 rad, in half of the "
        "episodes by 0.0000; 1 of 6 differ, data/demo_3 most"
    )
    assert found[2] == (
        "drift between episodes, joints against poses, by the arm's kinematics: zero of joint 3 is off by -0.0500 to "
        "0.0000 rad, in half of the episodes by 0.0000; 1 of 6 differ, data/demo_3 most"
    )
    assert "drift" not in found[3]


def test_a_base_that_was_moved_for_two_episodes(tmp_path: Path) -> None:
    """Poses as observed further along y, 0.02 m in episode 4 and 0.03 m in episode 5."""
    path = corrupted(tmp_path / "base.hdf5", add("obs/eef_pos", np.s_[:, 1], 0.02), 4)
    with h5py.File(path, "r+") as file:
        add("obs/eef_pos", np.s_[:, 1], 0.03)(file["data/demo_5"])
    found = said(path)
    assert found[1].endswith(NO_DRIFT)
    assert found[2] == (
        "drift between episodes, joints against poses, by the arm's kinematics: position y is off by 0.0000 to 0.0300 "
        "m, in half of the episodes by 0.0000; 2 of 6 differ, data/demo_5 most"
    )


def test_limits_that_are_broken(tmp_path: Path) -> None:
    """Joint 2 as observed 0.5 rad off at step 30 of episode 1; joint 4 as commanded 3 rad off in two steps of 5."""
    path = corrupted(tmp_path / "limits.hdf5", add("obs/joint_pos", np.s_[30, 1], 0.5), 1)
    with h5py.File(path, "r+") as file:
        add("actions", np.s_[10:12, 3], 3.0)(file["data/demo_5"])
        joint = file["data/demo_5/actions"][:, 3]
        seen = file["data/demo_1/obs/joint_pos"][:, 1]
    found = [line for line in said(path) if line.startswith("limits")]
    at = 10 + int(np.argmax(joint[10:12]))
    assert found[0] == (
        "limits: position broken in what is commanded, in 2 steps of 1 of 6 episodes; most at joint 4, "
        f"{joint[at]:.3g} rad where {LIMITS.upper[3]:.3g} is allowed, in data/demo_5 at step {at}"
    )
    assert found[1].startswith(
        "limits: velocity broken in what is commanded, in 2 steps of 1 of 6 episodes; most at joint 4"
    )
    speed = np.diff(seen) * RATE_HZ
    step = int(np.abs(speed).argmax())
    assert step in (29, 30)
    assert (
        "limits: velocity broken in what is observed, in 1 step of 1 of 6 episodes; most at joint 2, "
        f"{speed[step]:.3g} rad/s where {LIMITS.velocity[1]:.3g} is allowed, in data/demo_1 at step {step}"  # type: ignore[index]
    ) in found
    bend = np.diff(seen, n=2) * RATE_HZ**2
    (line,) = [line for line in found if "acceleration broken in what is observed" in line]
    assert f"{bend[np.abs(bend).argmax()]:.3g} rad/s^2" in line


def test_numbers_that_never_move(tmp_path: Path) -> None:
    """A gripper's width that is 0.04 always, and joint 6 as observed that stands at 1.5."""

    def stop(demo: Any) -> None:
        demo["obs/gripper_width"][()] = 0.04
        values = demo["obs/joint_pos"][()]
        values[:, 5] = 1.5
        demo["obs/joint_pos"][()] = values

    found = said(corrupted(tmp_path / "dead.hdf5", stop))
    assert "never moves: obs/gripper_width is 0.04, obs/joint_pos[5] is 1.5, at every step of every episode" in found
    # What moves in one episode is not dead.
    found = said(corrupted(tmp_path / "some.hdf5", stop, 0, 1, 2, 3, 4))
    assert "never moves: no number does" in found


def test_dips_below_the_table(tmp_path: Path) -> None:
    """The tool as observed 0.3 m lower in steps 3 to 8 of episode 3."""
    found = said(corrupted(tmp_path / "dips.hdf5", add("obs/eef_pos", np.s_[3:9, 2], -0.3), 3), table=0.0)
    assert found[-1].startswith(
        "table: the tool is below 0 m in 6 steps of 1 of 6 episodes; lowest -0.1680 m, in data/demo_3"
    )
    assert said(written(tmp_path / "known.hdf5"), table=0.1)[-1].startswith(
        "table: the tool is below 0.1 m in 0 steps of 0 of 6"
    )


def test_a_simulators_demonstrations_and_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = describe_motion_faults(recordings_of(make_demonstrations()), None, None, 0.0)
    assert found[0] == "lag: can't be told; what is commanded was not observed, too (the mapping's state)"
    assert found[-1].startswith("table: the tool is below 0 m in 0 steps of 0 of 6 episodes")
    path, urdf, columns = written(tmp_path / "known.hdf5"), tmp_path / "arm.urdf", tmp_path / "columns.json"
    urdf.write_bytes(ARMS[ROBOT].files.urdf())
    columns.write_text(mapping("joint_position").model_dump_json(exclude_none=True))
    arguments = ["inspect", str(path), "--mapping", str(columns), "--table", "0.15", "--count", "4"]
    assert main([*arguments, "--urdf", str(urdf), "--tip", ARMS[ROBOT].tool_frame]) == 0, capsys.readouterr().err
    lines = capsys.readouterr().out.splitlines()
    assert "lag: what is observed follows commands after 2.0 steps, 0.400 s; by episode 2.0 to 2.0 steps" in lines
    assert "limits: what is observed keeps those of position, velocity" in lines
    # A URDF has no others.
    assert "limits: those of acceleration, jerk are not known" in lines
    assert lines[-1].startswith("table: the tool is below 0.15 m in ")
