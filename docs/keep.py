"""Runs a benchmark and keeps what came out, for the tables of docs/results/benchmarks.md.

python -m docs.keep NAME [ARGUMENT ...]
"""

import json
import subprocess
import sys
import time

from docs.benchmark_tables import KEPT
from trainer.recipe.machine import describe_machine


def run(command: list[str]) -> str:
    """The last line that a command prints; all of them are shown. Exits if it fails."""
    last = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            last = line
    if process.returncode:
        raise SystemExit(f"{' '.join(command[1:])} failed; nothing is kept")
    return last


def main() -> None:
    """Runs `python -m benchmarks.NAME ARGUMENT ...` and writes docs/results/benchmarks/NAME.json."""
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    name, *arguments = sys.argv[1:]
    words, began = ["-m", f"benchmarks.{name}", *arguments], time.monotonic()
    figures = json.loads(run([sys.executable, *words]))
    kept = {
        "command": " ".join(["python", *words]),
        "machine": describe_machine(),
        "date": time.strftime("%Y-%m-%d"),
        "seconds": round(time.monotonic() - began),
        "figures": figures,
    }
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / f"{name}.json").write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
