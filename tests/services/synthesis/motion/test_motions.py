import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.synthesis.arm.robot_model import robot_model
from services.synthesis.checks import validation
from services.synthesis.draw.sampling import draw_candidates
from services.synthesis.pipeline import synthesize
from services.synthesis.request.families import WAYPOINT_FAMILIES, Family
from tests.services.synthesis.examples import EXAMPLES, panda, parse, row_values, shard, whole
from tests.services.synthesis.pieces import fine_rows


def _range(low: float) -> st.SearchStrategy[list[float]]:
    return st.tuples(st.floats(low, 1), st.floats(low, 1)).map(sorted)


PLACES = [
    {"robot": "panda", "workspace": EXAMPLES["table"]["workspace"]},
    {"robot": "panda", "workspace": {"kind": "reachable"}},
    {"robot": "panda"},
    {"robot": "ur5"},
    {"robot": "so101", "goal": "position"},
]


@given(
    place=st.sampled_from(PLACES),
    weights=st.dictionaries(st.sampled_from(WAYPOINT_FAMILIES), st.floats(0.1, 1.0), min_size=1),
    kept=st.none() | _range(0.0),
    scale=_range(0.05),
    tool_speed=st.none() | _range(0.05),
    seed=st.integers(0, 2**63 - 1),
)
@settings(max_examples=30, deadline=None)
def test_limits_and_continuity_hold_at_every_moment(
    place: dict[str, object],
    weights: dict[Family, float],
    kept: list[float] | None,
    scale: list[float],
    tool_speed: list[float] | None,
    seed: int,
) -> None:
    body = {
        **place,
        "count": 10,
        "seed": seed,
        "families": weights,
        "via_velocity": kept,
        "speed_scale": scale,
        "tool_speed": tool_speed,
        "self_collision": False,
        "columns": ["profile_time", "profile_jerk"],
    }
    request = parse(body)
    limits = robot_model(request.arm).spec.limits.scaled(scale[1])
    for row in fine_rows(synthesize(whole(request)), points=5, dof=len(limits.lower)):
        assert ((row.q >= limits.lower - 1e-7) & (row.q <= limits.upper + 1e-7)).all()
        assert (np.abs(row.qd) <= limits.velocity).all()
        assert (np.abs(row.qdd) <= limits.acceleration).all()
        assert (np.abs(row.qddd) <= limits.jerk).all()
        step = np.diff(row.t)[:, None]
        assert (np.abs(np.diff(row.q, axis=0)) <= step * limits.velocity + 1e-9).all()
        assert (np.abs(np.diff(row.qd, axis=0)) <= step * limits.acceleration + 1e-9).all()
        assert (np.abs(np.diff(row.qdd, axis=0)) <= step * limits.jerk + 1e-6).all()
        assert np.abs(row.qd[-1]).max() < 1e-7


def test_all_families_come_from_one_request_by_their_weights() -> None:
    request, rows = shard("all_families")
    assert set(rows.table["family"].to_pylist()) == set(WAYPOINT_FAMILIES)
    drawn = draw_candidates(parse(request.model_dump(mode="json")), panda(), np.arange(4000), np.zeros(4000, np.int64))
    assert np.abs(np.bincount(drawn.family) / 4000 - 0.2).max() < 0.03


def test_a_pick_and_place_closes_at_one_place_and_opens_at_another() -> None:
    _, rows = shard("places")
    durations = rows.table["duration"].to_numpy()
    for gripper, position, duration in zip(
        row_values(rows, "gripper", 1), row_values(rows, "ee_position", 3), durations, strict=True
    ):
        assert duration > 2.0
        (closes, opens) = np.flatnonzero(np.diff(gripper[:, 0])) + 1
        assert (gripper[0, 0], gripper[closes, 0], gripper[opens, 0]) == (-1.0, 1.0, -1.0)
        # The gripper acts while the tool rests, and the tool is 5 cm or more above afterwards.
        for acts in (closes, opens):
            assert np.linalg.norm(position[acts + 2] - position[acts]) < 1e-6
        assert np.linalg.norm(position[closes:opens] - position[closes], axis=1).max() > 0.05


def test_every_reason_has_advice() -> None:
    names = {
        value
        for name, value in vars(validation).items()
        if name.isupper() and isinstance(value, str) and not name.startswith("_")
    }
    assert names == set(validation.ADVICE)
