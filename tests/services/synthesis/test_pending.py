"""The order in which candidates are made changes nothing of the rows or of what is counted."""

import numpy as np
import pytest

from services.synthesis.pipeline import plan_shards, synthesize
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.records import content_hash

SQUEEZED = [
    {"kind": "half_space", "normal": normal, "offset": offset}
    for normal, offset in (([1, 0, 0], -0.2), ([0, 1, 0], -0.2), ([0, -1, 0], -0.2))
]


def test_many_candidates_of_a_trajectory_at_once_are_as_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"robot": "panda", "self_collision": False, "rate_hz": 2, "count": 20, "seed": 1}
    families = {"point_to_point": 1.0, "hold": 1.0}
    (plan,) = plan_shards(TrajectoryRequest.parse({**body, "families": families, "keep_out": SQUEEZED}))
    monkeypatch.setattr("services.synthesis.pending._HARD", np.inf)
    one_by_one = synthesize(plan)
    assert one_by_one.attempts > 4 * plan.rows
    for hard in (2.0, 8.0):
        monkeypatch.setattr("services.synthesis.pending._HARD", hard)
        many = synthesize(plan)
        assert content_hash(many.table) == content_hash(one_by_one.table)
        assert (many.attempts, many.rejections_by_family) == (one_by_one.attempts, one_by_one.rejections_by_family)
        assert many.redraws_by_family == one_by_one.redraws_by_family
