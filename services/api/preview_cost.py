"""What a preview will cost, told from its request: samples, which most of its time goes to."""

import math

from services.synthesis.request.families import Family
from services.synthesis.request.trajectory_request import TrajectoryRequest
from services.synthesis.request.workspace import Objects
from shared.errors import RequestError

LONG_SAMPLES = 25_000
"""More than the default request's 64 trajectories have, which take about a second."""
_CERTAIN = 4.0
"""A trajectory may be so much shorter than expected, in a small box for instance: until then it is tried."""
_SECONDS: dict[Family, float] = {
    "point_to_point": 2.5,
    "via_points": 9.0,
    "hold": 2.5,
    "cartesian_line": 2.0,
    "pick_and_place": 9.0,
}
"""A trajectory's usual duration at full speed [s]: means over the catalogue's arms, for 64 trajectories of seed 0."""
_METRES: dict[Family, float] = {"point_to_point": 0.9, "via_points": 3.2, "cartesian_line": 0.3, "pick_and_place": 2.5}
"""Usual length of the tool's path [m]."""


def expected_samples(request: TrajectoryRequest) -> float:
    """How many samples the trajectories of a request have in all, as far as the request tells."""
    workspace = request.workspace
    if isinstance(workspace, Objects):
        motions = workspace.motions
        seconds = sum(motion.steps for motion in motions.motions) / len(motions.motions) / motions.rate_hz
    else:
        weights = {name: weight for name, weight in request.families.items() if weight}
        usual = sum(weight * _usual_seconds(request, name) for name, weight in weights.items())
        seconds = usual / sum(weights.values())
    return request.count * seconds * request.rate_hz


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


def _usual_seconds(request: TrajectoryRequest, family: Family) -> float:
    """Of a trajectory, at the request's speeds."""
    if family == "hold":
        # Nothing moves, so no speed changes it.
        return _SECONDS[family]
    seconds = _SECONDS[family] * _mean_inverse(*request.speed_scale)
    if request.tool_speed is None:
        return seconds
    return max(seconds, _METRES[family] * _mean_inverse(*request.tool_speed))


def _mean_inverse(low: float, high: float) -> float:
    """The mean of 1/x for x drawn evenly between two bounds."""
    return math.log(high / low) / (high - low) if high > low else 1 / low


def _rounded(value: float) -> str:
    """To two digits: it is no more exact."""
    rounded = float(f"{value:.1e}")
    return f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:g}"
