"""Ends of motions are drawn anew until they are free, and stay what was asked for among what is free."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from services.synthesis.arm.robot_model import robot_model
from services.synthesis.collision.collisions import colliding_postures
from services.synthesis.collision.gaps import CLEAR
from services.synthesis.collision.separations import separations
from services.synthesis.draw.sampling import draw_candidates, redraw
from services.synthesis.pipeline import synthesize
from services.synthesis.request.families import WAYPOINT_FAMILIES
from shared.records import content_hash
from tests.services.synthesis.examples import EXAMPLES, panda, parse, row_values, whole

FloatArray = NDArray[np.float64]
SOLID = {"kind": "box", "min": [0.2, -0.6, 0.1], "max": [0.8, 0.1, 0.9]}


@pytest.mark.parametrize("robot", ["ur3", "baxter"])
def test_arms_that_often_collide_take_few_candidates(robot: str) -> None:
    rows = synthesize(whole(parse({"robot": robot, "count": 100})))
    assert rows.attempts <= 1.1 * 100
    # Some 3.25 ends a row are drawn first, and each until it is free and the motion to it is.
    assert 1.0 < rows.redraws / 100 < 7.0


@pytest.mark.parametrize("workspace", ["joint_space", "reachable"])
def test_ends_are_spread_as_those_of_rejection_sampling_are(workspace: str) -> None:
    """The first end of rows, and uniform configurations less those that collide."""
    body: dict[str, Any] = {"robot": "ur5", "keep_out": [SOLID], "families": {"hold": 1.0}, "seed": 3}
    request = parse(body, count=1500, workspace={"kind": workspace})
    robot = robot_model(request.arm)
    rows = synthesize(whole(request))
    assert sum(rows.redraws_by_family["hold"].values()) > 400
    made = np.array([q[0] for q in row_values(rows, "joint_position", robot.dof)], np.float64)
    limits = robot.planning_limits
    drawn = limits.lower + np.random.default_rng(0).random((6000, robot.dof)) * (limits.upper - limits.lower)
    apart = separations(robot, request.self_collision, request.keep_out)
    free = drawn[colliding_postures(robot, apart, drawn) == CLEAR]
    assert len(free) < 0.85 * len(drawn)
    position, _ = robot.tool_poses(made)
    expected, _ = robot.tool_poses(free)
    for ours, theirs in ((made, free), (position, expected)):
        for axis in range(ours.shape[1]):
            assert ks_2samp(ours[:, axis], theirs[:, axis]).pvalue > 0.001
    # With all that is drawn, colliding or not, they do not agree: the test can tell.
    assert ks_2samp(position[:, 2], robot.tool_poses(drawn)[0][:, 2]).pvalue < 0.001


@pytest.mark.parametrize("name", ["table", "all_families", "fitted"])
def test_redraws_are_of_the_id_the_attempt_and_the_waypoint_alone(name: str) -> None:
    request = parse(EXAMPLES[name])
    ids, attempts = np.arange(40), np.arange(40) % 3
    together = draw_candidates(request, panda(), ids, attempts)
    row, waypoint = np.nonzero(np.arange(together.arrival.shape[1]) <= together.segments[:, None])
    some = np.random.default_rng(1).random(len(row)) < 0.3
    row, waypoint = row[some], waypoint[some]
    count = 1 + row % 4
    before = together.drawn.target.copy()
    redraw(request, panda(), together, row, waypoint, count)
    changed = (together.drawn.target != before).any(2)
    assert changed[row, waypoint].all()
    assert changed.sum() == len(row)
    for i in range(0, 40, 7):
        own = row == i
        alone = draw_candidates(request, panda(), ids[i : i + 1], attempts[i : i + 1])
        redraw(request, panda(), alone, np.zeros(own.sum(), np.int64), waypoint[own], count[own])
        used = int(alone.segments[0]) + 1
        for ours, theirs in (
            (alone.targets.q, together.targets.q),
            (alone.targets.position, together.targets.position),
        ):
            if ours is not None and theirs is not None:
                assert np.array_equal(ours[0, :used], theirs[i, :used])


@pytest.mark.parametrize("workspace", ["joint_space", "reachable", "table"])
def test_bytes_do_not_depend_on_the_batch_where_much_is_redrawn(workspace: str) -> None:
    where = EXAMPLES["table"]["workspace"] if workspace == "table" else {"kind": workspace}
    families = dict.fromkeys(WAYPOINT_FAMILIES, 1.0)
    body = {"robot": "ur5", "count": 40, "families": families, "via_velocity": [0.2, 1.0], "workspace": where}
    solid = {"kind": "box", "min": [0.55, 0.1, -0.1], "max": [0.9, 0.5, 0.2]} if workspace == "table" else SOLID
    request = parse(body, keep_out=[solid])
    rows = synthesize(whole(request))
    assert rows.redraws > 40
    for batch_rows in (3, 13):
        again = synthesize(whole(request), batch_rows)
        assert content_hash(again.table) == content_hash(rows.table)
        assert again.redraws_by_family == rows.redraws_by_family
