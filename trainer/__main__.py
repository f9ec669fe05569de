"""`python -m trainer`: pretrain, adapt, evaluate, serve and export policies, or run the whole recipe with train.

Demonstrations are made by demonstrate, given pictures by render, checked by inspect and described by summarize; motions
takes out of them what the service makes copies of, and copies asks it for them. Replay commands such copies in the
simulator, to see which of them do the task.

Errors that a user can mend are printed as one line, with exit code 2. Ctrl-C, SIGTERM and SIGHUP save first; exit code
130.
"""

import signal
import sys
from types import FrameType

from shared.errors import HeadstartError


def main() -> int:
    """Runs one command and returns the exit code."""
    # Steps of a recipe are ended by SIGTERM, and a closed terminal sends SIGHUP: both mean what Ctrl-C means.
    for number in (signal.SIGTERM, signal.SIGHUP):
        # Ignored by whoever started this, as by nohup: then it stays so.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    try:
        # Here, where Ctrl-C is awaited: PyTorch and the rest take seconds to import.
        from tyro.extras import SubcommandApp

        from trainer.commands import (
            adapt,
            basis,
            copies,
            demonstrate,
            evaluate,
            export,
            inspect,
            motions,
            pretrain,
            render,
            replay,
            serve,
            summarize,
            train,
        )

        app = SubcommandApp()
        for command in (
            serve,
            train,
            pretrain,
            basis,
            adapt,
            inspect,
            demonstrate,
            render,
            motions,
            copies,
            replay,
            summarize,
            evaluate,
            export,
        ):
            app.command(name=command.__name__.rpartition(".")[2])(command.run)
        app.cli(prog="python -m trainer", description=__doc__)
    except KeyboardInterrupt:
        training = len(sys.argv) > 1 and sys.argv[1] in ("pretrain", "adapt")
        print(f"stopped; the same command{' with --resume' if training else ''} goes on from here", file=sys.stderr)
        return 130
    except (HeadstartError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
