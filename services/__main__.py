"""Command line of the service: `python -m services generate | serve | audit | report | export`."""

import argparse
import sys
from collections.abc import Sequence

from services.memory import use_one_allocator
from shared.errors import HeadstartError


def main(arguments: Sequence[str] | None = None, called: str | None = None) -> int:
    """Runs a command. Returns the exit code: 0, 1 if an audit found violations, 2 for an error of the user's.

    Args:
        arguments: the command and what it takes; by default this process's.
        called: how the command was called, for its help, if not by `python -m services`.
    """
    use_one_allocator()
    try:
        # Here, where Ctrl-C is awaited: Pinocchio, Numba and the rest take a second or two to import.
        options = command_parser(called).parse_args(arguments)
        return int(options.run(options))
    except HeadstartError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def command_parser(called: str | None = None) -> argparse.ArgumentParser:
    """Reads the command line; `called` is as in `main`."""
    from services.commands import audit, export, generate, report, serve

    parser = argparse.ArgumentParser(prog="python -m services", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in (generate, serve, audit, report, export):
        summary = (command.__doc__ or "").splitlines()[0]
        name = command.__name__.rpartition(".")[2]
        one = commands.add_parser(name, help=summary, description=summary, prog=called)
        command.add_arguments(one)
        one.set_defaults(run=command.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
