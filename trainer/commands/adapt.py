"""`python -m trainer adapt`."""

from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import OmitArgPrefixes

from shared.errors import ConfigError
from trainer.commands.config_file import ConfigFile
from trainer.commands.training_run import Overwrite, Resume, claim, say_trained
from trainer.config import AdaptConfig
from trainer.progress import Progress, progress
from trainer.settings import check_number

if TYPE_CHECKING:
    from shared.follow import ShardSource
    from trainer.data.action import ActionRange
    from trainer.data.demonstrations.episode import Demonstrations
    from trainer.data.demonstrations.formats.frame_cache import FrameCache


def run(
    demos: Path,
    out: Path,
    config: OmitArgPrefixes[AdaptConfig] = AdaptConfig(),  # noqa: B008
    count: int | None = None,
    draw: int | None = None,
    stage1: Path | None = None,
    backbone: Path | None = None,
    action_range: Path | None = None,
    basis: Path | None = None,
    mapping: Path | None = None,
    copies: str | None = None,
    replayed: Path | None = None,
    frames: Path | None = None,
    frames_gb: float = 50.0,
    vision: Path | None = None,
    init_from: Path | None = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    config_file: ConfigFile = None,
) -> None:
    """Stage 2: adapt a pretrained head to demonstrations, or train one of the baselines on them.

    Args:
        demos: demonstrations: our simulator's file, a robomimic file, or the folder of a LeRobot data set.
        out: run folder.
        config: settings.
        count: use the first so many demonstrations.
        draw: use so many that this seed draws, instead of the first.
        stage1: run folder or checkpoint of Stage 1; modes that start from it need it.
        backbone: file of Stage 1's backbone, if it isn't in its run's backbones/.
        action_range: where there is no Stage 1: JSON or demonstrations that say the range of actions.
        basis: motion basis that `python -m trainer basis` wrote; by default Stage 1's, or the demonstrations' own.
        mapping: what the columns of the demonstrations mean (.toml or .json, docs/your-data.md), if they aren't our
            simulator's.
        copies: copies of the demonstrations to train on beside them, while they are made, too: what
            `python -m trainer copies` wrote, or the directory or job's URL of a dataset that was made of their motions.
        replayed: what `python -m trainer replay --out` wrote of these copies: those that failed are not trained on.
        frames: folder that pictures are decoded to, shared by runs; by default frames/ beside the run's folder.
        frames_gb: most gigabytes in it.
        vision: run folder of a policy with the same cameras, whose networks are taken over, frozen: pictures become
            features once, and training costs as little as without them.
        init_from: policy or run folder whose weights a new run begins with, instead of Stage 1.
    """
    check_number("--count", count, 1)
    check_number("--draw", draw, 0)
    check_number("--frames-gb", frames_gb, above=0)
    from trainer.commands.action_range import read_action_range
    from trainer.data.demonstrations.formats.frame_cache import FrameCache
    from trainer.data.motion_basis import read_basis
    from trainer.stages.adapt import adapt
    from trainer.training.checkpoint import read_info
    from trainer.training.ranks import Ranks

    with Ranks.joined() as ranks:
        claim(out, resume, overwrite, ranks)
        source, failed = _copies(copies, replayed, out / "shards")
        ranges, begun = read_action_range(action_range, mapping), stage1 or init_from
        known = read_info(begun).action_range if begun else ranges
        cache = FrameCache(frames or out.parent / "frames", int(frames_gb * 1e9))
        with progress("adapt") as report:
            # Those that leave the range are dropped later, by what they are after resampling.
            checked = None if config.drop_outside else known
            checkpoint = adapt(
                out,
                _demonstrations(demos, count, draw, mapping, checked, cache, report),
                config,
                stage1=stage1,
                backbone=backbone,
                action_range=ranges,
                basis=None if basis is None else read_basis(basis),
                copies=source,
                left_out=failed,
                vision=vision,
                init_from=init_from,
                features=cache.folder / "features",
                overwrite=overwrite,
                progress=report,
                ranks=ranks,
            )
        say_trained(out, checkpoint, ranks)


def _copies(copies: str | None, replayed: Path | None, cache: Path) -> "tuple[ShardSource | None, frozenset[int]]":
    """The dataset of copies, and the ids of those that failed."""
    from trainer.data.copies.opening import failed_copies, open_copies

    if copies is None:
        if replayed is not None:
            raise ConfigError("--replayed is of copies: give --copies, too, or leave it out")
        return None, frozenset()
    source = open_copies(copies, cache)
    return source, frozenset() if replayed is None else failed_copies(replayed, source)


def _demonstrations(
    demos: Path,
    count: int | None,
    draw: int | None,
    mapping: Path | None,
    ranges: "ActionRange | None",
    frames: "FrameCache",
    report: Progress,
) -> "Demonstrations":
    """Those that move; says where others are left out."""
    from trainer.data.demonstrations import read_demonstrations
    from trainer.data.demonstrations.episode import moving
    from trainer.data.demonstrations.mapping.mapping_file import read_mapping

    meaning = read_mapping(mapping) if mapping else None
    read = read_demonstrations(demos, count, mapping=meaning, ranges=ranges, frames=frames, progress=report, draw=draw)
    demonstrations, said = moving(read, demos)
    if said:
        print(said)
    return demonstrations
