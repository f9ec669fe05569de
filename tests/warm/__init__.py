"""Python with a program's modules imported already, for tests that start the program many times.

`python -m trainer` spends some four seconds of a core on importing PyTorch and what is around it. Here one process
imports that once, and is forked for each start (`server.py`; `client.py` stands in Python's place). A start is
otherwise what it would be: a process of its own, in a session of its own, with its arguments, working folder,
environment, open files, signals and exit code. What only the real Python shows is left to tests that start it: what a
program imports, and variables that are read as it is imported, such as OMP_NUM_THREADS. What the program starts by
`multiprocessing` is forked from the same process.
"""

import atexit
import functools
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

KILL = signal.SIGQUIT
"""What to send in SIGKILL's place, which would end Python's stand-in first and the program a moment later."""

_ENVIRONMENT = {"services": {"ARROW_DEFAULT_MEMORY_POOL": "system"}}
"""What the program sets before it imports."""
MODULES = {"trainer": ("trainer", "torch.distributed.run", "tests.trainer.signalled_rank")}
"""What a program's server starts, if not the program alone."""

_ROOT = Path(__file__).resolve().parents[2]
_PYTHON = """#!{executable} -IS
import sys

sys.path.insert(0, {here!r})
import client

client.main({server!r}, {modules!r}, __file__, sys.argv[1:])
"""


@functools.cache
def python(program: str) -> str:
    """What to start instead of Python, until this process ends: its `-m PROGRAM` starts warm, and so do MODULES.

    Args:
        program: one of `server.IMPORTED`.
    """
    folder = Path(tempfile.mkdtemp(prefix="headstart-warm-"))
    server, path = folder / "socket", folder / "python"
    values = {"executable": sys.executable, "here": str(Path(__file__).parent), "server": str(server)}
    path.write_text(_PYTHON.format(**values, modules=MODULES.get(program, (program,))))
    path.chmod(0o755)
    with (folder / "server.log").open("wb") as log:
        command = [sys.executable, "-m", "tests.warm.server", program, str(server)]
        environment = os.environ | _ENVIRONMENT.get(program, {})
        process = subprocess.Popen(command, cwd=_ROOT, env=environment, stdin=subprocess.PIPE, stdout=log, stderr=log)
    # It ends with its input: with this process at the latest, which may be one of xdist's, and those end without this.
    atexit.register(process.communicate)
    while not server.exists():
        assert process.poll() is None, (folder / "server.log").read_text()
        time.sleep(0.01)
    return str(path)
