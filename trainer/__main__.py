"""`python -m trainer`: pretrain, adapt, evaluate, serve and export policies, or run the whole recipe with train.

Demonstrations are made by demonstrate, given pictures by render, checked by inspect and described by summarize; motions
takes out of them what the service makes copies of, and copies asks it for them. Replay commands such copies in the
simulator, to see which of them do the task.

Errors that a user can mend are printed as one line, with exit code 2. Ctrl-C, SIGTERM and SIGHUP save first; exit code
130.
"""

import importlib
import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType

from shared.errors import HeadstartError

COMMANDS = (
    "serve", "train", "pretrain", "basis", "adapt", "inspect", "demonstrate", "render", "motions", "copies", "replay",
    "summarize", "evaluate", "export",
)  # fmt: skip
"""Modules of trainer.commands, each with a function `run`."""


def main(arguments: Sequence[str] | None = None, called: str | None = None) -> int:
    """Runs one command and returns the exit code.

    Args:
        arguments: the command and what it takes; by default this process's.
        called: how the command was called, for its help, if not by `python -m trainer`.
    """
    # Steps of a recipe are ended by SIGTERM, and a closed terminal sends SIGHUP: both mean what Ctrl-C means.
    for number in (signal.SIGTERM, signal.SIGHUP):
        # Ignored by whoever started this, as by nohup: then it stays so.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _run(given, called)
    except KeyboardInterrupt:
        training = given[:1] in (["pretrain"], ["adapt"])
        print(f"stopped; the same command{' with --resume' if training else ''} goes on from here", file=sys.stderr)
        return 130
    except (HeadstartError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _run(given: list[str], called: str | None) -> None:
    # Here, where Ctrl-C is awaited: PyTorch and the rest take seconds to import.
    import tyro

    if called is not None:
        tyro.cli(_function(given[0], given[1:]), prog=called, args=given[1:])
        return
    app = tyro.extras.SubcommandApp()
    for name in COMMANDS:
        app.command(name=name)(_function(name, given[1:] if given[:1] == [name] else []))
    app.cli(prog="python -m trainer", description=__doc__, args=given)


def _function(name: str, arguments: Sequence[str]) -> Callable[..., None]:
    """What runs a command with these arguments."""
    from trainer.commands.config_file import with_config_file

    run: Callable[..., None] = importlib.import_module(f"trainer.commands.{name}").run
    return with_config_file(name, run, arguments)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
