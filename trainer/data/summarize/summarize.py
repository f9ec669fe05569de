"""A summary from a file of demonstrations: which are held out, their chains, and a sample of their windows."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shared.errors import ConfigError, DemonstrationError
from shared.order import WindowSpan
from shared.summary import HORIZONS, MAX_CHAINS, MAX_WAYPOINTS, MAX_WINDOWS, Chain, DemonstrationSummary, Windows
from trainer.data.action import POSE_DIM, POSITION
from trainer.data.demonstrations.episode import Demonstrations, Episode
from trainer.data.summarize.segments import Tolerance, segment

FloatArray = NDArray[np.float64]

HELD_OUT = 0.2
WINDOWS = 256
HORIZON, N_OBS_STEPS, N_ACTION_STEPS = 16, 2, 8
"""Of a window, and how far it may reach past an episode's ends: as in Stage 2's defaults."""
DECIMALS = 4
"""Of windows: a tenth of a millimetre."""
_SEED = 0


def summarize(
    demonstrations: Demonstrations,
    *,
    held_out: float = HELD_OUT,
    tolerance: Tolerance = Tolerance(),  # noqa: B008
    windows: int = WINDOWS,
    horizon: int = HORIZON,
) -> DemonstrationSummary:
    """Summarizes demonstrations.

    Args:
        demonstrations: a file of them; those that failed are left out.
        held_out: share of them, spread evenly, whose windows alone are kept, to measure what the others give.
        tolerance: how far a chain may be from its demonstration.
        windows: most windows in each of the two samples, drawn without replacement.
        horizon: steps of a window.

    Raises:
        ConfigError: a setting that makes no sense.
        DemonstrationError: a demonstration is too short, or too long for this tolerance.
    """
    _check(held_out, tolerance, windows, horizon)
    if demonstrations.action_space != "ee_pose":
        raise ConfigError(f"{demonstrations.task}: actions are {demonstrations.action_space}; a summary is of poses")
    kept, apart = _split(demonstrations.episodes, held_out)
    if not kept or len(kept) > MAX_CHAINS:
        raise ConfigError(
            f"{len(kept)} demonstrations are left to fit; a summary has 1 to {MAX_CHAINS}: change --count or --held-out"
        )
    positions = np.concatenate([episode.actions[:, POSITION] for episode in demonstrations.episodes]).astype(np.float64)
    return DemonstrationSummary(
        task=demonstrations.task,
        robot=demonstrations.robot,
        rate_hz=float(demonstrations.rate_hz),
        action_label=demonstrations.action_label,
        demonstrations=len(kept),
        held_out=len(apart),
        tolerance={"position": tolerance.position, "angle_deg": float(np.rad2deg(tolerance.angle))},
        position_range=np.asarray(np.round([positions.min(0), positions.max(0)], 6) + 0.0),
        chains=tuple(_chain(episode, demonstrations.rate_hz, tolerance) for episode in kept),
        fitted_windows=_sample(kept, windows, horizon),
        held_out_windows=_sample(apart, windows, horizon),
    )


def describe(summary: DemonstrationSummary) -> list[str]:
    """What a summary says, for people."""
    position = [np.linalg.norm(np.diff(chain.position, axis=0), axis=1) for chain in summary.chains]
    moving = np.concatenate([chain.duration > 0 for chain in summary.chains])
    spacing = np.concatenate(position)[moving]
    speed = spacing / np.concatenate([chain.duration for chain in summary.chains])[moving]
    dwell = np.concatenate([chain.dwell for chain in summary.chains])
    length = [float(chain.duration.sum() + chain.dwell.sum()) for chain in summary.chains]
    changes = [int(np.count_nonzero(np.diff(chain.gripper))) for chain in summary.chains]
    tolerance = summary.tolerance
    (low, high) = summary.position_range
    box = ", ".join(f"{axis} {a:.2f} to {b:.2f}" for axis, a, b in zip("xyz", low, high, strict=True))
    return [
        f"{summary.demonstrations} demonstrations of {summary.task} fitted, {summary.held_out} held out "
        f"({summary.robot}, {summary.rate_hz:g} Hz, actions are the pose of the {summary.action_label})",
        f"waypoints    {_spread([len(c.gripper) for c in summary.chains], '', 0)} each; within "
        f"{1000 * tolerance['position']:g} mm and {tolerance['angle_deg']:g} degrees of what was demonstrated",
        f"lengths      {_spread(length, 's', 1)}",
        f"spacing      {_spread(100 * spacing, 'cm', 1)}",
        f"speeds       {_spread(speed, 'm/s', 2)}",
        f"dwells       {_spread(dwell[dwell > 0], 's', 2)}, {np.count_nonzero(dwell) / len(length):.1f} each",
        f"gripper      {np.mean(changes):.1f} changes each",
        f"tool [m]     {box}",
        f"windows      {len(summary.fitted_windows.episode)} fitted, {len(summary.held_out_windows.episode)} held out, "
        f"of {summary.horizon} steps",
    ]


def _check(held_out: float, tolerance: Tolerance, windows: int, horizon: int) -> None:
    if not 0 <= held_out < 1:
        raise ConfigError(f"--held-out {held_out:g}: give a share of at least 0 and below 1")
    if not (0 < tolerance.position <= 1 and 0 < tolerance.angle <= np.pi):
        raise ConfigError("the tolerances must be above 0, and at most 1 m and 180 degrees")
    if not 1 <= windows <= MAX_WINDOWS:
        raise ConfigError(f"--windows {windows}: a summary has 1 to {MAX_WINDOWS} in each sample")
    if not HORIZONS[0] <= horizon <= HORIZONS[1]:
        raise ConfigError(f"--horizon {horizon}: a window has {HORIZONS[0]} to {HORIZONS[1]} steps")


def _split(episodes: Sequence[Episode], share: float) -> tuple[list[Episode], list[Episode]]:
    """The demonstrations to fit, and those held out: with a share of 0.2 every fifth."""
    apart = [int((i + 1) * share + 1e-9) > int(i * share + 1e-9) for i in range(len(episodes))]
    pairs = list(zip(episodes, apart, strict=True))
    return [episode for episode, out in pairs if not out], [episode for episode, out in pairs if out]


def _chain(episode: Episode, rate_hz: float, tolerance: Tolerance) -> Chain:
    if len(episode.actions) < 2:
        raise DemonstrationError("has 1 step; a motion has 2 at least", episode.name)
    chain = segment(episode.actions, rate_hz, tolerance)
    if len(chain.gripper) > MAX_WAYPOINTS:
        raise DemonstrationError(
            f"needs {len(chain.gripper)} waypoints, a summary takes {MAX_WAYPOINTS}: allow a larger tolerance",
            episode.name,
        )
    return Chain(**{name: np.round(values, 6) + 0.0 for name, values in vars(chain).items()})


def _sample(episodes: Sequence[Episode], most: int, horizon: int) -> Windows:
    """Windows drawn from all of the episodes', in the order in which they lie there."""
    span = WindowSpan(horizon, N_OBS_STEPS - 1, N_ACTION_STEPS - 1)
    places = []
    for index, episode in enumerate(episodes):
        first, last = span.bounds(np.array([len(episode.actions)], np.int64))
        starts = np.arange(first[0], last[0] + 1)
        places.append(np.stack([np.full(len(starts), index), starts], axis=1))
    every = np.concatenate(places) if places else np.empty((0, 2), np.int64)
    chosen = every[np.sort(np.random.default_rng(_SEED).permutation(len(every))[:most])]
    values = np.empty((len(chosen), horizon, POSE_DIM))
    for row, (index, start) in enumerate(chosen):
        actions = episodes[index].actions
        values[row] = actions[np.clip(start + np.arange(horizon), 0, len(actions) - 1)]
    return Windows(chosen[:, 0], np.round(values, DECIMALS) + 0.0)


def _spread(values: Sequence[float] | FloatArray, unit: str, digits: int) -> str:
    """Median and the middle 80 %."""
    if not len(values):
        return "none"
    low, middle, high = (f"{value:.{digits}f}" for value in np.quantile(values, (0.1, 0.5, 0.9)))
    return f"{middle} {unit} ({low} to {high})".replace("  ", " ")
