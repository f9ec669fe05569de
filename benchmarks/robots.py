"""Every arm of the catalogue, and robots that are not in it: a dataset, its audit and its report, each by the commands.

    python -m benchmarks.robots [--rows N] [--robots NAME,NAME] [--out DIR]

The others are given as users give theirs: a URDF, the link that is their tip, and where their meshes are. Their files
come from example-robot-data: PR2's left arm (joints without end), TIAGo's torso and arm (the torso slides), and the
left arms of IHMC's Alex and Aldebaran's Romeo. One process; seconds include start-up.
"""

import argparse
import contextlib
import io
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from services.__main__ import main as services
from services.catalogue import ARMS
from services.catalogue.example_robot_data import robot_files

_IN_FRONT = {"kind": "box", "min": [0.4, -0.1, -0.3], "max": [0.7, 0.5, 0.2]}
OTHERS: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "alex": ("alex_description/urdf/alex_nub_hands.urdf", "LeftGripperYawLink", "Torso", {}),
    "romeo": ("romeo_description/urdf/romeo_small.urdf", "l_wrist", "torso", {}),
    "tiago_torso": ("tiago_description/robots/tiago_no_hand.urdf", "wrist_ft_tool_link", "base_footprint", {}),
    # As hulls, its large links meet in most postures of joint space.
    "pr2": (
        "pr2_description/urdf/pr2.urdf",
        "l_gripper_tool_frame",
        "torso_lift_link",
        {"workspace": _IN_FRONT, "goal": "position"},
    ),
}
"""Of each robot that is not in the catalogue: its URDF, tip and base, and what its request says beside the rows."""


def arguments(name: str) -> tuple[list[str], dict[str, Any]]:
    """What `generate` is told of a robot, and the keys of its request."""
    if name in ARMS:
        return [], {"robot": name}
    urdf, tip, base, said = OTHERS[name]
    files = robot_files(urdf)
    return ["--urdf", str(files.urdf_path), "--tip", tip, "--base", base, "--meshes", str(files.root_path)], said


def make(name: str, rows: int, folder: Path) -> dict[str, float]:
    """A robot's dataset and report in `folder`. Returns seconds, attempts for each row, and the audit's violations."""
    given, said = arguments(name)
    body = {"count": rows, "workspace": {"kind": "reachable"}, "shard_rows": max(1, rows // 4), **said}
    request = folder / f"{name}.json"
    request.write_text(json.dumps(body))
    data, began = str(folder / name), time.perf_counter()
    _run("generate", "--request", str(request), "--out", data, "--engine", "inline", *given)
    seconds = time.perf_counter() - began
    audit = json.loads(_run("audit", "--json", data))
    _run("report", data, "--out", str(folder / f"{name}.html"))
    attempts = sum(json.loads(path.read_text())["attempts"] for path in Path(data, "commits").glob("*.json"))
    assert audit["rows"] == rows
    return {
        "s": round(seconds, 2),
        "attempts_per_row": round(attempts / rows, 2),
        "violations": audit["violations"],
    }


def _run(*given: str) -> str:
    """A command of `python -m services`; what it printed. Exits with what it said if it failed."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = services(given)
    if code == 2:
        raise SystemExit(f"services {' '.join(given)}: {err.getvalue()}")
    return out.getvalue()


def main() -> None:
    """Makes every robot's dataset and prints one JSON object on the last line."""
    parser = argparse.ArgumentParser(description="a dataset, its audit and its report for every robot")
    parser.add_argument("--rows", type=int, default=1000, help="of each dataset (default 1000)")
    parser.add_argument("--robots", default=",".join([*ARMS, *OTHERS]), help="names, between commas (default: all)")
    parser.add_argument("--out", type=Path, help="folder that keeps datasets and reports (default: none is kept)")
    options = parser.parse_args()
    report: dict[str, float] = {"rows": options.rows}
    with tempfile.TemporaryDirectory(prefix="headstart-robots-") as folder:
        out = options.out or Path(folder)
        out.mkdir(parents=True, exist_ok=True)
        for name in options.robots.split(","):
            found = make(name, options.rows, out)
            report |= {f"{name}_{key}": value for key, value in found.items()}
            print(f"{name:12} " + ", ".join(f"{key} {value:g}" for key, value in found.items()), flush=True)
    report["violations"] = sum(value for key, value in report.items() if key.endswith("_violations"))
    print(json.dumps(report))


if __name__ == "__main__":
    main()
