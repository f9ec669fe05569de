"""The floor of the default mix: the library calls for the very rows that are made, and no check of them."""

from dataclasses import dataclass

import numpy as np

from benchmarks.synthesis.library_calls import LibraryCalls
from services.synthesis.arm.robot_model import robot_model
from services.synthesis.candidates import make_batch
from services.synthesis.draw.sampling import Candidates
from services.synthesis.ranges import action_range
from services.synthesis.request.trajectory_request import TrajectoryRequest

CANDIDATES = 1500


@dataclass(frozen=True)
class Row:
    """An accepted row.

    Attributes:
        waypoints: configurations that its segments connect [rad].
        samples: of each segment and the dwell after it, at full speed.
        rate_hz: at which the profile at full speed has them: the speed scale slows it down.
    """

    waypoints: list[list[float]]
    samples: list[int]
    rate_hz: float


def mix_segments(request: TrajectoryRequest) -> list[Row]:
    """The accepted rows among the first candidates of a request in joint space."""
    robot = robot_model(request.arm)
    ids = np.arange(CANDIDATES)
    batch = make_batch(request, robot, action_range(request), ids, np.zeros_like(ids))
    motions, rows = batch.motions, []
    assert isinstance(batch.candidates, Candidates)
    seconds = motions.profiles.duration + motions.dwell
    for row in np.flatnonzero(batch.accepted):
        segments = slice(motions.first[row], motions.first[row + 1])
        goal = batch.samples.q[batch.samples.first[row + 1] - 1].astype(np.float64)
        ends = np.ceil(np.cumsum(seconds[segments]) * request.rate_hz).astype(int) + 1
        scale = batch.candidates.speed_scale[motions.candidate[row]]
        rows.append(
            Row(
                waypoints=[*motions.profiles.start[segments].tolist(), goal.tolist()],
                samples=np.diff(ends, prepend=0).tolist(),
                rate_hz=request.rate_hz / float(scale),
            )
        )
    return rows


def mix_floor(calls: LibraryCalls, rows: list[Row]) -> tuple[int, int]:
    """One calculate for each segment, one at_time and one forward kinematics for each sample."""
    total = 0
    for row in rows:
        for k, samples in enumerate(row.samples):
            calls.calculate(row.waypoints[k], row.waypoints[k + 1])
            calls.sample(samples, row.rate_hz)
            total += samples
    return len(rows), total
