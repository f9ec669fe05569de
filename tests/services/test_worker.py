"""Processes beside this one: started so that Ctrl-C is held back from them."""

import signal
import subprocess
import sys
from multiprocessing.connection import Connection

from services.engine.worker import Child
from tests.services.example import ROOT


def say_what_is_blocked(connection: Connection) -> None:
    connection.send([int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())])


def main() -> None:
    children = [Child(say_what_is_blocked) for _ in range(2)]
    print([child.take() for child in children])
    print([int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())])


def test_ctrl_c_is_held_back_from_every_child_the_first_too() -> None:
    # In a process of its own, whose first child is a first one.
    script = "from tests.services.test_worker import main; main()"
    said = subprocess.check_output([sys.executable, "-W", "ignore", "-c", script], cwd=ROOT, text=True)
    assert said.splitlines() == ["[[2], [2]]", "[]"]
