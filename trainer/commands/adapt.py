"""`python -m trainer adapt`."""

from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import OmitArgPrefixes, UseAppendAction

from shared.errors import ConfigError
from trainer.commands.config_file import ConfigFile
from trainer.commands.demonstration_sets import read_sets, read_weights
from trainer.commands.training_run import Overwrite, Resume, claim, say_trained
from trainer.config import AdaptConfig
from trainer.progress import progress
from trainer.settings import check_number

if TYPE_CHECKING:
    from shared.follow import ShardSource
    from trainer.data.action import ActionRange


def run(
    demos: UseAppendAction[tuple[Path, ...]],
    out: Path,
    config: OmitArgPrefixes[AdaptConfig] = AdaptConfig(),  # noqa: B008
    weights: str | None = None,
    count: int | None = None,
    draw: int | None = None,
    stage1: Path | None = None,
    backbone: Path | None = None,
    action_range: Path | None = None,
    basis: Path | None = None,
    mapping: UseAppendAction[tuple[Path, ...]] = (),
    copies: str | None = None,
    replayed: Path | None = None,
    frames: Path | None = None,
    frames_gb: float = 50.0,
    vision: Path | None = None,
    vision_weights: Path | None = None,
    init_from: Path | None = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    config_file: ConfigFile = None,
) -> None:
    """Stage 2: adapt a pretrained head to demonstrations, or train one of the baselines on them.

    Args:
        demos: demonstrations: our simulator's file, a robomimic file, or the folder of a LeRobot data set; or
            one of these on the Hugging Face Hub: hf://user/name, or hf://user/name@revision. Once for each set, where
            several are mixed.
        out: run folder.
        config: settings.
        weights: of several sets, in their order, with commas: their shares of the windows that are drawn (3,1 is three
            quarters of the first). Equal by default.
        count: use the first so many demonstrations, of each set.
        draw: use so many that this seed draws, instead of the first.
        stage1: run folder or checkpoint of Stage 1; modes that start from it need it.
        backbone: file of Stage 1's backbone, if it isn't in its run's backbones/.
        action_range: where there is no Stage 1: JSON or demonstrations that say the range of actions.
        basis: motion basis that `python -m trainer basis` wrote; by default Stage 1's, or the demonstrations' own.
        mapping: what the columns of the demonstrations mean (.toml or .json, docs/your-data.md), if they aren't our
            simulator's; once for each set that needs one, in their order, or once for all.
        copies: copies of the demonstrations to train on beside them, while they are made, too: what
            `python -m trainer copies` wrote, or the directory or job's URL of a dataset that was made of their motions.
        replayed: what `python -m trainer replay --out` wrote of these copies: those that failed are not trained on.
        frames: folder that pictures are decoded to, shared by runs; by default frames/ beside the run's folder.
        frames_gb: most gigabytes in it.
        vision: run folder of a policy with the same cameras, whose networks are taken over, frozen: pictures become
            features once, and training costs as little as without them.
        vision_weights: file of a ResNet-18's weights as torchvision publishes them, which cameras' networks begin with.
        init_from: policy or run folder whose weights a new run begins with, instead of Stage 1.
    """
    if not demos:
        raise ConfigError("--demos is missing; give a file or folder of demonstrations")
    from trainer.commands.action_range import check_mapping_of_range, read_action_range

    check_mapping_of_range(mapping, action_range)
    given = read_weights(weights)
    check_number("--count", count, 1)
    check_number("--draw", draw, 0)
    check_number("--frames-gb", frames_gb, above=0)
    from trainer.data.demonstrations.formats.frame_cache import FrameCache
    from trainer.data.motion_basis import read_basis
    from trainer.stages.adapt import adapt
    from trainer.training.ranks import Ranks

    with Ranks.joined() as ranks:
        claim(out, resume, overwrite, ranks)
        source, failed = _copies(copies, replayed, out / "shards")
        ranges = read_action_range(action_range, next(iter(mapping), None))
        known, rate = _required(stage1 or init_from, ranges, config)
        cache = FrameCache(frames or out.parent / "frames", int(frames_gb * 1e9))
        with progress("adapt") as report:
            demonstrations, said = read_sets(
                demos, mapping, given, count=count, draw=draw, ranges=known, rate_hz=rate, frames=cache, progress=report
            )
            print("\n".join(said), end="\n" if said else "")
            checkpoint = adapt(
                out,
                demonstrations,
                config,
                stage1=stage1,
                backbone=backbone,
                action_range=ranges,
                basis=None if basis is None else read_basis(basis),
                copies=source,
                left_out=failed,
                vision=vision,
                vision_weights=vision_weights,
                init_from=init_from,
                features=cache.folder / "features",
                overwrite=overwrite,
                progress=report,
                ranks=ranks,
            )
        say_trained(out, checkpoint, ranks)


def _required(
    begun: Path | None, ranges: "ActionRange | None", config: AdaptConfig
) -> "tuple[ActionRange | None, float | None]":
    """What demonstrations must be: inside the action range, and several sets at one rate, as far as it is known."""
    from trainer.training.checkpoint import read_info

    info = read_info(begun) if begun else None
    # Where those that leave the range are dropped, that is later, by what they are after resampling.
    known = None if config.drop_outside else info.action_range if info else ranges
    return known, info.rate_hz if info and config.resample else None


def _copies(copies: str | None, replayed: Path | None, cache: Path) -> "tuple[ShardSource | None, frozenset[int]]":
    """The dataset of copies, and the ids of those that failed."""
    from trainer.data.copies.opening import failed_copies, open_copies

    if copies is None:
        if replayed is not None:
            raise ConfigError("--replayed is of copies: give --copies, too, or leave it out")
        return None, frozenset()
    source = open_copies(copies, cache)
    return source, frozenset() if replayed is None else failed_copies(replayed, source)
