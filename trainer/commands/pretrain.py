"""`python -m trainer pretrain`."""

import sys
from pathlib import Path

from tyro.conf import OmitArgPrefixes, UseAppendAction

from shared.errors import ConfigError
from trainer.commands.config_file import ConfigFile
from trainer.commands.training_run import Overwrite, Resume, claim, say_trained
from trainer.config import PretrainConfig
from trainer.progress import progress
from trainer.settings import check_number


def run(
    data: UseAppendAction[tuple[str, ...]],
    out: Path,
    config: OmitArgPrefixes[PretrainConfig] = PretrainConfig(),  # noqa: B008
    weights: str | None = None,
    action_range: Path | None = None,
    mapping: Path | None = None,
    init_from: Path | None = None,
    cache_gb: float = 100.0,
    ahead: bool = True,
    resume: Resume = False,
    overwrite: Overwrite = False,
    config_file: ConfigFile = None,
) -> None:
    """Stage 1: pretrain a head on trajectories, finished or still being made.

    Args:
        data: dataset directory, its URI (s3://bucket/prefix), or job URL (http://host:8000/v1/jobs/ID); once for each
            dataset, needed at least once.
        out: run folder.
        config: settings.
        weights: of several datasets, in their order, with commas: their shares of the windows that are drawn (3,1 is
            three quarters of the first). Equal by default.
        action_range: JSON or demonstrations whose range replaces the dataset's.
        mapping: of those demonstrations, if they aren't our simulator's.
        init_from: Stage-1 checkpoint or run folder whose weights a new run begins with.
        cache_gb: of shards kept on the disk, once as they came and once decoded; what is dropped is fetched again.
        ahead: decode shards ahead of their use, in a thread of its own; the training is the same.
    """
    check_number("--cache-gb", cache_gb, above=0)
    given = None if weights is None else _numbers("--weights", weights)
    if not data:
        raise ConfigError("--data is missing; give a dataset's directory, its URI, or its job's URL")
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
        datasets = JoinedDatasets.of(sources, given)
        ranges = read_action_range(action_range, mapping)
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


def _numbers(name: str, text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(f"{name} is {text!r}; it must be numbers with commas between them, such as 3,1") from None


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
