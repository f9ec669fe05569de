"""`python -m trainer inspect`."""

from pathlib import Path

from tyro.conf import Positional

from trainer.progress import progress
from trainer.settings import check_number


def run(
    demos: Positional[Path],
    mapping: Path | None = None,
    count: int | None = None,
    action_range: Path | None = None,
    frames: Path = Path("runs/frames"),
) -> None:
    """Show what a data set holds, or with a mapping, whether it is what the mapping says.

    Args:
        demos: a robomimic file, the folder of a LeRobot data set, or our simulator's file.
        mapping: what its columns mean (.toml or .json, docs/your-data.md).
        count: read the first so many demonstrations.
        action_range: JSON (such as a dataset.json) that positions and joints must lie in.
        frames: folder that pictures are decoded to.
    """
    check_number("--count", count, 1)
    from trainer.commands.action_range import read_action_range
    from trainer.data.demonstrations import open_source, read_demonstrations
    from trainer.data.demonstrations.description import describe_demonstrations, describe_source
    from trainer.data.demonstrations.formats.frame_cache import FrameCache
    from trainer.data.demonstrations.formats.simulator import is_simulators
    from trainer.data.demonstrations.mapping.mapping_file import read_mapping

    if mapping is None and (demos.is_dir() or not is_simulators(demos)):
        print("\n".join(describe_source(open_source(demos))))
        return
    ranges = read_action_range(action_range)
    meaning = read_mapping(mapping) if mapping else None
    with progress("inspect") as report:
        demonstrations = read_demonstrations(
            demos, count, mapping=meaning, ranges=ranges, frames=FrameCache(frames), progress=report
        )
    print("\n".join(describe_demonstrations(demonstrations, meaning)))
