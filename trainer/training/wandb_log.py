"""A run's metrics at Weights & Biases, by its own client: `--wandb`, with the optional package `wandb`.

The scalars and the run's settings are given to it, and nothing else that it could collect. Where they go is said as
always with that client: `wandb login`, WANDB_PROJECT, WANDB_ENTITY, WANDB_MODE=offline.
"""

import importlib.util
import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path

from shared.errors import ConfigError
from trainer.config import TrainingConfig
from trainer.tensor_file import publish

_PROJECT = "headstart"
_ID = "wandb-id"


def check_wandb(config: TrainingConfig) -> None:
    """Raises ConfigError where it is asked for and its package is not installed."""
    if config.wandb and importlib.util.find_spec("wandb") is None:
        raise ConfigError(
            "--wandb needs the package 'wandb', which is not installed: pip install 'headstart[wandb]', or leave "
            "--wandb out"
        )


class WandbLog:
    """One run there for one run's folder, whose id lies in the folder: a resumed run goes on with it."""

    def __init__(self, folder: Path) -> None:
        """Begins it. Raises ConfigError where the client can't, for instance for want of a login."""
        # Before it is imported, which is late: it takes seconds.
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        path = folder / _ID
        if not path.exists():
            publish(path, uuid.uuid4().hex.encode())
        offline = os.environ.get("WANDB_MODE") == "offline"
        settings = wandb.Settings(
            silent=True,
            console="off",
            save_code=False,
            disable_git=True,
            x_save_requirements=False,
            x_disable_meta=True,
            x_disable_stats=True,
            x_disable_machine_info=True,
            host="",
        )
        try:
            self._run = wandb.init(
                project=os.environ.get("WANDB_PROJECT", _PROJECT),
                name=os.environ.get("WANDB_NAME", folder.resolve().name),
                id=path.read_text(),
                dir=folder,
                config=json.loads((folder / "config.json").read_text()),
                resume=None if offline else "allow",
                settings=settings,
            )
        except wandb.errors.Error as error:
            raise ConfigError(
                f"--wandb: {error}; WANDB_MODE=offline keeps it in {folder}, for `wandb sync`, and --resume goes on "
                "without --wandb, too"
            ) from error

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Numbers of a step."""
        # A resumed run repeats steps with the same numbers; those are left out there.
        self._run.log(dict(scalars), step=step)

    def close(self) -> None:
        """Hands over what is left."""
        self._run.finish()
