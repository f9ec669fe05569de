"""An export is whole or not there, whatever happens to it, and needs no more memory for more shards."""

import fcntl
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from services.__main__ import main
from services.export import FORMATS, Content, export_dataset
from shared import records
from shared.dataset import Dataset
from shared.errors import ConfigError, CorruptShardError, DatasetError
from shared.manifest import DatasetHeader
from tests.services.example import ROOT
from tests.shared.example import HEADER, ROBOT


@pytest.fixture(scope="module")
def long_rows(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Dataset]:
    """Two datasets by their number of shards."""
    return {shards: _long_rows(tmp_path_factory.mktemp("long-rows"), shards) for shards in (2, 12)}


def _long_rows(root: Path, shards: int) -> Dataset:
    """A dataset of 12 MB shards, each of 40 rows of 5,000 steps."""
    rows, steps = 40, 5000
    header: DatasetHeader = replace(HEADER, count=rows * shards, shard_rows=rows)
    dataset = Dataset.create(root, header)
    ends = np.arange(rows + 1) * steps
    lists = {
        column.name: (np.zeros(ends[-1] * column.width(ROBOT.dof), np.float32), ends * column.width(ROBOT.dof))
        for column in records.columns()
        if column.is_list
    }
    for index in range(shards):
        scalars = {
            "trajectory_id": np.arange(rows) + rows * index,
            "length": np.full(rows, steps, np.int32),
            "duration": np.full(rows, (steps - 1) / 20.0),
            "rate_hz": np.full(rows, 20.0),
            "family": ["point_to_point"] * rows,
            "attempts": np.ones(rows, np.int32),
        }
        dataset.publish(index, records.build_table(scalars, lists), rows, {})
    dataset.set_state("sealed")
    return dataset


_MEASURED = """
import sys
from pathlib import Path
from services.__main__ import main
assert main(["export", *sys.argv[1:]]) == 0
# Not getrusage's ru_maxrss, which begins at what the process that started this one had.
print(next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line[:6] == "VmHWM:"))
"""


def _exporting(dataset: Dataset, out: Path, layout: str) -> list[str]:
    return [sys.executable, "-c", _MEASURED, dataset.where, "--out", str(out), "--format", layout]


@pytest.mark.parametrize("layout", FORMATS)
def test_memory_does_not_grow_with_the_dataset(tmp_path: Path, long_rows: dict[int, Dataset], layout: str) -> None:
    peaks = []
    for shards, dataset in long_rows.items():
        command = _exporting(dataset, tmp_path / f"{shards}.out", layout)
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
        peaks.append(int(done.stdout) / 1024)
    # Ten more shards are 150 MB of steps.
    assert peaks[1] - peaks[0] < 50, peaks


@pytest.mark.parametrize("layout", FORMATS)
def test_a_killed_export_leaves_nothing_that_could_be_taken_for_one(
    tmp_path: Path, long_rows: dict[int, Dataset], layout: str
) -> None:
    dataset = long_rows[12]
    out = tmp_path / "exports" / "out"
    command = _exporting(dataset, out, layout)
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    part = out.with_name(".out.part")
    while not part.exists():
        assert process.poll() is None
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert part.exists()
    assert not out.exists()
    export_dataset(dataset, out, layout, Content(dataset.header))
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_what_fails_leaves_nothing(reference: Dataset, tmp_path: Path) -> None:
    content = Content(reference.header)
    out = tmp_path / "out"
    damaged = Dataset.create(tmp_path / "damaged", reference.header)
    for commit in reference.commits():
        damaged.publish(commit.index, reference.read_shard(commit), commit.attempts, commit.rejections)
    damaged.shard_path(7).write_bytes(b"")
    with pytest.raises(CorruptShardError, match="shard-00000007"):
        export_dataset(damaged, out, "lerobot-v3", content, unfinished=True)
    assert not list(tmp_path.glob("*out*"))
    with pytest.raises(DatasetError, match="the export failed, and nothing of it is left"):
        export_dataset(reference, tmp_path / "damaged/dataset.json/out", "robomimic", content)
    export_dataset(reference, out, "lerobot-v3", content)
    with pytest.raises(ConfigError, match="is there already"):
        export_dataset(reference, out, "lerobot-v3", content)
    with (tmp_path / ".two.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match=r"another export to .* is running"):
            export_dataset(reference, tmp_path / "two", "lerobot-v3", content)
    other_rate = replace(reference.header, rate_hz=12.5)
    with pytest.raises(ConfigError, match=r"fps is a whole number, and this dataset is at 12\.5 Hz"):
        export_dataset(reference, tmp_path / "three", "lerobot-v3", Content(other_rate))


def test_an_unfinished_dataset_is_exported_only_when_asked(
    empty: Dataset, reference: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["export", empty.where, "--format", "robomimic", "--out", str(tmp_path / "out")]
    assert main([*arguments, "--unfinished"]) == 2
    assert "there is nothing to export: 0 of 12 shards" in capsys.readouterr().err
    for index in (0, 2):
        commit = reference.commits()[index]
        empty.publish(index, reference.read_shard(commit), commit.attempts, commit.rejections)
    assert main(arguments) == 2
    assert "the dataset is growing: 2 of 12 shards are there; wait" in capsys.readouterr().err
    assert main([*arguments, "--unfinished"]) == 0
    assert "40/40 " in capsys.readouterr().err
    with h5py.File(tmp_path / "out") as file:
        assert [file[f"data/demo_{i}"].attrs["trajectory_id"] for i in (0, 19, 20, 39)] == [0, 19, 40, 59]


def test_the_command_says_how_far_it_is(reference: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", reference.where, "--out", str(tmp_path / "out")]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("40/230 ")
    assert re.search(r"/s, \d+:\d\d left", lines[0])
    assert lines[-1].startswith(f"{tmp_path / 'out'}: 230 trajectories in ")
