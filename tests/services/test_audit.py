import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from headstart_client.data.commit_block import pack_block
from services.__main__ import main
from services.audit import AuditReport, audit_dataset
from services.engine import InlineEngine
from services.jobs import begin, make_dataset
from services.synthesis.request.families import WAYPOINT_FAMILIES
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared import records
from shared.dataset import Dataset
from shared.errors import DatasetFormatError
from tests.shared.example import remove_commits

BODY = {"robot": "panda", "count": 40, "seed": 1, "shard_rows": 20, "columns": list(records.OPTIONAL_COLUMNS)}
KEEP_OUT = [
    {"kind": "half_space", "normal": [0, 0, 2], "offset": -0.05},
    {"kind": "box", "min": [0.4, 0.4, 0.2], "max": [0.6, 0.6, 0.4]},
]
REQUEST = TrajectoryRequest.parse({**BODY, "keep_out": KEEP_OUT})


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    dataset = begin(REQUEST, tmp_path_factory.mktemp("audit") / "sound")
    assert make_dataset(REQUEST, dataset, InlineEngine())
    dataset.set_state("sealed")
    return dataset


def _recommitted(dataset: Dataset, target: Path, change: Callable[[pa.Table], pa.Table]) -> Dataset:
    """A copy whose shard 1 was changed and committed anew, its hashes and statistics right."""
    shutil.copytree(dataset.root, target)
    copy = Dataset(target)
    commit = copy.commit(1)
    assert commit is not None
    table = change(copy.read_shard(commit))
    remove_commits(copy, 1)
    fresh = Dataset(target)
    fresh.publish(1, table, commit.attempts, commit.rejections)
    fresh.set_state("sealed")
    return fresh


def _changed(name: str, change: Callable[[NDArray[Any]], None]) -> Callable[[pa.Table], pa.Table]:
    """Changes row 7's values of a list column, shaped (T, width), or a scalar column's values."""

    def apply(table: pa.Table) -> pa.Table:
        column = next(column for column in records.COLUMNS if column.name == name)
        if column.is_list:
            values, offsets = records.list_column(table, name)
            values = values.copy()
            change(values[offsets[7] : offsets[8]].reshape(-1, column.width(7)))
            items = pa.array(values, column.dtype)
            array = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), items, type=column.field().type)
        else:
            scalars = table.column(name).to_numpy().copy()
            change(scalars)
            array = pa.array(scalars, column.field().type)
        return table.set_column(table.schema.get_field_index(name), table.schema.field(name), array)

    return apply


def _broken(report: AuditReport) -> set[str]:
    return {name for name, check in report.checks.items() if check.violations}


def test_a_dataset_of_every_family_passes_every_check(tmp_path: Path) -> None:
    changes = {"families": dict.fromkeys(WAYPOINT_FAMILIES, 1.0), "via_velocity": [0.5, 1.0], "tool_speed": [0.1, 0.5]}
    request = TrajectoryRequest.parse({**BODY, **changes, "speed_scale": [0.5, 1.0]})
    dataset = begin(request, tmp_path / "families")
    assert make_dataset(request, dataset, InlineEngine(), on_progress=lambda made, commit: None)
    report = audit_dataset(dataset)
    assert report.violations == 0, _broken(report)
    assert report.rows_in_motion == 40
    assert report.checks["lines are straight"].checked > 3000
    assert 0 < report.checks["lines are straight"].worst < 1e-4


def test_a_line_that_is_not_straight_is_found(sound: Dataset, tmp_path: Path) -> None:
    def rename(table: pa.Table) -> pa.Table:
        names = ["cartesian_line" if name == "via_points" else name for name in table.column("family").to_pylist()]
        place = table.schema.get_field_index("family")
        return table.set_column(place, table.schema.field(place), pa.array(names))

    report = audit_dataset(_recommitted(sound, tmp_path / "bent", rename))
    assert _broken(report) == {"lines are straight", "families are the request's"}
    assert report.checks["lines are straight"].worst > 0.01


def test_it_says_at_which_rates_its_answer_is_exact(sound: Dataset, tmp_path: Path) -> None:
    assert "along the stored profiles: exact at any rate" in audit_dataset(sound).between_samples
    request = TrajectoryRequest.parse({"robot": "panda", "count": 4})
    dataset = begin(request, tmp_path / "plain")
    assert make_dataset(request, dataset, InlineEngine())
    assert "exact to 1 mm from 68 Hz on; at 20 Hz ask for profile_time" in audit_dataset(dataset).between_samples


def test_a_sound_dataset_passes_every_check(sound: Dataset) -> None:
    report = audit_dataset(sound)
    assert report.violations == 0, _broken(report)
    assert (report.shards, report.rows, report.rows_in_motion) == (2, 40, 40)
    assert report.samples == sum(commit.samples for commit in sound.commits())
    assert report.checks["FK position"].checked == report.samples
    assert 0 < report.checks["FK position"].worst < 1e-6
    assert report.checks["integrated profiles give joint_position"].worst < 3e-7
    # What is kept below a limit is a distance, and negative.
    assert report.checks["velocity limits"].worst < 0
    # Synthesis keeps links 5 mm apart and 2 mm away from keep-outs.
    assert -0.01 <= report.checks["self-collision"].worst < -0.005
    assert -0.01 <= report.checks["keep-outs"].worst < -0.002
    assert report.checks["tool in keep-outs"].checked == 2 * report.samples
    assert len(report.checks) == 39


def test_processes_find_the_same(sound: Dataset, tmp_path: Path) -> None:
    bad = _recommitted(sound, tmp_path / "bad", _changed("gripper", _set((5, 0), 0.5)))
    alone, together = audit_dataset(bad), audit_dataset(bad, workers=2)
    assert alone.violations == 1
    for one, other in zip(alone.checks.values(), together.checks.values(), strict=True):
        # How many threads multiply matrices may tell in the last digit.
        assert other.worst == pytest.approx(one.worst, rel=1e-9)
        assert replace(other, worst=one.worst) == one
    assert (alone.rows, alone.samples, alone.shards) == (together.rows, together.samples, together.shards)


def _set(index: tuple[int, ...], value: float) -> Callable[[NDArray[Any]], None]:
    def change(values: NDArray[Any]) -> None:
        values[index] = value

    return change


def _add(index: tuple[int, ...] | int, value: float) -> Callable[[NDArray[Any]], None]:
    def change(values: NDArray[Any]) -> None:
        values[index] += value

    return change


def _stand(values: list[float]) -> Callable[[NDArray[Any]], None]:
    """The same at every sample."""

    def change(column: NDArray[Any]) -> None:
        column[:] = values

    return change


CROSSED = [2.42, -1.67, -0.36, -1.62, -2.52, 0.0, 1.92]
"""A posture in which the meshes of the hand and of the second link overlap, above the table."""
BELOW = [-2.25, 1.43, -0.84, -2.64, -1.36, 2.99, -1.41]
"""A posture in which only the table is in the way."""
TAMPERED = {
    "a position beyond its limit": (_changed("joint_position", _set((5, 3), 0.1)), "position limits"),
    "a position that is not a number": (_changed("joint_position", _set((5, 3), np.nan)), "position limits"),
    "a position off by 0.1 mrad": (_changed("joint_position", _add((5, 0), 1e-4)), "FK position"),
    "the last wrist turned, which moves no point": (_changed("joint_position", _add((5, 6), 1e-4)), "FK rotation"),
    "a jump": (_changed("joint_position", _add((5, 1), -0.2)), "velocity between samples"),
    "a velocity beyond its limit": (_changed("joint_velocity", _set((5, 0), 2.2)), "velocity limits"),
    "a velocity that jumps": (_changed("joint_velocity", _add((5, 1), 1.0)), "acceleration between samples"),
    "velocities of another motion": (
        _changed("joint_velocity", lambda v: np.negative(v, out=v)),
        "velocity is the slope of position",
    ),
    "no rest at the goal": (_changed("joint_velocity", _set((-1, 2), 0.01)), "at rest at the end"),
    "an acceleration beyond its limit": (_changed("joint_acceleration", _set((5, 1), 7.6)), "acceleration limits"),
    "accelerations of another motion": (
        _changed("joint_acceleration", lambda a: np.negative(a, out=a)),
        "integrated profiles give joint_acceleration",
    ),
    "a pose off by 0.02 mm": (_changed("ee_position", _add((5, 1), 2e-5)), "FK position"),
    "a pose outside the range": (_changed("ee_position", _set((5, 1), 2.0)), "positions in action_range"),
    "a rotation off by 0.02 mrad": (_changed("ee_rotation_6d", _add((5, 1), 2e-5)), "FK rotation"),
    "columns in place of rows": (
        _changed("ee_rotation_6d", lambda r: r.__setitem__(slice(None), r[:, [0, 3, 1, 4, 2, 5]])),
        "FK rotation",
    ),
    "a half-closed gripper": (_changed("gripper", _set((5, 0), 0.5)), "gripper is +1 or -1"),
    "too much jerk": (_changed("profile_jerk", _set((3, 0), 7501.0)), "jerk limits (profiles)"),
    "another jerk": (
        _changed("profile_jerk", lambda j: np.multiply(j, 0.999, out=j)),
        "integrated profiles give joint_position",
    ),
    "a jerk off by a hundred-thousandth": (
        _changed("profile_jerk", lambda j: np.multiply(j, 1 - 1e-5, out=j)),
        "integrated profiles give joint_position",
    ),
    "another time": (_changed("profile_time", lambda t: np.multiply(t, 1.001, out=t)), "profiles last the duration"),
    "another duration": (_changed("duration", _add(7, 0.2)), "length is ceil(duration*rate_hz)+1"),
    "another rate": (_changed("rate_hz", _set((7,), 10.0)), "rate_hz is the request's"),
    "a doubled id": (_changed("trajectory_id", _add(7, -1)), "trajectory ids complete and sorted"),
    "an arm that meets itself": (_changed("joint_position", _stand(CROSSED)), "self-collision"),
    "an arm in the table": (_changed("joint_position", _stand(BELOW)), "keep-outs"),
    "a tool in the table": (_changed("ee_position", _set((5, 2), -0.06)), "tool in keep-outs"),
    "a tool in the box": (_changed("ee_position", _stand([0.5, 0.5, 0.3])), "tool in keep-outs"),
    "another length": (_changed("length", _add(7, 1)), "lists have their length"),
    "too few attempts": (_changed("attempts", _add(7, 1)), "attempts are rows and rejections"),
}


@pytest.mark.parametrize("kind", TAMPERED)
def test_a_tampered_row_is_found_and_named(sound: Dataset, tmp_path: Path, kind: str) -> None:
    change, name = TAMPERED[kind]
    dataset = _recommitted(sound, tmp_path / "copy", change)
    report = audit_dataset(dataset)
    assert name in _broken(report), _broken(report)
    assert report.checks[name].example in ("trajectory 27", "shard 1", "trajectory 26")
    # The files themselves are as committed.
    assert "file sha256" not in _broken(report)
    assert report.checks["file sha256"].checked == 2


def _damaged(sound: Dataset, target: Path, damage: Callable[[Dataset], None]) -> AuditReport:
    shutil.copytree(sound.root, target)
    damage(Dataset(target))
    return audit_dataset(Dataset(target))


def _truncate(dataset: Dataset) -> None:
    path = dataset.shard_path(0)
    path.write_bytes(path.read_bytes()[:-100])


def _flip_a_bit(dataset: Dataset) -> None:
    content = bytearray(dataset.shard_path(0).read_bytes())
    content[len(content) // 2] ^= 1
    dataset.shard_path(0).write_bytes(content)


def _edit(name: str, old: str, new: str) -> Callable[[Dataset], None]:
    def edit(dataset: Dataset) -> None:
        path = dataset.root / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return edit


def _wrong_statistics(dataset: Dataset) -> None:
    commits = list(dataset.commits())
    statistics = [dataset.statistics(commit.index) for commit in commits]
    statistics[1]["gripper"]["mean"] = [0.5]
    (block,) = (dataset.root / "commits").iterdir()
    block.write_bytes(pack_block(commits, statistics))


def _foreign_schema(dataset: Dataset) -> None:
    path = dataset.shard_path(0)
    table = pq.read_table(path).drop_columns(["gripper"])
    pq.write_table(table, path)


@pytest.mark.parametrize(
    ("damage", "names"),
    [
        (_truncate, {"file sha256", "file can be read"}),
        (lambda dataset: dataset.shard_path(0).unlink(), {"file sha256", "file can be read"}),
        (_foreign_schema, {"file sha256", "schema"}),
        (_edit("manifest.json", '"commits": 2', '"commits": 1'), {"a sealed dataset has every shard"}),
        (_edit("dataset.json", '"seed": 1', '"seed": 2'), {"dataset_id is the request's hash"}),
        (_edit("dataset.json", '"upper": [\n    2.8973', '"upper": [\n    2.9'), {"header's limits are the URDF's"}),
        (_wrong_statistics, {"commit's statistics"}),
    ],
)
def test_damaged_files_are_found(
    sound: Dataset, tmp_path: Path, damage: Callable[[Dataset], None], names: set[str]
) -> None:
    assert names <= _broken(_damaged(sound, tmp_path / "copy", damage))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"offset": -0.05', '"offset": "low"', "keep_out/0/half_space/offset"),
        ('"kind": "half_space"', '"kind": "sphere"', "keep_out/0"),
        ('"columns": [', '"speed_scale": 7, "columns": [', "speed_scale"),
        ('"columns": [', '"families": ["hold"], "columns": [', "families"),
    ],
)
def test_a_request_that_makes_no_sense_is_an_error(
    sound: Dataset, tmp_path: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(DatasetFormatError, match=message):
        _damaged(sound, tmp_path / "copy", _edit("dataset.json", old, new))


def test_one_flipped_bit_is_found(sound: Dataset, tmp_path: Path) -> None:
    report = _damaged(sound, tmp_path / "copy", _flip_a_bit)
    assert "file sha256" in _broken(report)
    assert "shard-00000000-" in report.checks["file sha256"].example


def test_the_command_prints_counts_and_its_exit_code_tells(
    sound: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", str(sound.root)]) == 0
    out = capsys.readouterr().out
    assert "sealed: 2 of 2 shards, 40 rows" in out
    assert ": 0 violations" in out
    bad = _recommitted(sound, tmp_path / "bad", _changed("gripper", _set((5, 0), 0.5)))
    assert main(["audit", str(bad.root), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["violations"] == 1
    gripper = next(check for check in report["checks"] if check["name"] == "gripper is +1 or -1")
    assert (gripper["violations"], gripper["worst"], gripper["example"]) == (1, 0.5, "trajectory 27")
    for wrong in ([str(tmp_path)], [str(sound.root), "--sample", "0"]):
        assert main(["audit", *wrong]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("error: ")
        assert captured.err.count("\n") == 1


def test_a_sample_looks_at_the_motion_of_fewer_rows_and_at_the_files_of_all(sound: Dataset) -> None:
    report = audit_dataset(sound, sample=5)
    assert (report.rows, report.rows_in_motion, report.violations) == (40, 5, 0)
    assert report.checks["duration is positive"].checked == 40
    assert report.checks["FK position"].checked == report.samples < sum(c.samples for c in sound.commits()) / 4
