"""Poses along copies at any time of their source, counted in its steps: of the tool, and of the objects."""

import numpy as np
from numpy.typing import NDArray

from services.synthesis.compiled import compiled
from services.synthesis.copies.rigid import apply, between, conjugate, multiply, normalize, rotate
from services.synthesis.copies.sources import METRES_PER_RADIAN, Sources
from services.synthesis.copies.transforms import Transforms
from shared.demonstrated_motions import FREE

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@compiled
def carry_tool(
    sources: Sources,
    source: IntArray,
    placed: Transforms,
    first: IntArray,
    time: FloatArray,
    position: FloatArray,
    rotation: FloatArray,
) -> None:
    """Fills the tool's poses of n copies at K times.

    Args:
        sources: the demonstrations.
        source: which one each copies, shape (n,).
        placed: their transforms.
        first: first time of each copy, and K, shape (n + 1,).
        time: in steps of the source, shape (K,). Before its first step and after its last the tool goes on as fast as
            there.
        position: filled, shape (K, 3) [m].
        rotation: filled row by row, shape (K, 9).
    """
    quat, before, beside = np.empty(4), np.empty(3), np.empty(4)
    for i in range(source.size):
        last = float(sources.first[source[i] + 1] - sources.first[source[i]] - 1)
        for k in range(first[i], first[i + 1]):
            t = time[k]
            inside = min(max(t, 0.0), last)
            _tool_at(sources, source[i], placed.begin[i], placed.end[i], inside, position[k], quat)
            if t != inside:
                neighbour = 1.0 if t < 0.0 else last - 1.0
                _tool_at(sources, source[i], placed.begin[i], placed.end[i], neighbour, before, beside)
                beyond = abs(t - inside)
                for c in range(3):
                    position[k, c] += beyond * (position[k, c] - before[c])
                _turn_on(beside, quat, beyond)
            _write_matrix(quat, rotation[k])


@compiled
def _tool_at(
    sources: Sources, motion: int, begin: FloatArray, end: FloatArray, t: float, position: FloatArray, quat: FloatArray
) -> None:
    """Position (3,) and unit quaternion (4,) of the tool at a time within the source."""
    first, steps = sources.first[motion], sources.first[motion + 1] - sources.first[motion]
    step = min(int(t), steps - 2)
    share = t - step
    point, own, blend, other = np.empty(3), np.empty(4), np.empty(4), np.empty(3)
    for c in range(3):
        point[c] = _between_steps(sources.position[:, c], first, steps, step, share)
    for c in range(4):
        own[c] = _between_steps(sources.quat[:, c], first, steps, step, share)
    normalize(own)
    s = _segment_at(sources, motion, step, share)
    apply(begin[s], point, position)
    if sources.relative_to[sources.first_segment[motion] + s] == FREE:
        weight = _weight(sources, motion, s, step, share)
        apply(end[s], point, other)
        for c in range(3):
            position[c] = (1.0 - weight) * position[c] + weight * other[c]
        between(begin[s, 3:], end[s, 3:], weight, blend)
        multiply(blend, own, quat)
    else:
        multiply(begin[s, 3:], own, quat)


@compiled
def _segment_at(sources: Sources, motion: int, step: int, share: float) -> int:
    """The segment in which a time lies; what is between two segments belongs to the free one."""
    first, count = sources.first_segment[motion], sources.first_segment[motion + 1] - sources.first_segment[motion]
    s = 0
    while s < count - 1 and step >= sources.segment_end[first + s]:
        s += 1
    beyond = s < count - 1 and share > 0.0 and step + 1 == sources.segment_end[first + s]
    return s + 1 if beyond and (share == 1.0 or sources.relative_to[first + s] != FREE) else s


@compiled
def free_interval(sources: Sources, motion: int, s: int) -> tuple[int, int]:
    """The steps between which the transform of free segment `s` of a motion goes from the one to the other."""
    first, count = sources.first_segment[motion], sources.first_segment[motion + 1] - sources.first_segment[motion]
    begins = 0 if s == 0 else sources.segment_end[first + s - 1] - 1
    steps = sources.first[motion + 1] - sources.first[motion]
    return begins, steps - 1 if s == count - 1 else sources.segment_end[first + s]


@compiled
def _weight(sources: Sources, motion: int, s: int, step: int, share: float) -> float:
    """How far a free segment's transform has gone, 0 to 1: by the path behind the tool, smoothly at both ends."""
    first, steps = sources.first[motion], sources.first[motion + 1] - sources.first[motion]
    a, b = free_interval(sources, motion, s)
    begins, whole = sources.path[first + a], sources.path[first + b] - sources.path[first + a]
    if whole > 1e-9:
        u = (_between_steps(sources.path, first, steps, step, share) - begins) / whole
    else:
        u = (step + share - a) / (b - a)
    u = min(max(u, 0.0), 1.0)
    # The polynomial of least degree with zero first and second derivatives at 0 and 1.
    return float(u * u * u * (u * (6.0 * u - 15.0) + 10.0))


@compiled
def _between_steps(values: FloatArray, first: int, steps: int, step: int, share: float) -> float:
    """Cubic Hermite interpolation between two steps, slopes being central differences (Catmull and Rom 1974)."""
    here, after = values[first + step], values[first + step + 1]
    slope = (after - values[first + step - 1]) / 2.0 if step > 0 else after - here
    slope_after = (values[first + step + 2] - here) / 2.0 if step + 2 < steps else after - here
    rise = after - here
    a, b = slope - rise, rise - slope_after
    return float(here + share * (rise + (1.0 - share) * ((1.0 - share) * a + share * b)))


@compiled
def _turn_on(before: FloatArray, quat: FloatArray, beyond: float) -> None:
    """Turns a quaternion on by `beyond` times its turn from the one before."""
    dot = before[0] * quat[0] + before[1] * quat[1] + before[2] * quat[2] + before[3] * quat[3]
    sign = 1.0 if dot >= 0.0 else -1.0
    for c in range(4):
        quat[c] += beyond * (quat[c] - sign * before[c])
    normalize(quat)


@compiled
def _write_matrix(q: FloatArray, out: FloatArray) -> None:
    """The matrix of a unit quaternion, row by row, (9,)."""
    x, y, z, w = q[0], q[1], q[2], q[3]
    out[0], out[1], out[2] = 1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - z * w), 2.0 * (x * z + y * w)
    out[3], out[4], out[5] = 2.0 * (x * y + z * w), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - x * w)
    out[6], out[7], out[8] = 2.0 * (x * z - y * w), 2.0 * (y * z + x * w), 1.0 - 2.0 * (x * x + y * y)


@compiled
def path_ratio(sources: Sources, motion: int, s: int, begin: FloatArray, end: FloatArray) -> float:
    """How many times longer the tool's path in a free segment is than its source's, turns counted too."""
    first = sources.first[motion]
    a, b = free_interval(sources, motion, s)
    source = sources.path[first + b] - sources.path[first + a]
    if source < 1e-3:
        return 1.0
    before, position, quat, length = np.empty(3), np.empty(3), np.empty(4), 0.0
    straight = 0.0
    for step in range(a, b + 1):
        _tool_at(sources, motion, begin, end, float(step), position, quat)
        if step > a:
            square, plain = 0.0, 0.0
            for c in range(3):
                square += (position[c] - before[c]) ** 2
                plain += (sources.position[first + step, c] - sources.position[first + step - 1, c]) ** 2
            length, straight = length + np.sqrt(square), straight + np.sqrt(plain)
        for c in range(3):
            before[c] = position[c]
    dot = 0.0
    for c in range(4):
        dot += begin[s, 3 + c] * end[s, 3 + c]
    # |q1 - q0| is half the angle, where it is small.
    turn = 2.0 * np.sqrt(max(0.0, 2.0 - 2.0 * abs(dot)))
    return float((length + source - straight + METRES_PER_RADIAN * turn) / source)


@compiled
def carry_objects(
    sources: Sources,
    source: IntArray,
    placed: Transforms,
    first: IntArray,
    time: FloatArray,
    tool_position: FloatArray,
    tool_quat: FloatArray,
    position: NDArray[np.float32],
    rotation_6d: NDArray[np.float32],
) -> None:
    """Fills the poses of all objects of n copies at N samples.

    Args:
        sources: the demonstrations.
        source: which one each copies, shape (n,).
        placed: their transforms.
        first: first sample of each copy, and N, shape (n + 1,).
        time: in steps of the source, within it, shape (N,).
        tool_position: where the tool is, shape (N, 3) [m].
        tool_quat: likewise, shape (N, 4).
        position: filled, shape (O, N, 3) [m].
        rotation_6d: filled with the first two rows of the rotation, shape (O, N, 6).
    """
    point, quat, pose, turned, matrix = np.empty(3), np.empty(4), np.empty(3), np.empty(4), np.empty(9)
    for i in range(source.size):
        motion = source[i]
        begins, steps = sources.first[motion], sources.first[motion + 1] - sources.first[motion]
        for o in range(position.shape[0]):
            for k in range(first[i], first[i + 1]):
                step = min(int(time[k]), steps - 2)
                share = time[k] - step
                for c in range(3):
                    point[c] = _linear(sources.object_position[:, o, c], begins + step, share)
                between(sources.object_quat[begins + step, o], sources.object_quat[begins + step + 1, o], share, quat)
                phase, held = _phase(sources, motion, o, time[k])
                if held:
                    _with_hand(sources, begins, steps, step, share, tool_position[k], tool_quat[k], point, quat, pose)
                    multiply(quat, placed.turned[i, o, phase + 1], turned)
                else:
                    apply(placed.moved[i, o, phase], point, pose)
                    multiply(placed.moved[i, o, phase, 3:], quat, matrix[:4])
                    multiply(matrix[:4], placed.turned[i, o, phase], turned)
                _write_matrix(turned, matrix)
                for c in range(3):
                    position[o, k, c] = pose[c]
                for c in range(6):
                    rotation_6d[o, k, c] = matrix[c]


@compiled
def _linear(values: FloatArray, step: int, share: float) -> float:
    return float((1.0 - share) * values[step] + share * values[step + 1])


@compiled
def _phase(sources: Sources, motion: int, o: int, t: float) -> tuple[int, bool]:
    """How many holds of an object are over at a time, and whether it is held."""
    over = 0
    for h in range(sources.first_held[motion], sources.first_held[motion + 1]):
        if sources.held[h, 0] == o:
            if t >= sources.held[h, 2]:
                over += 1
            elif t >= sources.held[h, 1]:
                return over, True
    return over, False


@compiled
def _with_hand(
    sources: Sources,
    begins: int,
    steps: int,
    step: int,
    share: float,
    tool_position: FloatArray,
    tool_quat: FloatArray,
    point: FloatArray,
    quat: FloatArray,
    pose: FloatArray,
) -> None:
    """An object's pose in the tool's frame of the source, taken to where the tool is; replaces `quat`."""
    tool, inverse, relative, offset = np.empty(4), np.empty(4), np.empty(4), np.empty(3)
    for c in range(4):
        tool[c] = _between_steps(sources.quat[:, c], begins, steps, step, share)
    normalize(tool)
    conjugate(tool, inverse)
    for c in range(3):
        offset[c] = point[c] - _between_steps(sources.position[:, c], begins, steps, step, share)
    rotate(inverse, offset, offset)
    rotate(tool_quat, offset, pose)
    for c in range(3):
        pose[c] += tool_position[c]
    multiply(inverse, quat, relative)
    multiply(tool_quat, relative, quat)
