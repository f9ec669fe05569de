"""A policy or head from the Hub as a run's folder, checked to be the one that was asked for."""

import os
import shutil
from pathlib import Path

from shared.errors import ConfigError, HubError
from trainer import tensor_file
from trainer.hub import HubAddress, policy_here
from trainer.training.checkpoint import find_checkpoint, load_checkpoint


def fetch_policy(address: HubAddress, out: Path, sha256: str | None = None) -> Path:
    """Fetches a repository's latest checkpoint and its backbone, and returns the checkpoint's path in `out`.

    Args:
        address: of the repository, at a revision or at its main branch.
        out: run folder; one that holds another checkpoint is left as it is.
        sha256: of the checkpoint's file or of its backbone's, which must be there.

    Raises:
        HubError: it can't be fetched, or is not the one with this hash.
        CheckpointError: it holds none, or it is damaged.
        ConfigError: `out` holds another.
    """
    source = find_checkpoint(policy_here(Path(str(address))))
    # All of it: a backbone must be what its name says.
    _, info = load_checkpoint(source)
    named = tensor_file.sha256(source.read_bytes())
    if sha256 is not None and sha256.lower() not in (named, info.backbone):
        backbone = f", its backbone {info.backbone}" if info.backbone else ""
        raise HubError(f"{address} holds checkpoint {named}{backbone}; neither is {sha256}")
    target = out / "checkpoints" / source.name
    others = [path.name for path in target.parent.glob("step-*.safetensors") if path != target]
    if others or (target.exists() and tensor_file.sha256(target.read_bytes()) != named):
        raise ConfigError(f"{out} holds another checkpoint; choose another --out")
    if info.backbone is not None:
        # First: a checkpoint without it would be half a policy.
        _copy(source.parent.parent / "backbones" / f"{info.backbone}.safetensors", out)
    _copy(source, out)
    return target


def _copy(file: Path, out: Path) -> None:
    """Copies a file of a run's folder into that of another."""
    target = out / file.parent.name / file.name
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    shutil.copyfile(file, part)
    part.replace(target)
