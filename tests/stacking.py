"""Made-up demonstrations of putting one cube on another, whose every number is known: an analytic arm that lags."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from shared.demonstrated_motions import (
    FREE,
    DemonstratedMotion,
    DemonstratedMotions,
    Held,
    MovedObject,
    Poses,
    Segment,
)
from shared.rotation import matrix_to_rot6d, rot6d_to_matrix, rotvec_to_matrix
from trainer.data.copies.lag import Lag
from trainer.data.demonstrations.episode import Demonstrations, Episode

FloatArray = NDArray[np.float64]

RATE_HZ = 20.0
LAG = Lag(frequency=12.0, damping=0.9, delay=1, rate_hz=RATE_HZ)
OBJECTS = (MovedObject("block", 4), MovedObject("base", 4))
TABLE = -0.1
_OPEN, _CLOSED = 0.04, 0.02


def _down(yaw: float) -> FloatArray:
    return np.asarray(rotvec_to_matrix(np.array([0.0, 0.0, yaw])) @ np.diag([1.0, -1.0, -1.0]))


def _up(height: float) -> FloatArray:
    return np.array([0.0, 0.0, height])


def _smooth(a: FloatArray, b: FloatArray, steps: int) -> FloatArray:
    u = np.arange(1, steps + 1)[:, None] / steps
    return np.asarray(a + (b - a) * u**3 * (10 - 15 * u + 6 * u**2))


def stacking(seed: int) -> Episode:
    """One demonstration: down on the block, closed, over the base, down, opened, up."""
    rng = np.random.default_rng(seed)
    block = np.array([rng.uniform(0.42, 0.5), rng.uniform(-0.2, -0.05), TABLE])
    base = np.array([rng.uniform(0.5, 0.6), rng.uniform(0.05, 0.2), TABLE])
    yaws = rng.uniform(-0.6, 0.6, 2)
    start = np.array([0.45, 0.0, 0.15]) + rng.uniform(-0.01, 0.01, 3)
    grasp, place = block + _up(0.005), base + _up(0.055)
    stops = [start, grasp + _up(0.12), grasp, grasp, grasp + _up(0.14), place + _up(0.09), place, place,
             place + _up(0.08)]  # fmt: skip
    steps = [14, 8, 10, 9, 14, 9, 8, 8]
    path = [start[None]]
    for a, b, count in zip(stops, stops[1:], steps, strict=False):
        path.append(_smooth(a, b, count))
    position = np.concatenate(path)
    turn = np.concatenate([[0.0], _smooth(np.zeros(1), yaws[:1], steps[0])[:, 0]])
    yaw = np.concatenate([turn, np.full(len(position) - len(turn), yaws[0])])
    rotation = np.array([_down(angle) for angle in yaw])
    closes, opens = 1 + sum(steps[:2]), 1 + sum(steps[:6])
    gripper = np.where((np.arange(len(position)) >= closes) & (np.arange(len(position)) < opens), 1.0, -1.0)
    reached = LAG.follow(position)
    block_pose = np.repeat(block[None], len(position), 0)
    # The hand takes the block as it is in the hand where it closed, and leaves it where it opens.
    held = slice(closes + 5, opens)
    block_pose[held] = reached[held] + (block - reached[closes + 5])
    block_pose[opens:] = block_pose[opens - 1]
    block_rotation = np.array([rotvec_to_matrix(np.array([0, 0, yaws[0]]))] * len(position))
    base_pose = np.repeat(base[None], len(position), 0)
    base_rotation = np.array([rotvec_to_matrix(np.array([0, 0, yaws[1]]))] * len(position))
    since = np.where(gripper > 0, np.arange(len(position)) - closes, 99)
    fingers = np.where(gripper > 0, np.maximum(_OPEN - 0.005 * since, _CLOSED), _OPEN)
    poses = {
        "tool": (reached, rotation),
        "block": (block_pose, block_rotation),
        "base": (base_pose, base_rotation),
    }
    joined = {
        name: np.concatenate([place, matrix_to_rot6d(turned)], axis=1).astype(np.float32)
        for name, (place, turned) in poses.items()
    }
    observations = {
        "tool": joined["tool"],
        "fingers": fingers[:, None].astype(np.float32),
        "block": joined["block"],
        "base_in_world": (base_pose + np.array([1.0, 2.0, 3.0])).astype(np.float32),
        "tool_to_block": (block_pose - reached).astype(np.float32),
        "apart": np.linalg.norm(block_pose - base_pose, axis=1, keepdims=True).astype(np.float32),
    }
    actions = np.concatenate([position, matrix_to_rot6d(rotation), gripper[:, None]], axis=1).astype(np.float32)
    objects = {name: joined[name] for name in ("block", "base")}
    return Episode(
        f"data/demo_{seed}", observations, actions, validation=False, seed=seed, tool=joined["tool"], objects=objects
    )


def demonstrations(count: int = 5, change: Callable[[Episode], Episode] = lambda episode: episode) -> Demonstrations:
    """So many of them."""
    episodes = tuple(change(stacking(seed)) for seed in range(count))
    widths = {key: values.shape[1] for key, values in episodes[0].observations.items()}
    return Demonstrations("stacking", "panda", RATE_HZ, widths, episodes, objects=OBJECTS)


def motions(count: int = 5) -> DemonstratedMotions:
    """Their motions, with the segments that are known of them."""
    return DemonstratedMotions(
        "stacking", "panda", RATE_HZ, OBJECTS, tuple(_motion(stacking(seed)) for seed in range(count))
    )


def _motion(episode: Episode) -> DemonstratedMotion:
    steps = len(episode.actions)
    closes, opens = np.flatnonzero(np.diff(episode.actions[:, 9])) + 1
    segments = (
        Segment(int(closes) - 8),
        Segment(int(closes) + 8, 0),
        Segment(int(opens) - 8, FREE),
        Segment(steps, 1, "hand"),
    )
    return DemonstratedMotion(
        episode.name,
        poses(episode.actions),
        poses(episode.tool),
        episode.actions[:, 9].astype(np.float64),
        tuple(poses(episode.objects[thing.name]) for thing in OBJECTS),
        segments,
        (Held(0, int(closes), int(opens)),),
    )


def poses(values: NDArray[np.float32] | None) -> Poses:
    """Poses of (T, 9 or more) numbers."""
    assert values is not None
    rotation = rot6d_to_matrix(values[:, 3:9].astype(np.float64))
    return Poses(values[:, :3].astype(np.float64), matrix_to_rot6d(rotation))
