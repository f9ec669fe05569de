"""Several policies in one process."""

from collections.abc import Callable, Mapping
from pathlib import Path

from shared.errors import ConfigError
from trainer.deployment.policy import Policy
from trainer.model.frozen_backbones import FrozenBackbones


def load_policies(paths: Mapping[str, Path | str], load: Callable[..., Policy] = Policy.load) -> dict[str, Policy]:
    """Policies by name. Those whose checkpoints name the same frozen backbone share it: it is in memory once.

    Args:
        paths: of each policy's checkpoint or run folder.
        load: `Policy.load`, or it with settings of its own for all of them.

    Raises:
        CheckpointError: one can't be loaded, or is Stage 1's.
        ConfigError: a setting is out of one's range.
    """
    # Gone when all are made, and with it what is as it lies in the files: policies compute with copies.
    backbones = FrozenBackbones()
    policies = dict[str, Policy]()
    for name, path in paths.items():
        try:
            policies[name] = load(path, backbones=backbones)
        except ConfigError as error:
            raise error if len(paths) == 1 else ConfigError(f"policy {name!r}: {error}") from error
    return policies
