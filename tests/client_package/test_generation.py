"""`generate` and the rows that it gives, by a real service and in this process."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from headstart_client import Client, HeadstartError, ServiceError, Trajectories, generate, open_trajectories
from headstart_client.data.remote_dataset import RemoteDataset
from tests.services.example import RunningService, running_service

REQUEST: dict[str, Any] = {"robot": "panda", "count": 50, "seed": 5, "shard_rows": 20}
"""Three shards, the last one short."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with running_service(
        tmp_path_factory.mktemp("generation") / "data", "--engine", "process", "--workers", "1"
    ) as running:
        yield running


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Trajectories:
    return generate(**REQUEST, engine="inline", folder=tmp_path_factory.mktemp("here"), progress=False)


def client_of(rows: Trajectories) -> Client:
    assert isinstance(rows.source, RemoteDataset)
    return rows.source.client


def test_a_service_makes_the_rows_that_are_made_here(
    service: RunningService, here: Trajectories, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = generate(**REQUEST, url=service.url, folder=tmp_path)
    assert "50/50" in capsys.readouterr().err
    assert there.table().equals(here.table())
    assert there.header.dataset_id == here.header.dataset_id
    assert repr(there) == f"<50 trajectories of panda, {here.header.dataset_id[:12]}>"

    # The same request is the same job, whose shards lie here already.
    again = generate(**REQUEST, url=service.url, folder=tmp_path, progress=False)
    assert [file.parent for file in again.files()] == [tmp_path / here.header.dataset_id] * 3
    assert [pq.read_metadata(file).num_rows for file in again.files()] == [20, 20, 10]
    assert again.source.page == f"{service.url}/#/jobs/{here.header.dataset_id}"  # type: ignore[union-attr]
    opened = open_trajectories(f"{service.url}/v1/jobs/{here.header.dataset_id}", tmp_path)
    assert opened[7]["duration"] == here[7]["duration"]
    # Each closes the client that was made for it, and no other's.
    for rows in (again, opened):
        with rows as same:
            assert same is rows
            assert client_of(rows).version()
        with pytest.raises(RuntimeError, match="closed"):
            client_of(rows).version()
    with Trajectories(there.source):
        pass
    assert client_of(there).version()
    there.close()


def test_what_a_service_refuses_or_gives_up_is_an_error_that_says_why(service: RunningService, tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="unknown robot 'pandora'") as refused:
        generate("pandora", 5, url=service.url, folder=tmp_path, progress=False)
    assert refused.value.status == 422
    nowhere = {"kind": "box", "min": [3, 3, 3], "max": [4, 4, 4]}
    with pytest.raises(ServiceError, match=r"failed: .*unreachable"):
        generate("panda", 2, url=service.url, folder=tmp_path, progress=False, workspace=nowhere)


def test_a_plain_script_makes_rows_in_processes(tmp_path: Path) -> None:
    """Without `if __name__ == "__main__"`: its workers ran it again, and died of it."""
    script = tmp_path / "plain.py"
    script.write_text(
        "from headstart_client import generate\n"
        f"rows = generate('panda', 4, seed=5, folder={str(tmp_path)!r}, workers=1, progress=False)\n"
        "import __main__\n"
        "print(__main__.__file__, [row['trajectory_id'] for row in rows])\n"
    )
    ran = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=600, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"{script} [0, 1, 2, 3]\n", "")


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "", "F" * 64, "f" * 63, "f" * 64 + "\n", 7])
def test_an_id_that_is_none_names_no_folder(name: Any, tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match=r"says that its job is .*; ids are 64 hexadecimal digits"):
        RemoteDataset(Client("http://127.0.0.1:1"), name, tmp_path / "cache", patience=0)
    assert not list(tmp_path.iterdir())


def test_rows_are_arrays_by_their_place(here: Trajectories) -> None:
    table, row = here.table(), here[27]
    assert len(here) == 50
    assert [one["trajectory_id"] for one in here] == list(range(50))
    assert row["joint_position"].shape == (row["length"], 7)
    assert row["gripper"].shape == (row["length"],)
    assert row["joint_position"].ravel().tolist() == table.column("joint_position")[27].as_py()
    assert here[-1]["trajectory_id"] == 49
    for some in (slice(3), slice(18, 23), slice(-2, None), slice(None, None, -20), slice(60, 90)):
        assert [one["trajectory_id"] for one in here[some]] == list(range(50))[some]
    here.close()
    assert here[:1][0]["duration"] == here[0]["duration"]
    assert here.table(["length"]).column_names == ["length"]
    with pytest.raises(IndexError, match="0 to 49, not 50"):
        here[50]


def test_other_libraries_read_them(here: Trajectories, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert [row["trajectory_id"] for row in here.hugging_face()] == list(range(50))
    assert len(open_trajectories(here.source.where)) == 50  # type: ignore[union-attr]


def test_a_row_is_drawn_between_its_limits(here: Trajectories) -> None:
    figure, row, limits = here.show(3), here[3], here.header.robot.limits
    joints, tool = figure.axes[:7], figure.axes[7]
    for joint, axes in enumerate(joints):
        drawn = [np.asarray(line.get_ydata()) for line in axes.lines]
        assert np.array_equal(drawn[0], row["joint_position"][:, joint])
        assert [drawn[1][0], drawn[2][0]] == [limits.lower[joint], limits.upper[joint]]
    path: Any = tool.lines[0]
    assert np.array_equal(np.stack(path.get_data_3d(), 1), row["ee_position"])
    with pytest.raises(ServiceError, match="no service has a page"):
        here.open_page()


def test_without_url_and_services_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "services.generation_here", None)
    with pytest.raises(HeadstartError, match=r"give the url= of a service"):
        generate("panda", 5, folder=tmp_path, progress=False)
