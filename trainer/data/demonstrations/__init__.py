"""Demonstrations: a policy's task, from our simulator or from the data sets people have.

    path -> source (robomimic, lerobot) + mapping -> motion of each episode -> checked -> Demonstrations

Our simulator's files say themselves what they mean; all others need a mapping. docs/your-data.md is the user's page.
"""

from dataclasses import replace
from pathlib import Path

from shared.errors import ConfigError, DemonstrationError
from trainer.data.demonstrations.checks.implausible import Ranges
from trainer.data.demonstrations.episode import Demonstrations, chosen
from trainer.data.demonstrations.formats.frame_cache import FrameCache
from trainer.data.demonstrations.formats.lerobot import LeRobotDataset
from trainer.data.demonstrations.formats.robomimic import RobomimicFile
from trainer.data.demonstrations.formats.simulator import is_simulators, read_simulator
from trainer.data.demonstrations.mapping.mapping import Mapping
from trainer.data.demonstrations.reading import read_source
from trainer.data.demonstrations.source import Source
from trainer.hub import demonstrations_here
from trainer.progress import Progress, silent

__all__ = ["open_source", "read_demonstrations"]


def read_demonstrations(
    path: Path | str,
    count: int | None = None,
    *,
    mapping: Mapping | None = None,
    ranges: Ranges | None = None,
    frames: FrameCache | None = None,
    progress: Progress = silent,
    pictures: bool = True,
    draw: int | None = None,
) -> Demonstrations:
    """The demonstrations of a data set, or the first `count` of them, or those that a seed draws.

    Args:
        path: a file of our simulator or of robomimic's layout, or the folder of a LeRobot data set; or where one lies
            on the Hub (hf://user/name@revision), which is fetched.
        count: how many; None for all.
        mapping: what its columns mean; for our simulator's none.
        ranges: that positions and joints must lie in, as in dataset.json.
        frames: where pictures are decoded to; needed where the mapping asks for cameras.
        progress: told of each episode whose pictures are there.
        pictures: whether cameras are read; without them, the demonstrations have none, and `frames` is not needed.
        draw: seed that draws `count` of them; held out are as many others (`chosen`).

    Raises:
        ConfigError: the mapping is missing, or does not fit the data set.
        HubError: it can't be fetched.
        DemonstrationError: the data set isn't there, isn't whole or has fewer; `count` is below 1; or it is not what
            the mapping says. Names the demonstration.
    """
    path = demonstrations_here(Path(path))
    if draw is not None and count is None:
        raise ConfigError("--draw draws some of the demonstrations; say with --count how many")
    if count is not None and count < 1:
        raise DemonstrationError(f"{count} demonstrations were asked for; ask for 1 at least, or for all", path)
    if not path.is_dir() and is_simulators(path):
        if mapping is not None:
            raise ConfigError(f"{path}: is of our simulator and says itself what it means; leave the mapping out")
        return _chosen(read_simulator(path), count, draw, path)
    source = open_source(path, frames)
    if mapping is None:
        raise ConfigError(
            f"{path}: needs a mapping, which says what its columns mean (docs/your-data.md); it has "
            f"{', '.join(source.contents.columns)}"
        )
    return read_source(source, path, mapping, count, ranges or {}, progress, pictures=pictures, draw=draw)


def open_source(path: Path, frames: FrameCache | None = None) -> Source:
    """A data set of another program: a LeRobot folder or a robomimic file. Raises DemonstrationError if it is none."""
    return LeRobotDataset(path, frames) if path.is_dir() else RobomimicFile(path, frames)


def _chosen(demonstrations: Demonstrations, count: int | None, draw: int | None, path: Path) -> Demonstrations:
    if not demonstrations.episodes:
        raise DemonstrationError("has no successful demonstration", path)
    if count is not None and count > len(demonstrations.episodes):
        raise DemonstrationError(f"has {len(demonstrations.episodes)} demonstrations, {count} were asked for", path)
    episodes = tuple(chosen(demonstrations.episodes, count, draw))
    return replace(demonstrations, episodes=episodes, drawn=None if draw is None else count)
