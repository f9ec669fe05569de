"""`python -m trainer pretrain`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import OmitArgPrefixes, UseAppendAction

from shared.errors import ConfigError
from trainer.commands.config_file import ConfigFile
from trainer.commands.demonstration_sets import sets_here
from trainer.commands.numbers import read_numbers
from trainer.commands.training_run import Overwrite, Resume, claim, say_trained
from trainer.config import PretrainConfig
from trainer.progress import progress
from trainer.settings import check_number

if TYPE_CHECKING:
    from shared.follow import ShardSource


def run(
    data: UseAppendAction[tuple[str, ...]],
    out: Path,
    config: OmitArgPrefixes[PretrainConfig] = PretrainConfig(),  # noqa: B008
    demos: UseAppendAction[tuple[Path, ...]] = (),
    weights: str | None = None,
    action_range: Path | None = None,
    mapping: UseAppendAction[tuple[Path, ...]] = (),
    count: int | None = None,
    draw: int | None = None,
    init_from: Path | None = None,
    cache_gb: float = 100.0,
    ahead: bool = True,
    resume: Resume = False,
    overwrite: Overwrite = False,
    config_file: ConfigFile = None,
) -> None:
    """Stage 1: pretrain a head on trajectories, finished or still being made, or on recorded motion.

    Args:
        data: dataset directory, its URI (s3://bucket/prefix), or job URL (http://host:8000/v1/jobs/ID); once for each
            dataset.
        out: run folder.
        config: settings.
        demos: demonstrations, as `adapt` takes them, whose motion alone is trained on; once for each data set. They may
            be joined with datasets.
        weights: of several datasets, in their order, those of --data before those of --demos, with commas: their shares
            of the windows that are drawn (3,1 is three quarters of the first). Equal by default.
        action_range: JSON or demonstrations whose range replaces the dataset's; widened by what is recorded.
        mapping: what the columns of demonstrations mean, if they aren't our simulator's: one for all of --demos and for
            --action-range, or one for each of --demos that needs one, in their order.
        count: use the first so many of each --demos.
        draw: use so many that this seed draws, instead of the first; held out are others.
        init_from: Stage-1 checkpoint or run folder whose weights a new run begins with.
        cache_gb: of shards kept on the disk, once as they came and once decoded; what is dropped is fetched again.
        ahead: decode shards ahead of their use, in a thread of its own; the training is the same.
    """
    check_number("--cache-gb", cache_gb, above=0)
    check_number("--count", count, 1)
    check_number("--draw", draw, 0)
    given = None if weights is None else read_numbers("--weights", weights)
    _check_parts(data, demos, config, count, draw)
    _check_mapping(mapping, demos, action_range)
    from shared.remote_dataset import open_dataset
    from trainer.commands.action_range import read_action_range
    from trainer.data.trajectories.joined_datasets import JoinedDatasets
    from trainer.stages.pretrain import pretrain
    from trainer.training.ranks import Ranks

    with Ranks.joined() as ranks:
        claim(out, resume, overwrite, ranks)
        cache_bytes = cache_gb * 1e9
        shards = out.parent / "shards"
        sources = [open_dataset(one, cache=shards, tell=_say, max_bytes=cache_bytes / len(data)) for one in data]
        datasets = JoinedDatasets.of([*sources, *_recorded(demos, mapping, count, draw)], given)
        ranges = read_action_range(action_range, mapping[0] if len(mapping) == 1 else None)
        with progress("pretrain") as report:
            checkpoint = pretrain(
                out,
                datasets,
                config,
                action_range=ranges,
                init_from=init_from,
                cache_bytes=cache_bytes,
                ahead=ahead,
                overwrite=overwrite,
                progress=report,
                ranks=ranks,
            )
        say_trained(out, checkpoint, ranks)


def _check_parts(
    data: Sequence[str], demos: Sequence[Path], config: PretrainConfig, count: int | None, draw: int | None
) -> None:
    """Raises ConfigError where nothing is given to train on, or a setting is of what is not given."""
    if not data and not demos:
        raise ConfigError(
            "--data is missing; give a dataset's directory, its URI, or its job's URL; or demonstrations with --demos"
        )
    if not demos and (count or draw is not None):
        raise ConfigError("--count and --draw are of --demos; give these too, or leave them out")
    if demos and not data and config.validation_share != PretrainConfig().validation_share:
        raise ConfigError("--validation-share is of --data; demonstrations say which are held out: leave it out")


def _check_mapping(mapping: Sequence[Path], demos: Sequence[Path], action_range: Path | None) -> None:
    """Raises ConfigError where a mapping is given and no demonstrations that it could be of."""
    from trainer.commands.action_range import check_mapping_of_range, of_demonstrations

    check_mapping_of_range(mapping, action_range)
    if mapping and not demos and not of_demonstrations(action_range):
        raise ConfigError(
            "--mapping is of --demos, or of demonstrations as --action-range; give these, or leave it out"
        )


def _recorded(
    demos: Sequence[Path], mappings: Sequence[Path], count: int | None, draw: int | None
) -> "list[ShardSource]":
    """The motion of each data set."""
    if not demos:
        return []
    from trainer.data.demonstrations import read_demonstrations
    from trainer.data.demonstrations.episode import moving
    from trainer.data.trajectories.recorded_motion import RecordedMotion

    found: list[ShardSource] = []
    for path, (here, meaning) in zip(demos, sets_here(demos, mappings), strict=True):
        read = read_demonstrations(here, count, mapping=meaning, pictures=False, draw=draw)
        demonstrations, said = moving(read, path)
        if said:
            _say(said)
        found.append(RecordedMotion(demonstrations))
    return found


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
