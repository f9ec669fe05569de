"""Timestamps that contradict the rate, observations that jump, and joints that are no angles."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.errors import DemonstrationError
from tests.trainer.data.demonstrations.example import RANGES, RATE_HZ, reach
from tests.trainer.data.demonstrations.lerobot_example import episodes, numbered, pose_mapping, write_lerobot
from trainer.data.demonstrations import open_source, read_demonstrations
from trainer.data.demonstrations.description import describe_source
from trainer.data.demonstrations.mapping.mapping_file import parse_mapping

Times = NDArray[np.float64]


def read_with_times(folder: Path, change: Callable[[Times], Times], **mapping: Any) -> float:
    """The rate of data whose second episode has other timestamps."""
    tables = episodes(3)
    tables[1]["timestamp"] = change(tables[1]["timestamp"].astype(np.float64)).astype(np.float32)
    root = write_lerobot(folder / "set", tables)
    return read_demonstrations(root, mapping=pose_mapping(**mapping)).rate_hz


def gap(times: Times) -> Times:
    return times + 0.5 * (np.arange(len(times)) > 14)


def dropped(times: Times) -> Times:
    return times + 0.05 * (np.arange(len(times)) > 14)


def back(times: Times) -> Times:
    return times - 0.2 * (np.arange(len(times)) > 14)


def still(times: Times) -> Times:
    return np.where(np.arange(len(times)) == 15, times[14], times)


def nan(times: Times) -> Times:
    return np.where(np.arange(len(times)) == 15, np.nan, times)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            lambda t: 2 * t,
            r"its steps are 0\.1 s apart .* which is 10 Hz; the data set's rate is 20 Hz, 0\.05 s; give the",
        ),
        (lambda t: 0.8 * t, r"its steps are 0\.04 s apart .* which is 25 Hz; the data set's rate is 20 Hz"),
        (lambda t: 1000 * t, r"its steps are 50 s apart .* which is 0\.02 Hz; the data set's rate is 20 Hz"),
        (lambda t: 0 * t, r"all timestamps are 0; at 20 Hz they are 0\.05 s apart"),
        (
            gap,
            r"0\.55 s pass between steps 14 and 15, which is 1\.818 Hz, where the rate is 20 Hz and the",
        ),
        (dropped, r"0\.1 s pass between steps 14 and 15, which is 10 Hz, where the rate is 20 Hz"),
        (back, r"time goes back between steps 14 and 15, from 0\.7 s to 0\.55 s; at 20 Hz it goes on by 0\.05 s"),
        (still, r"time stands still between steps 14 and 15, from 0\.7 s to 0\.7 s; at 20 Hz"),
        (nan, r"the timestamp of step 15 is nan"),
    ],
)
def test_timestamps_that_contradict_the_rate_are_named(tmp_path: Path, change: Any, complaint: str) -> None:
    with pytest.raises(DemonstrationError, match="not the rate that it says: episode 1: " + complaint):
        read_with_times(tmp_path, change)
    (tmp_path / "accepted").mkdir()
    assert read_with_times(tmp_path / "accepted", change, accept=["timestamps"]) == 20


@pytest.mark.parametrize("rate_hz", [10.0, 20.0])
@pytest.mark.parametrize("factor", [2.0, 0.0])
def test_a_rate_that_is_given_goes_before_the_timestamps(tmp_path: Path, rate_hz: float, factor: float) -> None:
    assert read_with_times(tmp_path, lambda times: factor * times, rate_hz=rate_hz) == rate_hz
    (tmp_path / "gap").mkdir()
    with pytest.raises(DemonstrationError, match=r"0\.55 s pass between steps 14 and 15"):
        read_with_times(tmp_path / "gap", gap, rate_hz=rate_hz)


def test_ordinary_jitter_passes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for index, change in enumerate(
        (
            lambda times: times + rng.uniform(-0.2, 0.2, len(times)) / RATE_HZ,
            lambda times: 3.7 + 1.04 * times,
            lambda times: np.round(times, 2),
        )
    ):
        (tmp_path / str(index)).mkdir()
        assert read_with_times(tmp_path / str(index), change) == 20


def test_the_description_says_the_rate_of_the_timestamps(tmp_path: Path) -> None:
    tables = episodes(2)
    for table in tables:
        table["timestamp"] = 2 * table["timestamp"]
    lines = describe_source(open_source(write_lerobot(tmp_path / "set", tables)))
    assert "timestamps: 0.1 s from step to step, which is 10 Hz, and not 20 Hz" in lines


def stale(table: dict[str, Any], offset: Any, steps: int = 1) -> dict[str, Any]:
    """The table with other observations at its first steps."""
    observed = table["observation.state"].copy()
    observed[:steps, :3] += np.asarray(offset, np.float32)
    return table | {"observation.state": observed}


def test_a_stale_first_observation_is_named(tmp_path: Path) -> None:
    tables = [stale(one, [0.0, 0.36, 0.48]) for one in episodes(4)]
    complaint = (
        r"not continuous: episode 0 begins with a stale observation: the one of step 0 is 0\.60 m from that of step 1, "
        r"and no other is more than 0\.0\d+ m from its next, and so in 3 more of 4 episodes; .*add \"continuity\" to"
    )
    with pytest.raises(DemonstrationError, match=complaint):
        read_demonstrations(write_lerobot(tmp_path / "all", tables), mapping=pose_mapping())
    # No faster than an arm may be, but than this one ever is.
    one = [stale(table, [0, 0.12, 0]) if index == 2 else table for index, table in enumerate(episodes(4))]
    with pytest.raises(DemonstrationError, match=r"episode 2 begins with a stale observation: .* is 0\.12 m from"):
        read_demonstrations(write_lerobot(tmp_path / "one", one), mapping=pose_mapping())
    late = [stale(table, [0, 0.12, 0], 2) for table in episodes(4)]
    with pytest.raises(DemonstrationError, match=r"the one of step 1 is 0\.1\d m from that of step 2, and no other"):
        read_demonstrations(write_lerobot(tmp_path / "late", late), mapping=pose_mapping())
    accepted = read_demonstrations(tmp_path / "one", mapping=pose_mapping(accept=["continuity"]))
    assert len(accepted.episodes) == 4


def test_observed_motion_that_jumps_is_named_with_the_step(tmp_path: Path) -> None:
    tables = episodes(3)
    tables[1]["observation.state"][20:, 1] += 0.25
    root = write_lerobot(tmp_path / "set", tables)
    complaint = (
        r"not continuous: episode 1: what is observed jumps by 0\.2\d m between steps 19 and 20, which at 20 Hz is"
    )
    with pytest.raises(DemonstrationError, match=complaint):
        read_demonstrations(root, mapping=pose_mapping())


def joints_set(folder: Path, spans: list[tuple[float, float]], robot: str = "so101_follower") -> Path:
    """Joints that go there and back between numbers of their own, (low, high) each, and a gripper."""
    tables = []
    for index in range(3):
        share = (reach(index).joints - reach(index).joints[0])[:, :1]
        share = np.abs(share / np.abs(share).max())
        low, high = np.array(spans).T
        values = np.concatenate([low + (high - low) * share, np.full((40, 1), 50.0)], axis=1).astype(np.float32)
        tables.append(numbered(index, {"action": values, "observation.state": values}))
    return write_lerobot(folder, tables, robot_type=robot)


def joint_mapping(unit: str, **changes: Any) -> Any:
    def entry(column: str) -> dict[str, Any]:
        more = {"low": [-1.9, -1.75, -1.69], "high": [1.9, 1.75, 1.69]} if unit == "normalized" else {}
        return {"columns": f"{column}[0:3]", "unit": unit, **more}

    content: dict[str, Any] = {
        "action": {
            "space": "joint_position",
            "joint_position": entry("action"),
            "gripper": {"columns": "action[3]", "open": 100, "closed": 0},
        },
        "state": {"joint_position": entry("observation.state")},
    }
    return parse_mapping(content | changes, "mapping")


LIMITS = {"joint_position": {"min": [-1.9, -1.75, -1.69], "max": [1.9, 1.75, 1.69]}}
WRITE = r'write joint_position = \{columns = "action\[0:3\]", unit = "normalized", low = '


def test_normalized_joints_that_are_read_as_angles(tmp_path: Path) -> None:
    root = joints_set(tmp_path / "set", [(-20, 36), (-99, 28), (-17, 98)])
    found = (
        r"normalized joints taken as angles, it seems: 'action\[0:3\]' holds numbers from -100 to 100, joint 2 from "
        r"-99\.0 to 28\.0 and joint 3 from -17\.0 to 98\.0"
    )
    for unit in ("deg", "rad"):
        with pytest.raises(DemonstrationError, match=found + r".*" + WRITE + r"\[\.\.\.\], high = \[\.\.\.\]\}"):
            read_demonstrations(root, mapping=joint_mapping(unit))
        # With the robot's limits they are written out.
        with pytest.raises(
            DemonstrationError, match=found + r".*" + WRITE + r"\[-1\.9, -1\.75, -1\.69\], high = \[1\.9"
        ):
            read_demonstrations(root, mapping=joint_mapping(unit), ranges=LIMITS)
    assert len(read_demonstrations(root, mapping=joint_mapping("normalized"), ranges=LIMITS).episodes) == 3
    assert len(read_demonstrations(root, mapping=joint_mapping("deg", accept=["normalized"])).episodes) == 3


def test_one_joint_beyond_its_limit_is_enough_where_limits_are_known(tmp_path: Path) -> None:
    root = joints_set(tmp_path / "set", [(-20, 36), (-30, 28), (-17, 98)])
    assert len(read_demonstrations(root, mapping=joint_mapping("deg")).episodes) == 3
    with pytest.raises(
        DemonstrationError, match=r"joint 3 from -17\.0 to 98\.0; as angles, joint 3 is .* the action range"
    ):
        read_demonstrations(root, mapping=joint_mapping("deg"), ranges=LIMITS)


def test_degrees_that_are_said_to_be_such_only_leave_their_range(tmp_path: Path) -> None:
    root = joints_set(tmp_path / "set", [(-20, 36), (-30, 28), (-17, 98)])
    with pytest.raises(
        DemonstrationError, match=r"outside the action range: joint 3 is .*; pretrain with a wider --action"
    ):
        read_demonstrations(root, mapping=joint_mapping("deg", accept=["normalized"]), ranges=LIMITS)


@pytest.mark.parametrize(
    "spans", [[(-20, 36), (-99, 28), (-17, 112)], [(-20, 36), (-60, 28), (-17, 98)], [(-99, 99), (-80, 28), (0, 60)]]
)
def test_degrees_stay_degrees(tmp_path: Path, spans: list[tuple[float, float]]) -> None:
    root = joints_set(tmp_path / "set", spans)
    demonstrations = read_demonstrations(root, mapping=joint_mapping("deg"))
    assert np.abs(demonstrations.episodes[0].actions[:, 2].max() - np.deg2rad(spans[2][1])) < 1e-5


def test_joints_near_100_degrees_within_known_limits_are_degrees(tmp_path: Path) -> None:
    root = joints_set(tmp_path / "set", [(-20, 36), (-99, 28), (-17, 95)])
    assert len(read_demonstrations(root, mapping=joint_mapping("deg"), ranges=LIMITS).episodes) == 3


def test_poses_have_no_joints_to_look_normalized(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / "set", episodes(2))
    assert len(read_demonstrations(root, mapping=pose_mapping(), ranges=RANGES).episodes) == 2
