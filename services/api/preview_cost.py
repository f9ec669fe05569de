"""What a preview will cost, told from its request: samples, which most of its time goes to."""

import math

from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.errors import RequestError

LONG_SAMPLES = 25_000
"""More than the default request's 64 trajectories have, which take about a second."""
_CERTAIN = 4.0
"""A trajectory may be so much shorter than expected, in a small box for instance: until then it is tried."""


def expected_samples(request: TrajectoryRequest) -> float:
    """How many samples the trajectories of a request have in all, as far as the request tells."""
    return request.count * request.expected_row_s * request.rate_hz


def check_cost(request: TrajectoryRequest, most: int) -> None:
    """Raises RequestError, with what to lower, if there will be more than `most` samples for certain."""
    expected = expected_samples(request)
    if expected <= most * _CERTAIN:
        return
    share = most / expected
    what = f"some {_rounded(expected)} samples are expected, and a preview has at most {most:,}; "
    problems = [("/rate_hz", f"{what}lower it to {_rounded(request.rate_hz * share)} or less, or go faster")]
    if request.count * share >= 1:
        problems.append(("/count", f"{what}ask for {math.floor(request.count * share)} or fewer"))
    raise RequestError("the request is not valid", problems)


def _rounded(value: float) -> str:
    """Rounded to two digits: it is no more exact."""
    rounded = float(f"{value:.1e}")
    return f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:g}"
