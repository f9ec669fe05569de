"""`--config`: a command begins with the settings of another run, and what is given beside it wins."""

import argparse
import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from trainer.run_config import Stage, read_config

ConfigFile = Annotated[
    Path | None,
    arg(
        name="config",
        help="config.json or folder of a run whose settings this one begins with; options that are given win.",
    ),
]
STAGES: dict[str, Stage] = {"pretrain": 1, "adapt": 2}
"""Commands that take it."""


def with_config_file(command: str, run: Callable[..., None], arguments: Sequence[str]) -> Callable[..., None]:
    """The command, with the settings of the file that its arguments name as its defaults.

    Raises ConfigError where the file can't be read or does not fit.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config", type=Path, nargs="?")
    path = parser.parse_known_args(arguments)[0].config
    # Without a file the command itself says what is missing.
    if path is None or command not in STAGES:
        return run
    config, missing = read_config(path, STAGES[command])
    if missing:
        print(f"{path} does not say {', '.join(missing)}: taken at their defaults", file=sys.stderr, flush=True)
    return functools.partial(run, config=config)
