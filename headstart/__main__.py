"""`headstart COMMAND ...`: the commands of both programs by one name each.

`headstart COMMAND --help` says what one takes. `python -m services` and `python -m trainer` have the same commands.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

from headstart import completion, doctor
from headstart.commands import COMMANDS, Command
from shared.errors import ConfigError

_OWN = {
    "doctor": "Say what is installed, what is missing and what this machine has.",
    "completion": "Print what completes this command in bash, zsh or tcsh.",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command. Returns its exit code; 2 for an error of the user's."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    name, rest = (given[0], given[1:]) if given else ("--help", [])
    if name in ("-h", "--help"):
        print(_help())
        return 0
    if name == "--version":
        print(f"headstart {version('headstart')}")
        return 0
    try:
        if name == "doctor":
            return doctor.run(rest)
        if name == "completion":
            return completion.run(rest)
        return _run(_found(name), rest)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _run(command: Command, arguments: list[str]) -> int:
    """Runs a command of one of the programs, which reads its arguments as its own `python -m` would."""
    if command.program == "trainer":
        # As the Makefile has it: two processes on two cores beat two threads in each.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        program = importlib.import_module(f"{command.program}.__main__")
        return int(program.main([command.command, *arguments], called=f"headstart {command.name}"))
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in ("services", "trainer", "shared"):
            raise
        raise ConfigError(
            f"headstart {command.name} needs {error.name!r}, which is not installed: "
            f"pip install 'headstart[{command.program}]', or see headstart doctor"
        ) from None


def _found(name: str) -> Command:
    for command in COMMANDS:
        if command.name == name:
            return command
    raise ConfigError(f"there is no command {name!r}; headstart --help lists them")


def _help() -> str:
    """What `headstart --help` prints."""
    lines = [f"  {command.name:<15}{command.summary}" for command in COMMANDS]
    lines += [f"  {name:<15}{summary}" for name, summary in _OWN.items()]
    more = "headstart COMMAND --help says what a command takes."
    return "\n".join(["usage: headstart COMMAND ...", "", *lines, "", more])


if __name__ == "__main__":
    sys.exit(main())
