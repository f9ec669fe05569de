"""Says what a process can say of itself, and ends as it is told: what a warm start is compared by."""

import json
import multiprocessing
import os
import signal
import sys
import time
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any


def _descriptors() -> list[int]:
    """What is open, without the listing itself."""
    return sorted(int(name) for name in os.listdir("/proc/self/fd") if Path(f"/proc/self/fd/{name}").exists())


def _about() -> dict[str, Any]:
    return {
        "arguments": sys.argv[1:],
        "descriptors": _descriptors(),
        "environment": {name: value for name, value in os.environ.items() if name != "_"},
        "folder": os.getcwd(),
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "name": sys.argv[0],
        "path": sys.path,
        "signals": {name: str(signal.getsignal(getattr(signal, name))) for name in ("SIGINT", "SIGTERM", "SIGHUP")},
    }


def _child(writing: Connection) -> None:
    """What a process says that the program started by multiprocessing."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    writing.send(_about() | {"parent": parent.pid})
    sys.exit(7)


def _spawned() -> dict[str, Any]:
    reading, writing = multiprocessing.get_context("spawn").Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=_child, args=(writing,))
    # Its start would let the signal through again.
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
    process.start()
    writing.close()
    said: dict[str, Any] = reading.recv()
    process.join()
    return said | {"code": process.exitcode, "is_own": said.pop("parent") == os.getpid()}


def main() -> None:
    """Ends with the exit code or the signal that it is given, or waits."""
    print(json.dumps(_about() | {"input": sys.stdin.read(), "main": vars(sys.modules["__main__"])["__spec__"].name}))
    print("and that", file=sys.stderr)
    word, number = sys.argv[1], int(sys.argv[2])
    if word == "spawn":
        print(json.dumps(_spawned()))
    if word == "exit":
        sys.exit(number)
    if word == "die":
        os.kill(os.getpid(), number)
    if word == "wait":
        Path(sys.argv[3]).write_text(str(os.getpid()))
        time.sleep(600)


if __name__ == "__main__":
    main()
