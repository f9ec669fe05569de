"""Datasets as jobs find them: of another generator, copied, renamed, left by producers that were killed."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from services.engine import InlineEngine
from services.jobs import (
    JobQueue,
    Tally,
    begin,
    generate,
    make_dataset,
)
from services.synthesis import GENERATOR_VERSION
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.dataset import Dataset
from shared.errors import GeneratorVersionError, SynthesisError
from shared.manifest import Commit
from tests.services.example import REQUEST, contents
from tests.services.queueing import OTHER, ends, job_queue


def test_another_generator_version_is_never_resumed(tmp_path: Path) -> None:
    dataset = begin(REQUEST, tmp_path / REQUEST.dataset_id)
    path = dataset.root / "dataset.json"
    before = path.read_text()
    path.write_text(before.replace(f'"generator_version": {GENERATOR_VERSION}', '"generator_version": 0'))
    with job_queue(tmp_path, InlineEngine()) as queue:
        job = queue.job(REQUEST.dataset_id)
        ends(job)
        assert job.state == "failed"
        assert f"begun by generator_version 0, this release is {GENERATOR_VERSION}" in job.reason
    # Nothing was touched: the release that began it can still finish it.
    assert Dataset(dataset.root).state().state == "growing"
    other = tmp_path / "other"
    begin(REQUEST, other)
    changed = json.loads((other / "dataset.json").read_text()) | {"generator_version": 0, "dataset_id": "0" * 64}
    (other / "dataset.json").write_text(json.dumps(changed))
    with pytest.raises(GeneratorVersionError, match=f"generator_version 0, this release is {GENERATOR_VERSION}"):
        begin(REQUEST, other)


def test_what_is_not_a_dataset_is_passed_over(tmp_path: Path) -> None:
    for name, text in (("a" * 64, "{}"), ("b" * 64, "not json"), ("notes", "{}")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "dataset.json").write_text(text)
    for seed, damage in ((1, "no commits"), (2, "manifest"), (3, "folder")):
        request = TrajectoryRequest.parse({"robot": "panda", "count": 3, "seed": seed})
        root = begin(request, tmp_path / request.dataset_id).root
        if damage == "no commits":
            (root / "commits").rmdir()
        elif damage == "manifest":
            (root / "manifest.json").write_text("{}")
        else:
            (root / "manifest.json").unlink()
            (root / "manifest.json").mkdir()
    begin(OTHER, tmp_path / OTHER.dataset_id)
    assert [job.id for job in JobQueue(tmp_path, InlineEngine()).jobs()] == [OTHER.dataset_id]


def test_old_parts_of_killed_producers_are_swept(empty: Dataset) -> None:
    import os

    old, young = empty.root / ".tmp" / "old.part", empty.root / ".tmp" / "young.part"
    for part in (old, young):
        part.write_text("half")
    os.utime(old, (1, 1))
    make_dataset(REQUEST, empty, InlineEngine())
    assert not old.exists()
    assert young.exists()


def test_failures_carry_their_counts_through_make_dataset(tmp_path: Path) -> None:
    box = {"kind": "box", "min": [3, 3, 3], "max": [4, 4, 4]}
    impossible = TrajectoryRequest.parse({"robot": "panda", "count": 4, "workspace": box})
    dataset = begin(impossible, tmp_path / "impossible")
    with pytest.raises(SynthesisError):
        make_dataset(impossible, dataset, InlineEngine())
    assert dataset.state().state == "failed"
    # Beginning it again is trying again.
    assert begin(impossible, dataset.root).state().state == "growing"


def test_a_copied_dataset_says_the_same_of_itself(tmp_path: Path) -> None:
    with job_queue(tmp_path / "first", InlineEngine()) as queue:
        job, _ = queue.submit(OTHER)
        ends(job)
    for path in sorted((tmp_path / "first").rglob("*")):
        copy = tmp_path / "second" / path.relative_to(tmp_path / "first")
        # As `cp -r` does it: with times of its own.
        if path.is_dir():
            copy.mkdir(parents=True)
        else:
            copy.write_bytes(path.read_bytes())
            os.utime(copy, (1e9, 1e9))
    with job_queue(tmp_path / "second", InlineEngine()) as queue:
        (other,) = queue.jobs()
        assert (other.id, other.created_at, other.state, other.reason) == (job.id, job.created_at, "succeeded", "")
        assert other.dataset.header.to_json() == job.dataset.header.to_json()
        assert other.progress == replace(job.progress, rows_per_s=None, remaining_s=None)
        assert other.dataset.state() == job.dataset.state()


def test_a_dataset_under_another_name_is_no_job(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with job_queue(tmp_path, InlineEngine()) as queue:
        job, _ = queue.submit(OTHER)
        ends(job)
    (tmp_path / job.id).rename(tmp_path / ("b" * 64))
    with job_queue(tmp_path, InlineEngine()) as queue:
        assert queue.jobs() == []
    assert f"{'b' * 64} is dataset {job.id}, so that is what its folder must be called" in caplog.text


def test_generate_goes_on_where_it_was_stopped_and_seals(tmp_path: Path, reference: Dataset) -> None:
    done: list[int] = []

    class StoppedError(Exception):
        pass

    def stop(tally: Tally, commit: Commit | None) -> None:
        if commit is not None and commit.index == 4:
            raise StoppedError

    def count(tally: Tally, commit: Commit | None) -> None:
        done.append(tally.progress.shards_committed)

    folder = tmp_path / "dataset"
    with pytest.raises(StoppedError):
        generate(REQUEST, folder, InlineEngine(), stop)
    dataset = generate(REQUEST, folder, InlineEngine(), count)
    assert done == list(range(5, 13))
    assert dataset.state().state == "sealed"
    assert contents(dataset) == contents(reference)
    generate(REQUEST, folder, InlineEngine(), count)
    assert done == list(range(5, 13))
