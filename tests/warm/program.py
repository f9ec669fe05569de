"""Says what a process can say of itself, and ends as it is told: what a warm start is compared by."""

import json
import os
import signal
import sys
import time
from pathlib import Path


def _descriptors() -> list[int]:
    """What is open, without the listing itself."""
    return sorted(int(name) for name in os.listdir("/proc/self/fd") if Path(f"/proc/self/fd/{name}").exists())


def main() -> None:
    """Ends with the exit code or the signal that it is given, or waits."""
    about = {
        "arguments": sys.argv[1:],
        "descriptors": _descriptors(),
        "environment": {name: value for name, value in os.environ.items() if name != "_"},
        "folder": os.getcwd(),
        "input": sys.stdin.read(),
        "main": vars(sys.modules["__main__"])["__spec__"].name,
        "name": sys.argv[0],
        "path": sys.path,
        "signals": {name: str(signal.getsignal(getattr(signal, name))) for name in ("SIGINT", "SIGTERM", "SIGHUP")},
    }
    print(json.dumps(about))
    print("and that", file=sys.stderr)
    word, number = sys.argv[1], int(sys.argv[2])
    if word == "exit":
        sys.exit(number)
    if word == "die":
        os.kill(os.getpid(), number)
    if word == "wait":
        Path(sys.argv[3]).write_text(str(os.getpid()))
        time.sleep(600)


if __name__ == "__main__":
    main()
