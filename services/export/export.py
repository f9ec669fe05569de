"""An export: every row of a dataset, shard by shard, into another layout."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from headstart_client.data.commits import Commits
from services.export.episodes import Content, Episodes, read_episodes
from services.export.lerobot_v3 import LeRobotV3
from services.export.lerobot_v21 import LeRobotV21
from services.export.output import whole_or_nothing
from services.export.robomimic import Robomimic
from shared.errors import ConfigError
from shared.follow import ShardSource


class Writer(Protocol):
    """Writes a layout, some episodes at a time."""

    def write(self, episodes: Episodes) -> None:
        """Adds some episodes."""
        ...

    def close(self) -> None:
        """Finishes it."""
        ...


FORMATS: dict[str, Callable[[Path, Content], Writer]] = {
    "lerobot-v3": LeRobotV3,
    "lerobot-v2.1": LeRobotV21,
    "robomimic": Robomimic,
}


def export_dataset(
    source: ShardSource,
    out: Path,
    layout: str,
    content: Content,
    *,
    unfinished: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, rows: None,
) -> int:
    """Writes a dataset to `out` in another layout, holding one shard in memory at a time.

    Args:
        source: the dataset.
        out: file or folder to make, which appears when it is whole.
        layout: one of FORMATS.
        content: what a step holds.
        unfinished: export what is committed now of a dataset that isn't sealed.
        on_progress: called with the rows written, of how many.

    Returns:
        The number of rows.

    Raises:
        ConfigError: `out` is taken, or the dataset isn't finished, or is nothing this layout can hold.
        DatasetError: the dataset is damaged, or `out` can't be written.
    """
    commits = _commits(source, unfinished)
    rows, done = commits.totals().rows, 0
    with whole_or_nothing(out) as part:
        writer = FORMATS[layout](part, content)
        for episodes in read_episodes(source, commits):
            writer.write(episodes)
            done += len(episodes.ids)
            on_progress(done, rows)
        writer.close()
    return rows


def _commits(source: ShardSource, unfinished: bool) -> Commits:
    state = source.state()
    here = f"{len(state.commits)} of {source.header.shards} shards are there"
    if state.state != "sealed" and not unfinished:
        raise ConfigError(
            f"the dataset is {state.state}: {here}; wait until it is finished, or give --unfinished to export those"
        )
    if not state.commits:
        raise ConfigError(f"there is nothing to export: {here}")
    return state.commits
