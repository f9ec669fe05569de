"""What a process takes up to its first rows: imports, the compiled code, the robot."""

import json
import os
import subprocess
import sys
import tempfile
from typing import Any

_PROGRAM = """
import json, sys
from services.synthesis.pipeline import ShardPlan, synthesize
from services.synthesis.request.trajectory_request import TrajectoryRequest
synthesize(ShardPlan(TrajectoryRequest.parse({**json.loads(sys.argv[1]), "count": 64}), 0, 0, 64))
"""


def start_up_seconds(body: dict[str, Any]) -> dict[str, float]:
    """CPU seconds of a process up to its first 64 rows: where the code must be compiled, and where it has been."""
    seconds = {}
    with tempfile.TemporaryDirectory(prefix="headstart-numba-") as cache:
        for name in ("compiling_start_up_cpu_s", "start_up_cpu_s"):
            before = os.times()
            environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
            subprocess.run([sys.executable, "-c", _PROGRAM, json.dumps(body)], check=True, env=environment)
            after = os.times()
            used = after.children_user + after.children_system - before.children_user - before.children_system
            seconds[name] = round(used, 1)
    return seconds
