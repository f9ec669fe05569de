"""How long a policy thinks about one observation with few sampling steps: dp_mlp, paper and small, dp_c small.

    python -m benchmarks.few_steps [--chunks N] [--threads N]

As `benchmarks.policy`, without a motion basis and without compiling: 1, 2 and 4 steps of flow matching beside 10 of
DDIM, in turns. Times are of the CPU, which on a quiet machine are those on the clock: the answer is one thread's. They
do not depend on what a head has learned, so these were never trained.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.policy import HEADS, OBS_DIM, percentiles, untrained
from trainer.deployment.policy import Policy
from trainer.recipe.machine import describe_machine

STEPS = (1, 2, 4)
_WARM_UP, _IN_A_TURN = 10, 10


def cpu_times(policies: Mapping[str, Policy], chunks: int) -> dict[str, list[float]]:
    """Seconds of each policy's chunks, after some that are not counted."""
    rng = np.random.default_rng(0)
    spent: dict[str, list[float]] = {name: [] for name in policies}
    while min(map(len, spent.values())) < _WARM_UP + chunks:
        for name, policy in policies.items():
            for seen in rng.uniform(-1, 1, (_IN_A_TURN, 1, 2, OBS_DIM)).astype(np.float32):
                began = time.process_time()
                policy(seen)
                spent[name].append(time.process_time() - began)
    return {name: times[_WARM_UP : _WARM_UP + chunks] for name, times in spent.items()}


def main() -> None:
    """Measures, and prints one JSON object on the last line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--chunks", type=int, default=300, help="of each policy (default 300)")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU (default 1)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{describe_machine()}, {options.threads} threads", flush=True)
    with tempfile.TemporaryDirectory(prefix="headstart-bench-") as folder:
        policies: dict[str, Policy] = {}
        for name, head in HEADS.items():
            noise = untrained(head, Path(folder) / f"{name}.safetensors")
            flow = untrained(replace(head, prediction_type="flow"), Path(folder) / f"{name}-flow.safetensors")
            policies[f"{name}_ddim10"] = Policy.load(noise, sampling_steps=10, directions=0)
            policies |= {f"{name}_flow{n}": Policy.load(flow, sampling_steps=n, directions=0) for n in STEPS}
        spent = cpu_times(policies, options.chunks)
    figures: dict[str, float] = {"chunks": options.chunks}
    for name, times in spent.items():
        figures |= percentiles(f"{name}_cpu", times)
    for name in HEADS:
        for steps in STEPS:
            ratio = figures[f"{name}_flow{steps}_cpu_p50_ms"] / figures[f"{name}_ddim10_cpu_p50_ms"]
            figures[f"{name}_flow{steps}_over_ddim10_p50"] = ratio
    print(json.dumps({name: round(value, 2) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
