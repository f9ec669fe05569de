"""Datasets of copies, from the motions file to the same rows on every engine: the motions travel with them."""

from pathlib import Path
from typing import Any

import pytest

from services.__main__ import main
from services.audit import audit_dataset
from services.engine import InlineEngine, ProcessEngine, RayEngine
from services.engine.stored_request import request_of
from services.jobs import begin, make_dataset
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.dataset import Dataset
from shared.errors import DatasetFormatError
from shared.motions_file import motions_of, write_motions
from tests.services.example import contents, write_request
from tests.stacking import motions

MOTIONS = motions(4)
BODY: dict[str, Any] = {"robot": "panda", "count": 60, "seed": 2, "shard_rows": 20, "workspace": {"kind": "objects"}}
REQUEST = TrajectoryRequest.parse(
    {**BODY, "workspace": {"kind": "objects", "motions": MOTIONS.content_sha256}},
    motions={MOTIONS.content_sha256: MOTIONS}.get,
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Made by the command from a request and a motions file."""
    folder = tmp_path_factory.mktemp("copies")
    write_motions(MOTIONS, folder / "motions.parquet")
    arguments = ["--request", str(write_request(folder, BODY)), "--motions", str(folder / "motions.parquet")]
    assert main(["generate", *arguments, "--out", str(folder / "d"), "--engine", "inline"]) == 0
    return Dataset(folder / "d")


def test_the_command_copies_the_motions_of_a_file_and_keeps_them(dataset: Dataset) -> None:
    assert dataset.header.dataset_id == REQUEST.dataset_id
    assert dataset.state().state == "sealed"
    assert motions_of(dataset) == MOTIONS
    assert audit_dataset(dataset).violations == 0
    assert request_of(dataset).dataset_id == REQUEST.dataset_id


def test_every_engine_makes_the_same_rows(dataset: Dataset, ray_of_two: RayEngine, tmp_path: Path) -> None:
    request = request_of(dataset)
    processes = ProcessEngine(2)
    try:
        for name, engine in (("inline", InlineEngine()), ("process", processes), ("ray", ray_of_two)):
            again = begin(request, tmp_path / name)
            assert make_dataset(request, again, engine)
            assert contents(again) == contents(dataset), name
    finally:
        processes.close()


def test_what_was_lost_is_made_again_the_same(dataset: Dataset, tmp_path: Path) -> None:
    request = request_of(dataset)
    broken_off = begin(request, tmp_path / "d")
    made = 0

    def stop() -> bool:
        nonlocal made
        made += 1
        return made > 2

    make_dataset(request, broken_off, InlineEngine(), should_stop=stop)
    assert 0 < len(broken_off.state().commits) < 3
    assert make_dataset(request_of(Dataset(tmp_path / "d")), Dataset(tmp_path / "d"), InlineEngine())
    assert contents(Dataset(tmp_path / "d")) == contents(dataset)


def test_mistakes_on_the_command_line_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    request = str(write_request(tmp_path, BODY))
    out = ["--out", str(tmp_path / "d"), "--engine", "inline"]
    assert main(["generate", "--request", request, *out]) == 2
    assert "/workspace/motions: this key is required" in capsys.readouterr().err
    assert main(["generate", "--request", request, "--motions", str(tmp_path / "none.parquet"), *out]) == 2
    assert "none.parquet can't be read: No such file" in capsys.readouterr().err
    (tmp_path / "text").write_text("x")
    assert main(["generate", "--request", request, "--motions", str(tmp_path / "text"), *out]) == 2
    assert "text: is no Parquet file" in capsys.readouterr().err
    other = {**BODY, "workspace": {"kind": "objects", "motions": "0" * 64}}
    write_motions(MOTIONS, tmp_path / "motions.parquet")
    given = ["--motions", str(tmp_path / "motions.parquet")]
    assert main(["generate", "--request", str(write_request(tmp_path, other)), *given, *out]) == 2
    assert "there is no motions file of this sha256" in capsys.readouterr().err


def test_motions_that_are_lost_are_an_error_that_names_them(tmp_path: Path) -> None:
    again = begin(REQUEST, tmp_path / "d")
    (path,) = (tmp_path / "d").glob("motions-*")
    path.unlink()
    with pytest.raises(DatasetFormatError, match="are missing; restore them, or make the dataset again"):
        request_of(again)
