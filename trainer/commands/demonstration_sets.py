"""What `--demos`, `--mapping` and `--weights` name: demonstrations of one set, or of several that are mixed."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from shared.errors import ConfigError
from trainer.commands.numbers import read_numbers
from trainer.hub import demonstrations_here

if TYPE_CHECKING:
    from trainer.data.demonstrations.checks.implausible import Ranges
    from trainer.data.demonstrations.episode import Demonstrations
    from trainer.data.demonstrations.formats.frame_cache import FrameCache
    from trainer.data.demonstrations.mapping.mapping import Mapping
    from trainer.progress import Progress


def read_weights(text: str | None) -> list[float] | None:
    """`--weights`. Raises ConfigError where it is no numbers."""
    return None if text is None else read_numbers("--weights", text)


def read_sets(
    demos: Sequence[Path],
    mappings: Sequence[Path],
    weights: Sequence[float] | None,
    *,
    count: int | None,
    draw: int | None,
    ranges: "Ranges | None",
    rate_hz: float | None,
    frames: "FrameCache",
    progress: "Progress",
) -> tuple["Demonstrations", list[str]]:
    """The demonstrations of every set, joined, and what a user should know of them.

    Args:
        demos: a path for each set.
        mappings: one for each set that needs one, in their order; or one for all of these.
        weights: of each set; equal without.
        count, draw: of each set, as `read_demonstrations` takes them.
        ranges: that positions and joints must lie in.
        rate_hz: that several sets are resampled to; None leaves them as they are.
        frames: where pictures are decoded to.
        progress: told of each episode whose pictures are there.

    Raises:
        ConfigError: the mappings or weights are too few or too many, or the sets can't be joined.
        DemonstrationError: as `read_demonstrations`.
    """
    from trainer.data.demonstrations import read_demonstrations
    from trainer.data.demonstrations.episode import moving
    from trainer.data.demonstrations.joined import join
    from trainer.data.shares import shares_of

    shares_of(weights, len(demos))
    sets, said = [], list[str]()
    for path, (here, meaning) in zip(demos, sets_here(demos, mappings), strict=True):
        read = read_demonstrations(
            here, count, mapping=meaning, ranges=ranges, frames=frames, progress=progress, draw=draw
        )
        demonstrations, left_out = moving(read, path)
        said += [left_out] if left_out else []
        sets.append(demonstrations)
    joined, renamed = join(demos, sets, weights, rate_hz)
    return joined, said + renamed


def sets_here(demos: Sequence[Path], mappings: Sequence[Path]) -> "list[tuple[Path, Mapping | None]]":
    """Where each set lies here, those on the Hub fetched, and what its columns mean.

    Raises:
        ConfigError: the mappings are too few or too many, or one can't be read.
        HubError: a set can't be fetched.
    """
    from trainer.data.demonstrations.mapping.mapping_file import read_mapping

    here = [demonstrations_here(path) for path in demos]
    return [
        (path, None if mapping is None else read_mapping(mapping))
        for path, mapping in zip(here, _mapping_of_each(here, mappings), strict=True)
    ]


def _mapping_of_each(demos: Sequence[Path], mappings: Sequence[Path]) -> list[Path | None]:
    """The mapping of each set; None where there is none."""
    from trainer.data.demonstrations.formats.simulator import is_simulators

    if len(demos) == 1 and len(mappings) < 2:
        return [*mappings, None][:1]
    needed = [path.is_dir() or not is_simulators(path) for path in demos]
    if not any(needed):
        if mappings:
            raise ConfigError(
                f"--mapping {mappings[0]}: all of --demos are of our simulator and say themselves what they mean; "
                "leave it out"
            )
        return [None] * len(demos)
    if len(mappings) not in (1, sum(needed)):
        raise ConfigError(
            f"--mapping is given {len(mappings)} times, and {sum(needed)} of the {len(demos)} sets need one, which is "
            "all but our simulator's; give one for each of these, in the order of --demos, or one for all"
        )
    given = iter(mappings if len(mappings) > 1 else [mappings[0]] * sum(needed))
    return [next(given, None) if one else None for one in needed]
