"""`python -m trainer basis`."""

import tempfile
from pathlib import Path

from tyro.conf import OmitArgPrefixes

from trainer.config import HeadConfig, PretrainConfig
from trainer.settings import check_number


def run(
    data: str,
    out: Path,
    head: OmitArgPrefixes[HeadConfig] = HeadConfig(),  # noqa: B008
    directions: int | None = None,
) -> None:
    """Learn the motion basis of a dataset, once it is whole: for policies that have no Stage 1.

    Args:
        data: dataset directory, its URI (s3://bucket/prefix), or job URL (http://host:8000/v1/jobs/ID).
        out: file to write.
        head: whose windows it is of: horizon, observation and action steps, and action count.
        directions: to project onto; by default as many as the trajectories need.
    """
    check_number("--directions", directions, 0)
    import torch

    from shared.remote_dataset import open_dataset
    from trainer.data.motion_basis import MotionBasis, write_basis
    from trainer.data.normalization import ActionNormalizer
    from trainer.data.trajectories.dataset_batches import dataset_batches

    out.parent.mkdir(parents=True, exist_ok=True)
    source = open_dataset(data, cache=out.parent / "shards")
    normalizer = ActionNormalizer(source.header.action_range, head.action)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        config = PretrainConfig(head=head, condition="none")
        stream = dataset_batches(source, Path(folder), normalizer, config, torch.device("cpu"), ahead=False)
        basis = MotionBasis.learn(stream.motion_windows(source.header.shards), normalizer, directions)
    write_basis(out, basis)
    print(f"{basis.kept} of {basis.horizon} directions carry {basis.windows:,} windows: {out}")
