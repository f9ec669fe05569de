"""`--config`: a command begins with the settings of another run, and what is given beside it wins."""

import argparse
import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from trainer.recipe.recipe_options import RecipeOptions
from trainer.run_config import Stage, read_config

ConfigFile = Annotated[
    Path | None,
    arg(
        name="config",
        help="folder of a run, or its config.json (recipe.json), whose settings this one begins with; options win.",
    ),
]
_STAGES: dict[str, Stage] = {"pretrain": 1, "adapt": 2}


def with_config_file(command: str, run: Callable[..., None], arguments: Sequence[str]) -> Callable[..., None]:
    """The command, with the settings of the file that its arguments name as its defaults.

    Raises ConfigError where the file can't be read or does not fit.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config", type=Path, nargs="?")
    path = parser.parse_known_args(arguments)[0].config
    # Without a file the command itself says what is missing.
    if path is None or command not in (*_STAGES, "train"):
        return run
    if command == "train":
        return functools.partial(run, options=RecipeOptions.read(path))
    config, missing = read_config(path, _STAGES[command])
    if missing:
        print(f"{path} does not say {', '.join(missing)}: taken at their defaults", file=sys.stderr, flush=True)
    return functools.partial(run, config=config)
