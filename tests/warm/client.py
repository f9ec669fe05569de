"""Takes the place of Python where a program is started: has the program's server fork, and ends as the fork ends.

Imports little, since it is started for each command.
"""

import contextlib
import itertools
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
_SPAWNED = "from multiprocessing.spawn import spawn_main"
"""What multiprocessing starts its processes with begins so."""


def main(server: str, modules: Sequence[str], python: str, arguments: Sequence[str]) -> None:
    """Runs Python's command line, and ends this process as it ends.

    Args:
        server: socket of the server.
        modules: what the server starts. Whatever isn't `-m` and one of them, nor a process of multiprocessing, is left
            to the real Python.
        python: what the program starts further Pythons with (sys.executable).
        arguments: the command line after `python`.
    """
    flags = list(itertools.takewhile(lambda word: word not in ("-c", "-m") and word.startswith("-"), arguments))
    option, what, *rest = [*arguments[len(flags) :], "", ""]
    is_module = option == "-m" and what in modules and set(flags) <= {"-u"}
    if not is_module and not (option == "-c" and what.startswith(_SPAWNED)):
        os.execv(sys.executable, [sys.executable, *arguments])
    # Until there is a process that they can be passed on to.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
    descriptors = _inherited_descriptors()
    request = {
        "arguments": rest[:-2],
        "blocked": [int(number) for number in blocked],
        "code": "" if is_module else what,
        "descriptors": descriptors,
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "ignored": [int(number) for number in PASSED_ON if signal.getsignal(number) is signal.SIG_IGN],
        "module": what if is_module else "",
        "python": python,
        "unbuffered": "-u" in flags,
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
