"""How many rows a shard may have: as many as a worker makes in less than 1 GB, from how long rows are expected to take.

A worker takes about 400 MB before its first shard, and at most about four times the values of a shard while it makes
and packs one (`python -m benchmarks.memory`), so a shard's values are kept under SHARD_BYTES.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.catalogue import Arm
from services.catalogue.chain import joint_limits
from services.synthesis.request.demonstrated_chains import demonstrated_chains
from services.synthesis.request.families import MOST_SEGMENTS, Family, draw_families, draw_segments, is_family
from services.synthesis.request.workspace import Box, Fitted, Objects, Workspace
from shared import records
from shared.philox import philox_uniform
from shared.plain_sum import plain_sum

FloatArray = NDArray[np.float64]

SHARD_BYTES = 100_000_000
"""Bytes of a shard's values, at most."""
DEFAULT_ROWS = 4096
"""Rows of a shard by default, at most."""
FEW_ROWS = 256
"""Rows of a shard by default, at least, where memory allows: fewer are not worth a file."""
DEFAULT_SHARDS = 16
"""Shards by default, at least, but for FEW_ROWS: every core of a machine then has some to make."""

_DRAWS = 2048
"""Rows from which it is learned how long others will be."""
_DOUBT = 20.0
"""A shard is larger than SHARD_BYTES with probability exp(-20), 2e-9."""
_EXPONENTS = np.geomspace(0.01, 1000.0, 81) / SHARD_BYTES
_REST_MEAN, _REST_LONGEST = 0.2, 0.65
"""Dwell at a waypoint [s]: services/synthesis/draw/events.py."""
_HOLD_LONGEST = 1.5
"""A segment of a hold [s]: likewise."""
_COPY_USUAL, _COPY_LONGEST = 1.5, 3.5
"""How many times longer than its demonstration a copy takes: services/synthesis/copies/pace.py."""


class RowTimes(NamedTuple):
    """How long the rows of a request take.

    Attributes:
        drawn: of as many rows as were looked at, shape (n,) [s]; rather longer than they will be.
        longest: what none is expected to take longer than [s].
    """

    drawn: FloatArray
    longest: float


def row_times(
    arm: Arm,
    families: dict[Family, float],
    workspace: Workspace,
    speed_scale: tuple[float, float],
    tool_speed: tuple[float, float] | None,
) -> RowTimes:
    """What a request says of its rows' times, from the arm's limits: see TrajectoryRequest.

    Motions are taken to go between configurations drawn in all of the joints' ranges. Targets in a box or near one
    another are closer, so their rows are shorter than this says.
    """
    if isinstance(workspace, Objects):
        motions = workspace.motions
        seconds = np.array([motion.steps for motion in motions.motions]) / motions.rate_hz
        return RowTimes(_COPY_USUAL * seconds, _COPY_LONGEST * float(seconds.max()))
    u = philox_uniform(0, np.arange(_DRAWS), 0, 4)
    family = draw_families(families, u[:, 0])
    segments = draw_segments(family, u[:, 1])
    # What is demonstrated is gone through at full speed, and then slowed to what was demonstrated.
    low, high = (1.0, 1.0) if isinstance(workspace, Fitted) else speed_scale
    motion = _motions(arm, int(segments.max()), low + u[:, 2] * (high - low), low)
    if tool_speed is not None:
        slow = _at_tool_speed(arm, workspace, tool_speed, u[:, 3])
        motion = RowTimes(np.maximum(motion.drawn, slow.drawn[:, None]), max(motion.longest, slow.longest))
    times = motion.drawn + _REST_MEAN
    times[is_family(family, "hold")] = _HOLD_LONGEST
    drawn = (times * (np.arange(times.shape[1]) < segments[:, None])).sum(1)
    if not isinstance(workspace, Fitted):
        return RowTimes(drawn, (motion.longest + _REST_LONGEST) * int(segments.max()))
    parts = _demonstrated_parts(workspace)
    return RowTimes(
        drawn + parts[np.arange(_DRAWS) % len(parts)],
        (motion.longest + _REST_LONGEST) * MOST_SEGMENTS + float(parts.max()),
    )


def row_bytes(dof: int, optional: Iterable[str], rate_hz: float, lines: bool, seconds: FloatArray) -> FloatArray:
    """Bytes of the values of rows that take so many seconds (n,).

    Profile columns hold pieces of segments rather than samples. Straight `lines` of the tool have many segments: these
    are taken to last 0.1 s, which they do on average.
    """
    samples, segments = rate_hz * seconds + 1, 2 * MOST_SEGMENTS + lines * 10 * seconds
    total = np.zeros_like(seconds)
    for column in records.columns(optional):
        if column.name.startswith("profile_"):
            total += segments * (dof * records.PIECES_PER_SEGMENT * column.dtype.bit_width // 8)
        elif column.is_list:
            total += samples * (column.width(dof) * column.dtype.bit_width // 8)
    return total


def most_rows(drawn: FloatArray, longest: float) -> int:
    """How many rows are surely under SHARD_BYTES together, of these bytes (n,) and at most `longest`; 0 if not one is.

    By Chernoff's bound: P(sum of N > B) <= exp(-xB) E[exp(xb)]^N for every x > 0.
    """
    if longest > SHARD_BYTES:
        return 0
    exponents = _EXPONENTS[_EXPONENTS * drawn.max() < 100]
    growth = np.log(np.exp(exponents[:, None] * drawn).mean(1))
    likely = (exponents * SHARD_BYTES - _DOUBT) / growth
    return int(max(SHARD_BYTES / longest, likely.max()))


def default_rows(count: int, most: int) -> int:
    """Rows of a shard where none are asked for: a power of two."""
    wanted = min(DEFAULT_ROWS, most, max(FEW_ROWS, count / DEFAULT_SHARDS))
    return int(2 ** math.floor(math.log2(wanted)))


def _motions(arm: Arm, count: int, speed: FloatArray, slowest: float) -> RowTimes:
    """Motions between `count` + 1 configurations drawn in the joints' ranges, at speeds (n,): shape (n, count)."""
    lower, upper, velocity = np.array([joint_limits(arm.description, joint) for joint in arm.moving]).T
    acceleration, jerk = np.array(arm.acceleration), np.array(arm.jerk)
    u = philox_uniform(1, np.arange(len(speed)), 0, (count + 1) * len(lower)).reshape(len(speed), count + 1, -1)
    distance = np.abs(np.diff(u, axis=1)) * (upper - lower)
    # Of a joint that reaches its greatest speed and acceleration; less where it doesn't.
    starting = velocity / acceleration + acceleration / jerk
    seconds = (distance / velocity + starting).max(2)
    farthest = ((upper - lower) / velocity + starting).max()
    return RowTimes(seconds / speed[:, None], float(farthest) / slowest)


def _demonstrated_parts(workspace: Fitted) -> FloatArray:
    """How long parts of demonstrations take, of as many motions as a row has at most, with their rests (n,) [s]."""
    chains, jitter = demonstrated_chains(workspace.summary), workspace.jitter
    ends = np.concatenate([[0.0], np.cumsum(chains.time + chains.dwell)])
    parts = []
    for first, end in zip(chains.first[:-1], chains.first[1:], strict=True):
        begins = np.arange(first, max(first, end - MOST_SEGMENTS - 1) + 1)
        parts.append(ends[np.minimum(begins + MOST_SEGMENTS + 1, end)] - ends[begins])
    return np.asarray(np.concatenate(parts) * (1 + jitter.dwell) * (1 + jitter.speed))


def _at_tool_speed(arm: Arm, workspace: Workspace, tool_speed: tuple[float, float], u: FloatArray) -> RowTimes:
    """Motions at mean speeds of the tool drawn by uniform numbers (n,), half as far as any may go: (n,)."""
    if isinstance(workspace, Box):
        farthest = math.dist(workspace.min, workspace.max)
    else:
        path = arm.description.path(arm.base_frame, arm.tool_frame)
        slides = [joint_limits(arm.description, joint) for joint in arm.moving if joint.kind == "prismatic"]
        links = plain_sum(math.hypot(*joint.origin.xyz) for joint in path)
        farthest = 2 * (links + plain_sum(max(-a, b) for a, b, _ in slides))
    low, high = tool_speed
    return RowTimes(farthest / 2 / (low + u * (high - low)), farthest / low)
