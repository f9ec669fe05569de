"""Rows per second of each export, and what memory it takes, on one core.

    python -m benchmarks.export [--rows N]

Panda, 20 Hz, half `point_to_point` and half `via_points`, about 200 samples a row. Each export runs in a process of its
own; seconds are of its CPU, and memory is its greatest resident set, libraries included.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from services.engine import open_engine
from services.export import FORMATS
from services.jobs import generate
from services.synthesis.request.trajectory_request import TrajectoryRequest
from shared.storage import Location

_EXPORT = """
import resource, sys
from pathlib import Path
from services.export import Content, export_dataset
from shared.dataset import Dataset

def seconds():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime

dataset, before = Dataset(sys.argv[1]), seconds()
export_dataset(dataset, Path(sys.argv[2]), sys.argv[3], Content(dataset.header))
# Not ru_maxrss, which begins at what the process that started this one had.
peak = next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line[:6] == "VmHWM:")
print(seconds() - before, peak)
"""


def measure(dataset: Location, out: Path, layout: str) -> tuple[float, float]:
    """CPU seconds and greatest memory [MB] of an export."""
    command = [sys.executable, "-c", _EXPORT, str(dataset), str(out), layout]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, kilobytes = done.stdout.split()
    return float(seconds), int(kilobytes) / 1024


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=4096)
    rows = parser.parse_args().rows
    figures: dict[str, Any] = {"rows": rows}
    with tempfile.TemporaryDirectory() as folder:
        request = TrajectoryRequest.parse({"robot": "panda", "count": rows, "shard_rows": 1024})
        dataset = generate(request, Path(folder) / "dataset", open_engine("inline"))
        for layout in FORMATS:
            seconds, megabytes = measure(dataset.where, Path(folder) / layout, layout)
            name = layout.replace("-", "_").replace(".", "")
            figures |= {f"{name}_rows_per_s": round(rows / seconds), f"{name}_peak_mb": round(megabytes)}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
