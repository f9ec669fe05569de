"""Command line of the service: `python -m services generate | serve | audit | report | export`."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from services.memory import use_one_allocator
from shared.errors import HeadstartError

COMMANDS = ("generate", "serve", "audit", "report", "export")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command. Returns the exit code: 0, 1 if an audit found violations, 2 for an error of the user's."""
    use_one_allocator()
    try:
        given = sys.argv[1:] if arguments is None else arguments
        parser = argparse.ArgumentParser(prog="python -m services", description=__doc__)
        commands = parser.add_subparsers(required=True, metavar="command")
        # What is not asked for is not imported: Pinocchio, Numba and the rest take a second or two.
        for name in given[:1] if given and given[0] in COMMANDS else COMMANDS:
            # Here, where Ctrl-C is awaited.
            command = importlib.import_module(f"services.commands.{name}")
            summary = (command.__doc__ or "").splitlines()[0]
            one = commands.add_parser(name, help=summary, description=summary)
            command.add_arguments(one)
            one.set_defaults(run=command.run)
        options = parser.parse_args(given)
        return int(options.run(options))
    except HeadstartError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
