"""`python -m trainer pretrain`."""

import sys
from pathlib import Path

from tyro.conf import OmitArgPrefixes

from trainer.commands.training_run import Overwrite, Resume, claim, say_trained
from trainer.config import PretrainConfig
from trainer.progress import progress
from trainer.settings import check_number


def run(
    data: str,
    out: Path,
    config: OmitArgPrefixes[PretrainConfig] = PretrainConfig(),  # noqa: B008
    action_range: Path | None = None,
    mapping: Path | None = None,
    init_from: Path | None = None,
    cache_gb: float = 100.0,
    ahead: bool = True,
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """Stage 1: pretrain a head on trajectories, finished or still being made.

    Args:
        data: dataset directory, its URI (s3://bucket/prefix), or job URL (http://host:8000/v1/jobs/ID).
        out: run folder.
        config: settings.
        action_range: JSON or demonstrations whose range replaces the dataset's.
        mapping: of those demonstrations, if they aren't our simulator's.
        init_from: Stage-1 checkpoint or run folder whose weights a new run begins with.
        cache_gb: of shards kept on the disk, once as they came and once decoded; what is dropped is fetched again.
        ahead: decode shards ahead of their use, in a thread of its own; the training is the same.
    """
    check_number("--cache-gb", cache_gb, above=0)
    from shared.remote_dataset import open_dataset
    from trainer.commands.action_range import read_action_range
    from trainer.stages.pretrain import pretrain
    from trainer.training.ranks import Ranks

    with Ranks.joined() as ranks:
        claim(out, resume, overwrite, ranks)
        cache_bytes = cache_gb * 1e9
        source = open_dataset(data, cache=out.parent / "shards", tell=_say, max_bytes=cache_bytes)
        ranges = read_action_range(action_range, mapping)
        with progress("pretrain") as report:
            checkpoint = pretrain(
                out,
                source,
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


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
