"""Whether a request is given up, and in which words, is a function of the request: not of workers, parts or engine."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.engine import Engine, InlineEngine
from services.engine.fair_share import FairShare, Share
from services.engine.first_failure import FirstFailure
from services.engine.process import ProcessEngine
from services.jobs import begin, make_dataset
from services.synthesis.pipeline import plan_shards
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.errors import SynthesisError

ARM: dict[str, Any] = {"robot": "panda", "self_collision": False, "rate_hz": 2, "families": {"point_to_point": 1.0}}
NARROW = [
    {"kind": "half_space", "normal": normal, "offset": offset}
    for normal, offset in (([1, 0, 0], -0.2), ([0, 1, 0], -0.148), ([0, -1, 0], -0.148))
]
NEARLY = TrajectoryRequest.parse({**ARM, "count": 1024, "shard_rows": 1024, "seed": 4, "keep_out": NARROW})
"""Hardly any candidate is accepted. In three parts, the one that begins at 341 fails before the first does."""
FAR: dict[str, Any] = {**ARM, "count": 1024, "workspace": {"kind": "box", "min": [3, 3, 3], "max": [4, 4, 4]}}
NOWHERE = TrajectoryRequest.parse({**FAR, "shard_rows": 1024})
Said = tuple[str, int, dict[str, int]]


def _given_up(request: TrajectoryRequest, folder: Path, engine: Engine) -> Said:
    dataset = begin(request, folder)
    with pytest.raises(SynthesisError) as caught:
        make_dataset(request, dataset, engine)
    assert dataset.manifest().state == "failed"
    return str(caught.value), caught.value.attempts, caught.value.rejections


@pytest.mark.timeout(600)
def test_a_request_is_given_up_in_the_same_words_whatever_makes_it(tmp_path: Path, ray_of_two: Engine) -> None:
    inline, processes = InlineEngine(), ProcessEngine(1)
    said = [_given_up(NEARLY, tmp_path / engine.name, engine) for engine in (inline, ray_of_two, processes)]
    nowhere = [_given_up(NOWHERE, tmp_path / "nowhere", inline)]
    processes.workers = 3
    # Three parts, of a dataset that was failed before, and none.
    said.append(_given_up(NEARLY, tmp_path / "inline", processes))
    nowhere.append(_given_up(NOWHERE, tmp_path / "nowhere", processes))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("services.jobs.generation.in_parts", lambda plans, workers: plans)
        said.append(_given_up(NEARLY, tmp_path / "whole", processes))
    processes.close()
    assert said == [said[0]] * 5
    assert nowhere == [nowhere[0]] * 2
    text, attempts, rejections = said[0]
    assert text.startswith("none of 1000 candidates of trajectory 4 was accepted; ")
    assert (attempts, set(rejections)) == (sum(rejections.values()), {"keep_out"})
    assert nowhere[0][0].startswith("none of 2027 candidates of family 'point_to_point' was accepted; ")
    assert nowhere[0][2] == {"unreachable": 2027}


def test_the_first_shard_in_order_fails_the_job_whichever_fails_first() -> None:
    (plan,) = plan_shards(NEARLY)
    parts = [replace(plan, parts=4).part_plan(part) for part in range(4)]
    failure = FirstFailure()
    failure.raise_before([])
    failure.add(parts[3], SynthesisError("of the fourth"))
    failure.raise_before(parts[:1])
    failure.add(parts[1], SynthesisError("of the second"))
    failure.add(parts[2], SynthesisError("of the third"))
    failure.raise_before(parts[:1])
    with pytest.raises(SynthesisError, match="of the second"):
        failure.raise_before(parts[2:])


def test_a_job_that_failed_wants_no_more_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it waits for shards before the one that failed, free workers are other jobs'."""
    wanted, give_back = [], FairShare.give_back

    def noted(sharing: FairShare, share: Share, workers: int, wants_more: bool) -> None:
        wanted.append(wants_more)
        give_back(sharing, share, workers, wants_more)

    monkeypatch.setattr(FairShare, "give_back", noted)
    engine = ProcessEngine(1)
    try:
        _given_up(TrajectoryRequest.parse({**FAR, "shard_rows": 256}), tmp_path / "nowhere", engine)
    finally:
        engine.close()
    assert wanted[-1] is False
