"""Command line of the service: `python -m services generate | serve | audit | report | export`."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from services.memory import use_one_allocator
from shared.errors import HeadstartError

COMMANDS = ("generate", "serve", "audit", "report", "export")


def main(arguments: Sequence[str] | None = None, called: str | None = None) -> int:
    """Runs a command. Returns the exit code: 0, 1 if an audit found violations, 2 for an error of the user's.

    Args:
        arguments: the command and what it takes; by default this process's.
        called: how the command was called, for its help, if not by `python -m services`.
    """
    use_one_allocator()
    try:
        # Here, where Ctrl-C is awaited.
        given = list(sys.argv[1:] if arguments is None else arguments)
        options = _parser(given[:1], called).parse_args(given)
        return int(options.run(options))
    except HeadstartError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser(asked: Sequence[str], called: str | None) -> argparse.ArgumentParser:
    """What reads the command line. Imports no more than is asked for: Pinocchio and Numba take a second or two."""
    parser = argparse.ArgumentParser(prog="python -m services", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    for name in asked if set(asked) & set(COMMANDS) else COMMANDS:
        command = importlib.import_module(f"services.commands.{name}")
        summary = (command.__doc__ or "").splitlines()[0]
        one = commands.add_parser(name, help=summary, description=summary, prog=called)
        command.add_arguments(one)
        one.set_defaults(run=command.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
