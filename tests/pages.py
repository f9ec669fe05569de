"""The documentation's commands and code, as its tests read and run them."""

import os
import re
import shlex
import socket
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests import warm

ROOT = Path(__file__).resolve().parent.parent
_WARM = {
    ".venv/bin/python -m services": ("services", "services"),
    ".venv/bin/python -m trainer": ("trainer", "trainer"),
    ".venv/bin/torchrun": ("trainer", "torch.distributed.run"),
}
"""What a page's command begins with: whose server starts it, and which module."""


def all_pages() -> list[str]:
    """Every page, by its path in the repository."""
    return [
        "README.md",
        "examples/README.md",
        *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").rglob("*.md"))),
    ]


def blocks(page: str, language: str) -> list[str]:
    """The page's fenced blocks of a language."""
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    return found


def commands(page: str) -> list[str]:
    """The commands of a page's sh blocks, continuation lines joined."""
    joined = "\n".join(blocks(page, "sh")).replace("\\\n", " ")
    return [line.strip() for line in joined.splitlines() if line.strip() and not line.startswith("#")]


def runnable(text: str, is_warm: bool = True) -> str:
    """Commands as they run in another folder than the repository's: with this environment's programs, warm or not."""
    for name, (program, module) in _WARM.items():
        if is_warm and name in text:
            text = text.replace(name, f"{warm.python(program)} -m {module}")
    return text.replace(".venv/bin/", f"{sysconfig.get_path('scripts')}/")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def running(command: str, folder: Path, url: str) -> Iterator[None]:
    """A server that a page's command starts in `folder`, from when `url` answers on. It ends well on SIGTERM."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HEADSTART_")}
    environment["PYTHONPATH"] = str(ROOT)
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(shlex.split(command), cwd=folder, env=environment, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 120
        while not _answers(url):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield
        process.terminate()
        assert process.wait(60) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
