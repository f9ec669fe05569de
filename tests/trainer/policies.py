"""Demonstrations with a camera, and a policy's server in a process of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests import warm
from trainer.data.demonstrations.episode import Demonstrations, Images

ROOT = Path(__file__).resolve().parents[2]


def seen_by_a_camera(demonstrations: Demonstrations) -> Demonstrations:
    """With a camera `front` of 40 x 44."""
    rng, episodes = np.random.default_rng(0), []
    for episode in demonstrations.episodes:
        frames = rng.integers(0, 256, (len(episode.actions), 40, 44, 3), np.uint8)
        images = {"front": Images(frames, np.arange(len(frames)), f"front-{episode.name}")}
        episodes.append(replace(episode, images=images))
    return replace(demonstrations, episodes=tuple(episodes), cameras={"front": (40, 44)})


@contextmanager
def serving(run: Path | Sequence[str], folder: Path, *arguments: str, launcher: Sequence[str] = ()) -> Iterator[str]:
    """The URL of a server of a run, or of several, which ends well on SIGTERM.

    Python is given the launcher first; by default it is a warm one that starts the trainer.
    """
    runs = [str(run)] if isinstance(run, Path) else run
    ready = folder / "url"
    python = [sys.executable, *launcher] if launcher else [warm.python("trainer"), "-m", "trainer"]
    command = [*python, "serve", *runs, "--port", "0", "--ready-file", str(ready)]
    environment = {name: value for name, value in os.environ.items() if name != "HEADSTART_API_KEY"}
    with (folder / "server.log").open("w+") as log:
        process = subprocess.Popen([*command, *arguments], stderr=log, env=environment, cwd=ROOT)
        try:
            deadline = time.monotonic() + 240
            while not ready.exists():
                assert process.poll() is None, (folder / "server.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield ready.read_text().strip()
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
            said = (folder / "server.log").read_text()
            assert said.startswith("the policy answers on " if len(runs) == 1 else f"{len(runs)} policies answer on ")
            assert "Traceback" not in said
        finally:
            process.kill()
            process.wait()
