"""Content hashes over engines, NumPy's features and Numba's targets: the same request, the same bytes.

    python -m benchmarks.hashes [--rows N]

Each of three engines makes each request four times: as this machine does it, with AVX-512 switched off in NumPy,
compiled for any x86-64 processor, and both. The last line is JSON; what was not equal is in `differing`: nothing.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from services.engine import ENGINES
from shared.dataset import Dataset

NUMPY = {"all": {}, "no AVX-512": {"NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR"}}
NUMBA = {"native": {}, "generic": {"NUMBA_CPU_NAME": "generic"}}

_FIVE = dict.fromkeys(("point_to_point", "via_points", "hold", "cartesian_line", "pick_and_place"), 1.0)
_BOX = {"kind": "box", "min": [0.3, -0.3, 0.05], "max": [0.65, 0.3, 0.5]}
_POSE = {"position": [0.5, 0.1, 0.4], "quat_xyzw": [1.0, 0.0, 0.0, 0.0]}
REQUESTS: dict[str, dict[str, Any]] = {
    "default": {"robot": "panda"},
    "five families": {
        "robot": "ur5",
        "workspace": {"kind": "reachable"},
        "families": _FIVE,
        "via_velocity": [0.2, 0.9],
    },
    "among boxes": {
        "robot": "panda",
        "workspace": _BOX,
        "families": _FIVE,
        "keep_out": [{"kind": "box", "min": [0.4, -0.05, 0.0], "max": [0.5, 0.05, 0.3]}],
        "columns": ["joint_acceleration", "profile_time", "profile_jerk"],
    },
    "poses": {
        "robot": "panda",
        "workspace": {"kind": "poses", "poses": [_POSE, {**_POSE, "position": [0.45, -0.2, 0.3]}]},
        "tool_speed": [0.1, 0.4],
    },
}


def content(body: dict[str, Any], engine: str, environment: dict[str, str]) -> list[str]:
    """The content hash of each shard, made by a process of its own in that environment."""
    with tempfile.TemporaryDirectory(prefix="headstart-hashes-") as folder:
        request, out = Path(folder) / "request.json", Path(folder) / "data"
        request.write_text(json.dumps(body))
        command = [sys.executable, "-W", "ignore", "-m", "services", "generate", "--engine", engine]
        run = subprocess.run(
            [*command, "--request", str(request), "--out", str(out)],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode:
            raise SystemExit(run.stderr)
        return [commit.content_sha256 for commit in Dataset(out).commits()]


def main() -> None:
    """Prints a line a run, and one JSON object on the last."""
    parser = argparse.ArgumentParser(description="hashes over engines and processors")
    parser.add_argument("--rows", type=int, default=60, help="of each request, in three shards (default 60)")
    options = parser.parse_args()
    differing = []
    for name, body in REQUESTS.items():
        asked = {**body, "count": options.rows, "shard_rows": -(-options.rows // 3)}
        first: list[str] = []
        for engine, numpy, numba in itertools.product(ENGINES, NUMPY, NUMBA):
            made = content(asked, engine, {**NUMPY[numpy], **NUMBA[numba]})
            first = first or made
            same = made == first
            print(
                f"{name}, {engine}, NumPy {numpy}, Numba {numba}: {made[0][:12]} {'' if same else 'DIFFERS'}",
                flush=True,
            )
            if not same:
                differing.append([name, engine, numpy, numba])
    runs = len(REQUESTS) * len(ENGINES) * len(NUMPY) * len(NUMBA)
    print(json.dumps({"runs": runs, "rows": options.rows, "differing": differing}))
    if differing:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
