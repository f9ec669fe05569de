"""A policy's server in a process of its own."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def policy_server(checkpoint: Path, *arguments: str) -> Iterator[str]:
    """The URL of `trainer serve` for a checkpoint or a run folder, on the CPU."""
    with tempfile.TemporaryDirectory(prefix="headstart-serve-") as folder:
        ready = Path(folder) / "url"
        command = [sys.executable, "-m", "trainer", "serve", str(checkpoint), "--port", "0", "--device", "cpu"]
        process = subprocess.Popen([*command, "--ready-file", str(ready), *arguments])
        try:
            while not ready.exists():
                if process.poll() is not None:
                    raise SystemExit("the server ended")
                time.sleep(0.05)
            yield ready.read_text().strip()
        finally:
            process.terminate()
            process.wait()
