"""Datasets drawn from demonstrations, from the request's file to the report: the summary travels with them."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from services.__main__ import main
from services.audit import audit_dataset
from services.engine import InlineEngine, ProcessEngine
from services.engine.stored_request import request_of
from services.jobs import JobQueue, begin, make_dataset
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.dataset import Dataset
from shared.errors import DatasetFormatError
from shared.summary_file import stored_summary
from tests.services.example import contents, write_request
from tests.shared.example import remove_commits
from tests.shared.summary_example import example_summary

BODY: dict[str, Any] = {"robot": "panda", "count": 60, "seed": 2, "shard_rows": 20}
REQUEST = TrajectoryRequest.parse({**BODY, "workspace": {"kind": "fitted", "summary": example_summary()}})


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Made by the command from a request that names the summary's file, beside the request's."""
    folder = tmp_path_factory.mktemp("fitted")
    (folder / "summaries").mkdir()
    (folder / "summaries" / "carry.json").write_text(json.dumps(example_summary(), indent=2))
    body = {**BODY, "workspace": {"kind": "fitted", "summary": "summaries/carry.json"}}
    arguments = ["--request", str(write_request(folder, body)), "--out", str(folder / "d"), "--engine", "inline"]
    assert main(["generate", *arguments]) == 0
    return Dataset(folder / "d")


def test_the_command_reads_the_summary_that_the_request_names(dataset: Dataset) -> None:
    assert dataset.header.dataset_id == REQUEST.dataset_id
    assert dataset.state().state == "sealed"
    summary = stored_summary(dataset)
    assert summary is not None
    assert summary.to_json() == example_summary()
    assert [path.name for path in dataset.root.glob("summary-*")] == [f"summary-{summary.content_sha256}.json"]
    assert audit_dataset(dataset).violations == 0


def test_other_engines_and_a_request_read_back_make_the_same_rows(dataset: Dataset, tmp_path: Path) -> None:
    request = request_of(dataset)
    assert request.dataset_id == REQUEST.dataset_id
    engine = ProcessEngine(2)
    try:
        again = begin(request, tmp_path / "again")
        assert make_dataset(request, again, engine, on_progress=lambda tally, commit: None)
    finally:
        engine.close()
    assert contents(again) == contents(dataset)


def test_a_service_takes_a_fitted_job_up_again_from_its_files(dataset: Dataset, tmp_path: Path) -> None:
    for name in (REQUEST.dataset_id, "b" * 64):
        shutil.copytree(dataset.root, tmp_path / name)
        remove_commits(Dataset(tmp_path / name), 2, shards_too=False)
        (tmp_path / name / "manifest.json").write_text('{"state": "growing", "reason": "", "commits": []}')
    (lost,) = (tmp_path / ("b" * 64)).glob("summary-*")
    lost.unlink()
    queue = JobQueue(tmp_path, InlineEngine())
    queue.start()
    try:
        job, _ = queue.submit(REQUEST)
        while job.is_active:
            time.sleep(0.01)
    finally:
        queue.stop()
    assert (job.state, job.reason) == ("succeeded", "")
    assert contents(Dataset(tmp_path / REQUEST.dataset_id)) == contents(dataset)


def test_a_summary_lost_or_changed_is_an_error_that_names_it(dataset: Dataset, tmp_path: Path) -> None:
    shutil.copytree(dataset.root, tmp_path / "d")
    (path,) = (tmp_path / "d").glob("summary-*")
    for content in (json.dumps({**example_summary(), "task": "other"}), "{", "[]", " " * 5_000_000):
        path.write_text(content)
        with pytest.raises(DatasetFormatError, match=path.name):
            request_of(Dataset(tmp_path / "d"))
    path.unlink()
    with pytest.raises(DatasetFormatError, match="is missing; restore it"):
        stored_summary(Dataset(tmp_path / "d"))
    header = tmp_path / "d" / "dataset.json"
    header.write_text(
        header.read_text().replace(REQUEST.resolved()["workspace"]["summary"]["sha256"], "../" * 21 + "x")
    )
    with pytest.raises(DatasetFormatError, match="is missing"):
        stored_summary(Dataset(tmp_path / "d"))


@pytest.mark.parametrize(
    ("summary", "message"),
    [
        ("nothing.json", "/workspace/summary: "),
        ("request.json", "/workspace/summary: /format: must be headstart-demonstration-summary"),
        ("/dev/null", "is not JSON"),
        (7, "/workspace/summary: must be a JSON object"),
    ],
)
def test_a_wrong_summary_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], summary: Any, message: str
) -> None:
    request = write_request(tmp_path, {**BODY, "workspace": {"kind": "fitted", "summary": summary}})
    assert main(["generate", "--request", str(request), "--out", str(tmp_path / "d")]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "d").exists()


def test_its_report_is_against_its_own_demonstrations(
    dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(dataset.root), "--out", str(tmp_path / "r.html")]) == 0
    assert capsys.readouterr().out.startswith("Energy distance from held-out demonstrations of carry: ")
