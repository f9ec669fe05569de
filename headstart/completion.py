"""`headstart completion SHELL`: prints what completes the command, written by shtab from the commands' own parsers."""

import argparse
import importlib
import warnings
from collections.abc import Sequence
from typing import cast

import shtab

from headstart.commands import COMMANDS
from shared.errors import ConfigError

_USAGE = """headstart completion bash|zsh|tcsh prints what completes `headstart`; for bash, for example:

  headstart completion bash > ~/.local/share/bash-completion/completions/headstart"""


def run(arguments: Sequence[str]) -> int:
    """Prints the completion of one shell. Returns 0."""
    if list(arguments) in ([], ["-h"], ["--help"]):
        print(_USAGE)
        return 0
    if len(arguments) > 1 or arguments[0] not in shtab.SUPPORTED_SHELLS:
        raise ConfigError(f"headstart completion takes one of {', '.join(shtab.SUPPORTED_SHELLS)}")
    print(shtab.complete(command_parser(), arguments[0]))
    return 0


def command_parser() -> argparse.ArgumentParser:
    """All commands with their options, of those programs that are installed; for completion, not for parsing."""
    parser = argparse.ArgumentParser(prog="headstart")
    commands = parser.add_subparsers()
    for name in ("doctor", "completion"):
        commands.add_parser(name)
    for command in COMMANDS:
        try:
            of = _service_parser(command.command) if command.program == "services" else _trainer_parser(command.command)
        except ModuleNotFoundError:
            continue
        commands.add_parser(command.name, help=command.summary, parents=[of], add_help=False)
    return parser


def _service_parser(command: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    importlib.import_module(f"services.commands.{command}").add_arguments(parser)
    return parser


def _trainer_parser(command: str) -> argparse.ArgumentParser:
    import tyro

    with warnings.catch_warnings():
        # Deprecated, for tyro now reads command lines without argparse; nothing else of it gives one program's options
        # for the completion of another.
        warnings.simplefilter("ignore", DeprecationWarning)
        return cast(
            argparse.ArgumentParser, tyro.extras.get_parser(importlib.import_module(f"trainer.commands.{command}").run)
        )
