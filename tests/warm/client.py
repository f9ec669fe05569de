"""Takes the place of Python where a program is started: has the program's server fork, and ends as the fork ends.

Imports little, since it is started for each command.
"""

import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Sequence
from types import FrameType

PASSED_ON = {
    signal.SIGINT: signal.SIGINT,
    signal.SIGTERM: signal.SIGTERM,
    signal.SIGHUP: signal.SIGHUP,
    signal.SIGQUIT: signal.SIGKILL,
}
"""What the fork is sent for what this process is sent."""


def main(server: str, modules: Sequence[str], python: str, arguments: Sequence[str]) -> None:
    """Runs Python's command line, and ends this process as it ends.

    Args:
        server: socket of the server.
        modules: what the server starts. Whatever isn't `-m` and one of them is left to the real Python.
        python: what the program starts further Pythons with (sys.executable).
        arguments: the command line after `python`.
    """
    unbuffered = list(arguments[:1]) == ["-u"]
    option, module, *rest = [*arguments[unbuffered:], "", ""]
    if option != "-m" or module not in modules:
        os.execv(sys.executable, [sys.executable, *arguments])
    # Until there is a process that they can be passed on to.
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
    descriptors = _inherited_descriptors()
    request = {
        "arguments": rest[:-2],
        "descriptors": descriptors,
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "ignored": [int(number) for number in PASSED_ON if signal.getsignal(number) is signal.SIG_IGN],
        "module": module,
        "python": python,
        "unbuffered": unbuffered,
    }
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(server)
        body = json.dumps(request).encode()
        socket.send_fds(connection, [len(body).to_bytes(8, "big")], descriptors)
        connection.sendall(body)
        answers = connection.makefile("r")
        process = _number(answers.readline())

        def pass_on(number: int, frame: FrameType | None) -> None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, PASSED_ON[signal.Signals(number)])

        for number in PASSED_ON:
            signal.signal(number, pass_on)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
        code = _number(answers.readline())
    if code < 0:
        with contextlib.suppress(OSError):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def _number(answer: str) -> int:
    if not answer:
        sys.exit("the server of warm starts has ended; server.log beside its socket says why")
    return int(answer)


def _inherited_descriptors() -> list[int]:
    """This process's input, output and errors, and what else it was started with."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        # The listing's own is closed by now.
        with contextlib.suppress(OSError):
            if os.get_inheritable(int(name)):
                found.append(int(name))
    return sorted(found)
