"""Serve a policy, and ask it for actions as a robot's program does.

You learn how the server is started, what it says of its policy, and what an observation and its answer look like.
The robot's side needs `headstart_client` alone: neither torch nor the rest of Headstart.

    python examples/09_serve.py try/policy/run
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from headstart_client import PolicyClient, PolicyError


@contextmanager
def served(run: Path, port: int) -> Iterator[PolicyClient]:
    """A connection to a server of the run's policy, which is stopped in the end."""
    command = [sys.executable, "-m", "trainer", "serve", str(run), "--port", str(port), "--device", "cpu"]
    with subprocess.Popen(command) as server:
        try:
            with connected(f"http://127.0.0.1:{port}", server) as policy:
                yield policy
        finally:
            server.terminate()


def connected(url: str, server: subprocess.Popen[bytes]) -> PolicyClient:
    """A connection, once the server answers. Raises PolicyError where it has ended."""
    while True:
        try:
            return PolicyClient(url)
        except PolicyError:
            if server.poll() is not None:
                raise
            time.sleep(0.2)


def main() -> None:
    """Starts a server, and asks it for two chunks, the second of which goes on from the first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="run of a policy, as 05_adapt.py and 06_roll_out.py train them")
    parser.add_argument("--port", type=int, default=8100, help="of this machine that it listens on")
    options = parser.parse_args()

    with served(options.run, options.port) as policy:
        steps = policy.about["n_obs_steps"]
        observation = {key: np.zeros((steps, width)) for key, width in policy.about["observations"].items()}
        first = policy(observation)
        # Once the robot has carried out 8 of these, the next chunk goes on from the last ones that it was commanded.
        second = policy(observation, prefix=first[8 - (steps - 1) : 8])
        gap = np.linalg.norm(second[0, :3] - first[7, :3])
        print(f"it sees {policy.about['observations']} and answers {first.shape}; the next chunk begins {gap:.3f} m on")


if __name__ == "__main__":
    main()
