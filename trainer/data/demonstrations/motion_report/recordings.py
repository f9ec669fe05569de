"""The motion of a data set's episodes, commanded and observed, without the checks that training needs."""

from collections.abc import Mapping as Dict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.errors import ConfigError
from shared.rotation import rot6d_to_matrix
from trainer.data.action import GRIPPER, POSITION, ROTATION
from trainer.data.demonstrations.checks.track import Track
from trainer.data.demonstrations.episode import Demonstrations, Episode
from trainer.data.demonstrations.mapping.mapping import Mapping, split_columns
from trainer.data.demonstrations.mapping.motion import Motion, commanded_motion, observed_motion
from trainer.data.demonstrations.reading import meant_columns
from trainer.data.demonstrations.source import Source

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Recordings:
    """Episodes of one robot.

    Attributes:
        rate_hz: of their steps.
        tracks: what was commanded and observed in each, in our frames and units.
        columns: numbers of each episode, (T, width), by name: of what the policy sees, and of what the arm's motion is
            read from.
        is_command: whether what is commanded was recorded as that; else it is what was reached later.
    """

    rate_hz: float
    tracks: tuple[Track, ...]
    columns: Dict[str, list[FloatArray]]
    is_command: bool


def read_recordings(source: Source, path: Path, mapping: Mapping, count: int | None) -> Recordings:
    """The episodes that a mapping chooses, or the first `count` of them, which reading has found to be sound.

    Raises ConfigError where the rate is not known, DemonstrationError where the data set is damaged.
    """
    contents = source.contents
    rate_hz = mapping.rate_hz or contents.rate_hz
    if rate_hz is None:
        raise ConfigError(f"{path}: does not say its rate_hz; give rate_hz in the mapping")
    low_dim = mapping.observation.low_dim
    seen = [name for name in contents.defaults if name in contents.columns] if low_dim is None else list(low_dim)
    names = sorted({split_columns(text)[0] for text in (*meant_columns(mapping), *seen)})
    raws = [source.read(one.index, names) for one in source.choose(mapping)[:count]]
    tracks = []
    for raw in raws:
        observed = observed_motion(raw, mapping.state)
        tracks.append(Track(raw.name, commanded_motion(raw, mapping, observed), observed))
    columns = {name: [raw.columns[name] for raw in raws] for name in names}
    return Recordings(rate_hz, tuple(tracks), columns, mapping.action.label == "command")


def recordings_of(demonstrations: Demonstrations) -> Recordings:
    """Recordings of our simulator's demonstrations, which need no mapping."""
    episodes = demonstrations.episodes
    columns = {
        key: [one.observations[key].astype(np.float64) for one in episodes] for key in demonstrations.observation_widths
    }
    columns["action"] = [one.actions.astype(np.float64) for one in episodes]
    label = demonstrations.action_label
    return Recordings(demonstrations.rate_hz, tuple(map(_track, episodes)), columns, label == "command")


def _track(episode: Episode) -> Track:
    actions = episode.actions.astype(np.float64)
    commanded = Motion((actions[:, POSITION], rot6d_to_matrix(actions[:, ROTATION])), None, actions[:, GRIPPER])
    tool, joints = episode.tool, episode.counterpart
    pose = None if tool is None else (tool[:, POSITION].astype(np.float64), rot6d_to_matrix(tool[:, ROTATION]))
    return Track(episode.name, commanded, Motion(pose, None if joints is None else joints.astype(np.float64)))
