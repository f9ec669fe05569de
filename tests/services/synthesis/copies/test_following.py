"""How much slower than demonstrated a copy is for the sake of the joints."""

import numpy as np
import pytest

from services.synthesis.copies.following import slowdown_needed, through_knots
from services.synthesis.solve.line_knots import FOLLOWED, SINGULAR
from tests.services.synthesis.examples import panda

RATE_HZ = 20.0


@pytest.mark.parametrize(
    ("needed", "slowdown", "verdict"),
    [(0.7, 1.0, FOLLOWED), (1.5, 1.5, FOLLOWED), (1.98, 1.98, FOLLOWED), (2.1, 2.0, SINGULAR)],
)
def test_a_copy_is_as_slow_as_its_joints_need_up_to_half_its_pace(needed: float, slowdown: float, verdict: int) -> None:
    limits = panda().planning_limits
    # The first joint turns by 4 rad, along a polynomial whose greatest velocity is 15/8 of its mean.
    intervals = round(15 / 8 * 4.0 / (needed * limits.velocity[0]) * RATE_HZ)
    u = np.arange(intervals + 1) / intervals
    q = np.tile(panda().home, (intervals + 1, 1))
    q[:, 0] = 4.0 * u**3 * (10 - 15 * u + 6 * u**2) - 2.0
    peak = 15 / 8 * 4.0 / intervals * RATE_HZ / limits.velocity[0]
    first, verdicts = np.array([0, intervals + 1]), np.zeros(1, np.int64)
    assert slowdown_needed(panda(), first, q, RATE_HZ).max() == pytest.approx(peak, rel=5e-3)
    segments, profiles, step = through_knots(panda(), first, q, RATE_HZ, verdicts)
    assert verdicts.tolist() == [verdict]
    assert step[0] * RATE_HZ == pytest.approx(min(max(peak, 1.0), 2.0), rel=5e-3)
    assert min(max(peak, 1.0), 2.0) == pytest.approx(slowdown, rel=0.02)
    assert segments.tolist() == [0, -(-intervals // 7)]
    assert profiles.duration.sum() == pytest.approx(intervals * step[0])
