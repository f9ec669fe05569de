"""Whether the audit finds anything wrong with what synthesis makes: many rows from samples, some with their profiles.

    python -m benchmarks.audit [--rows N] [--profile-rows N] [--out DIR]

Panda on a table (a keep-out). `samples` is the default mix at half of the limits and above; `profiles` is every family
over a box, with the columns of the profiles. Both are made by the commands and audited from their files; with --out a
run that was stopped goes on.
"""

import argparse
import contextlib
import io
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from services.__main__ import main as services
from services.synthesis.request.families import WAYPOINT_FAMILIES

TABLE = [{"kind": "half_space", "normal": [0, 0, 1], "offset": 0.0}]
REQUESTS: dict[str, dict[str, Any]] = {
    "samples": {"speed_scale": [0.5, 1.0]},
    "profiles": {
        "families": dict.fromkeys(WAYPOINT_FAMILIES, 1.0),
        "workspace": {"kind": "box", "min": [0.30, -0.30, 0.05], "max": [0.75, 0.30, 0.40]},
        "tool_speed": [0.1, 0.5],
        "columns": ["joint_acceleration", "profile_time", "profile_jerk"],
    },
}
"""What each dataset's request says beside robot, table and count."""


def measure(name: str, rows: int, folder: Path) -> dict[str, Any]:
    """Makes and audits a dataset. Returns its figures: of each check what was checked, violations and the worst."""
    request, data = folder / f"{name}.json", str(folder / name)
    request.write_text(json.dumps({"robot": "panda", "count": rows, "keep_out": TABLE, **REQUESTS[name]}))
    began = time.perf_counter()
    if services(["generate", "--request", str(request), "--out", data]) != 0:
        raise SystemExit(1)
    made, printed = time.perf_counter() - began, io.StringIO()
    with contextlib.redirect_stdout(printed):
        services(["audit", "--json", data])
    found = json.loads(printed.getvalue())
    for check in found["checks"]:
        print(f"{name}: {check['name']}: {check['violations']} of {check['checked']}, worst {check['worst']}")
    return {
        "rows": found["rows_in_motion"],
        "samples": found["samples"],
        "violations": found["violations"],
        "checks": {check["name"]: [check["checked"], check["violations"], check["worst"]] for check in found["checks"]},
        "generate_s": round(made),
        "audit_s": round(found["seconds"]),
    }


def main() -> None:
    """Prints one JSON object on the last line. Exits with 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description="an audit of many rows")
    parser.add_argument("--rows", type=int, default=100_000, help="of the default mix (default 100000)")
    parser.add_argument("--profile-rows", type=int, default=10_000, help="of every family (default 10000)")
    parser.add_argument("--out", type=Path, help="folder that keeps both datasets (default: neither is kept)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="headstart-audit-") as temporary:
        folder = options.out or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        rows = {"samples": options.rows, "profiles": options.profile_rows}
        report = {name: measure(name, count, folder) for name, count in rows.items()}
    print(json.dumps(report))
    if any(found["violations"] for found in report.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
