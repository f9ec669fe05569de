"""The mix of accepted rows is the one that was asked for, however hard some of it is to make."""

from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare

from services.synthesis.draw.identity import draw_identities
from services.synthesis.pipeline import synthesize
from services.synthesis.request.families import DEFAULT_FAMILIES, FAMILIES, WAYPOINT_FAMILIES, Family
from shared.errors import SynthesisError
from tests.services.synthesis.examples import parse, row_values, whole

WEIGHTS: dict[Family, float] = dict.fromkeys(FAMILIES[:5], 1.0) | {"hold": 2.0}


@pytest.mark.parametrize("robot", ["ur5", "baxter"])
def test_rejected_candidates_leave_families_segments_and_gripper_as_their_ids_drew_them(robot: str) -> None:
    body = {"robot": robot, "count": 120, "workspace": {"kind": "reachable"}}
    request = parse(body, columns=["profile_time", "profile_jerk"], speed_scale=[1.0, 1.0])
    rows = synthesize(whole(request))
    assert sum(rows.redraws_by_family["via_points"].values()) > request.count
    drawn = draw_identities(DEFAULT_FAMILIES, request.seed, np.arange(request.count))
    assert rows.table["family"].to_pylist() == [FAMILIES[family] for family in drawn.family]
    dof = len(request.arm.joints)
    moving = [values.reshape(-1, dof, 7).any((1, 2)).sum() for values in row_values(rows, "profile_jerk", 7 * dof)]
    assert moving == drawn.segments.tolist()
    for row, (gripper, segments) in enumerate(zip(row_values(rows, "gripper", 1), drawn.segments, strict=True)):
        assert gripper[0, 0] == (-1 if drawn.gripper[row] < 0.5 else 1)
        assert np.count_nonzero(np.diff(gripper[:, 0])) == (drawn.flips[row, :segments] < 0.5).sum()


@pytest.mark.parametrize("robot", ["ur5", "baxter", "panda"])
def test_the_mix_of_accepted_rows_is_the_one_asked_for(robot: str) -> None:
    """Up to chance. Of 3,000 rows each, p is 0.03, 0.03 and 0.07 for families, and 0.47, 0.47 and 0.05 for segments."""
    weights = dict.fromkeys(WAYPOINT_FAMILIES, 1.0) if robot == "panda" else DEFAULT_FAMILIES
    body = {"robot": robot, "count": 150, "rate_hz": 5.0, "families": weights, "workspace": {"kind": "reachable"}}
    request = parse(body, columns=["profile_time", "profile_jerk"], speed_scale=[1.0, 1.0])
    rows = synthesize(whole(request))
    family = rows.table["family"].to_pylist()
    assert chisquare([family.count(name) for name in weights]).pvalue > 0.001
    dof = len(request.arm.joints)
    moving = [int(jerk.reshape(-1, dof, 7).any((1, 2)).sum()) for jerk in row_values(rows, "profile_jerk", 7 * dof)]
    segments = Counter(n for n, name in zip(moving, family, strict=True) if name == "via_points")
    assert set(segments) == {2, 3, 4, 5}
    assert chisquare(list(segments.values())).pvalue > 0.001


def test_identities_are_drawn_as_asked() -> None:
    """What ids draw is independent of the arm, so this holds for all of them."""
    drawn = draw_identities(WEIGHTS, 7, np.arange(60_000))
    counts = Counter(drawn.family.tolist())
    assert chisquare([counts[k] for k in range(5)], np.array([1, 1, 2, 1, 1]) * 10_000).pvalue > 0.001
    for name, choices in (("via_points", range(2, 6)), ("hold", range(2, 5)), ("cartesian_line", range(1, 4))):
        segments = Counter(drawn.segments[drawn.family == FAMILIES.index(name)].tolist())
        assert set(segments) == set(choices)
        assert chisquare(list(segments.values())).pvalue > 0.001


def test_a_family_that_is_never_accepted_is_named() -> None:
    body = {"robot": "panda", "count": 400, "families": {"hold": 1.0, "cartesian_line": 1.0}}
    request = parse(body, workspace={"kind": "poses", "poses": [{"position": p, "rotation_6d": r} for p, r in APART]})
    with pytest.raises(SynthesisError, match=r"of family 'cartesian_line' was accepted; .* shrink"):
        synthesize(whole(request))


APART = [([0.4, 0.3, 0.4], [1, 0, 0, 0, -1, 0]), ([-0.4, -0.3, 0.4], [1, 0, 0, 0, -1, 0])]
"""Two poses on either side of the base: no straight line between them can be followed."""
