"""How long a policy thinks about one observation with few sampling steps: dp_mlp, paper and small, dp_c small.

    python -m benchmarks.few_steps [--seconds N] [--threads N]

As `benchmarks.policy`, without a motion basis and without compiling: 1, 2 and 4 steps of flow matching beside 10 of
DDIM, in turns. The time does not depend on what a head has learned, so these were never trained.
"""

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.policy import HEADS, measured, untrained
from trainer.deployment.policy import Policy
from trainer.recipe.machine import describe_machine

STEPS = (1, 2, 4)


def main() -> None:
    """Measures, and prints one JSON object on the last line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="for each policy (default 10)")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU (default 1)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{describe_machine()}, {options.threads} threads", flush=True)
    with tempfile.TemporaryDirectory(prefix="headstart-bench-") as folder:
        ask = {}
        for name, head in HEADS.items():
            noise = untrained(head, Path(folder) / f"{name}.safetensors")
            flow = untrained(replace(head, prediction_type="flow"), Path(folder) / f"{name}-flow.safetensors")
            ask[f"{name}_ddim10"] = Policy.load(noise, sampling_steps=10, directions=0)
            ask |= {f"{name}_flow{n}": Policy.load(flow, sampling_steps=n, directions=0) for n in STEPS}
        figures = measured(dict(ask), options.seconds)
    for name in HEADS:
        for steps in STEPS:
            ratio = figures[f"{name}_flow{steps}_cpu_p50_ms"] / figures[f"{name}_ddim10_cpu_p50_ms"]
            figures[f"{name}_flow{steps}_over_ddim10_p50"] = ratio
    print(json.dumps({name: round(value, 2) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
