"""What keep-outs add to a tick: a Panda whose tool goes to and fro over a table; of benchmarks.executor."""

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart_client import ArmLimits, Executor
from headstart_client.keepouts import Box, Keepouts
from headstart_client.kinematics import Kinematics
from headstart_client.tool_policy import ToolPath
from services.catalogue import ARMS

RATE_HZ, POLICY_HZ, STEPS, EVERY_S = 500.0, 20.0, 16, 0.2
TABLE = Box("table", [0.5, 0.0, -0.05], [1.0, 2.0, 0.1])
MARGIN_M = 0.02


def keepout_ticks(above_m: float, limits: ArmLimits, seconds: float = 10.0) -> tuple[float, float]:
    """Median and 99th percentile of a tick's time [us of the thread's CPU], with itself and a table to keep out of.

    Args:
        above_m: how far the fingers are above the margin, at least [m].
        limits: the Panda's.
        seconds: simulated.
    """
    arm = ARMS["panda"]
    files: Any = arm.files
    chain = Kinematics(arm.urdf, arm.joints, base_frame=arm.base_frame, tool_frame=arm.tool_frame)
    srdf = (files.root_path / files.srdf_file).read_text()
    keepouts = Keepouts(chain, limits, [TABLE], margin_m=MARGIN_M, package_dirs=[files.root_path], srdf=srdf)
    way = _sweep(chain, limits, keepouts, above_m, seconds)
    executor = Executor(limits, way[0], rate_hz=RATE_HZ, policy_rate_hz=POLICY_HZ, keepouts=keepouts)
    taken = []
    for tick in range(round((seconds - 1) * RATE_HZ)):
        if tick % round(EVERY_S * RATE_HZ) == 0:
            step = round(tick * POLICY_HZ / RATE_HZ)
            executor.offer(way[step : step + STEPS], step / POLICY_HZ)
        began = time.thread_time_ns()
        executor.tick((tick + 1) / RATE_HZ)
        taken.append((time.thread_time_ns() - began) / 1e3)
    p50, p99 = np.percentile(taken, [50, 99])
    return float(p50), float(p99)


def _sweep(
    chain: Kinematics, limits: ArmLimits, keepouts: Keepouts, above_m: float, seconds: float
) -> NDArray[np.float64]:
    """Joint positions (steps, dof) of a tool that goes 0.3 m to and fro in 2 s, from above."""
    home, path = np.array(ARMS["panda"].home), ToolPath(chain, limits, 1 / POLICY_HZ)
    down = np.repeat(chain.poses(home[None]), 60, axis=0)
    down[:, 2] -= np.linspace(0, down[0, 2], 60)
    lowered = path.along(down, home).joints
    room = [float(keepouts.clearances(joints).min()) for joints in lowered]
    low = lowered[max(index for index, clearance in enumerate(room) if clearance >= above_m)]
    poses = np.repeat(chain.poses(low[None]), round(seconds * POLICY_HZ), axis=0)
    poses[:, 1] += 0.15 * np.sin(2 * np.pi * np.arange(len(poses)) / (2 * POLICY_HZ))
    return path.along(poses, low).joints
