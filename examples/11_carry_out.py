"""Carry out chunks on an arm, within its limits whatever the chunks say.

You learn how chunks become commands: they are offered whenever there are some, and each tick gives one command. Here
the next steps of a trajectory stand for a policy's answers, late and noisy, and a few lines for the arm. The clock is
simulated; `headstart_client.Runner` does the same in real time (docs/executor.md).

    python examples/11_carry_out.py try/data
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart_client import ArmLimits, Command, Executor
from headstart_client.audit import MotionAudit
from shared.dataset import Dataset
from shared.row import read_row

CHUNK, EVERY_S, LATE_S, NOISE = 16, 0.4, 0.1, 0.01  # steps, from chunk to chunk, of an answer, of a target [rad]


class Arm:
    """Stands for yours: it does what it is told, and remembers it."""

    def __init__(self) -> None:
        self.states: list[NDArray[np.float64]] = []

    def send(self, command: Command) -> None:
        """Takes the command of one tick: position, velocity and acceleration of every joint."""
        self.states.append(command.state())


def main() -> None:
    """Carries out one trajectory, then looks at every command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of a dataset, as 01_generate.py made it")
    parser.add_argument("--trajectory", type=int, default=0, help="its trajectory_id")
    options = parser.parse_args()

    row, rng, arm = read_row(Dataset(options.data), options.trajectory), np.random.default_rng(0), Arm()
    targets, rate_hz = row["joint_position"], row["rate_hz"]
    limits = ArmLimits.from_dataset(options.data)
    executor = Executor(limits, targets[0], rate_hz=500, policy_rate_hz=rate_hz)
    asked = 0.0
    for tick in range(round((row["duration"] + 2.0) / executor.period)):
        now = tick * executor.period
        if now >= asked + LATE_S and asked * rate_hz < len(targets):
            first = round(asked * rate_hz)
            chunk = targets[first : first + CHUNK]
            executor.offer(chunk + rng.normal(0, NOISE, chunk.shape), observed_at=asked)
            asked += EVERY_S
        arm.send(executor.tick(now + executor.period))

    audit = MotionAudit(limits, executor.period)
    audit.add(np.array(arm.states))
    off = np.abs(arm.states[-1][0] - targets[-1]).max()
    used = ", ".join(f"{name} {audit.most_share[name]:.0%}" for name in ("velocity", "acceleration", "jerk"))
    print(f"{audit.steps} commands, {sum(audit.violations.values())} beyond a limit; most of each used: {used}")
    print(f"the arm rests {off:.3f} rad from where the trajectory ends")


if __name__ == "__main__":
    main()
