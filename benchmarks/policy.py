"""How long a policy thinks about one observation: dp_mlp in the paper's size and small, dp_c small; DDIM of 10 steps.

    python -m benchmarks.policy [--seconds N] [--threads N]

From an observation of two steps of 40 numbers to a chunk of 8 poses in metres, as `Policy` answers it: scaling,
encoder, ten denoising steps, denormalization; bf16 where the hardware computes in it. One observation at a time. The
heads take turns. `_smooth_` is with a motion basis, the others are without; `_compiled_` is with `compile_for=1`, as
`serve --compile-for 1` answers. `_cpu_` figures are this process's CPU time, which other work on the machine disturbs
less. `_served_` are round trips over a WebSocket to a server in a process of its own, on this machine.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import msgpack
import numpy as np
import torch
from websockets.sync.client import connect

from benchmarks._policy_server import policy_server
from trainer.config import HeadConfig
from trainer.data.motion_basis import MotionBasis
from trainer.data.normalization import ActionNormalizer
from trainer.deployment.policy import Policy
from trainer.deployment.serving.messages import array
from trainer.recipe.machine import describe_machine
from trainer.training.checkpoint import build_head, save_checkpoint
from trainer.training.checkpoint_info import CheckpointInfo

OBS_DIM = 40
HEADS = {
    "dp_mlp": HeadConfig(head="dp_mlp", size="paper"),
    "dp_mlp_small": HeadConfig(head="dp_mlp", size="small"),
    "dp_c_small": HeadConfig(head="dp_c", size="small"),
}
COMPILED = ("dp_mlp", "dp_c_small")
DIRECTIONS = 5
WARM_UP = 20


def untrained(head: HeadConfig, path: Path) -> Path:
    """A checkpoint of a head with fresh weights, which takes as long as a trained one, and a motion basis of lines."""
    action_range = {"position": {"min": [-1.0] * 3, "max": [1.0] * 3}}
    lines = np.linspace(0, 1, head.horizon)[None, :, None] * np.random.default_rng(0).uniform(-1, 1, (64, 1, 10))
    basis = MotionBasis.learn(lines.astype(np.float32), ActionNormalizer(action_range), DIRECTIONS)
    info = CheckpointInfo(
        stage=2, head=head, mode="normal", backbone=None, condition_dim=OBS_DIM,
        action_range=action_range,
        observation_scaling={"center": [0.0] * OBS_DIM, "scale": [1.0] * OBS_DIM},
        observation_widths={"state": OBS_DIM}, cameras={}, robot="panda", rate_hz=20.0, action_label="command", task="",
        step=0, seconds=0.0, device="cpu", stage1=None, motion_basis=basis.to_json(),
    )  # fmt: skip
    torch.manual_seed(0)
    save_checkpoint(path, info, build_head(info).state_dict())
    return path


def percentiles(name: str, seconds: list[float]) -> dict[str, float]:
    """Median and 99th percentile [ms]."""
    p50, p99 = np.percentile(seconds, [50, 99]) * 1e3
    return {f"{name}_p50_ms": float(p50), f"{name}_p99_ms": float(p99)}


@contextmanager
def served(checkpoint: Path, threads: int, *arguments: str) -> Iterator[Callable[[np.ndarray], None]]:
    """Asks a server of the policy for a chunk."""
    with (
        policy_server(checkpoint, "--threads", str(threads), *arguments) as url,
        connect(url.replace("http", "ws") + "/v1/actions") as socket,
    ):

        def ask(seen: np.ndarray) -> None:
            socket.send(msgpack.packb({"observations": {"state": array(seen)}}))
            assert "actions" in msgpack.unpackb(socket.recv())

        yield ask


def measured(ask: dict[str, Callable[[np.ndarray], object]], seconds: float) -> dict[str, float]:
    """Figures of each, in turns of ten observations."""
    rng = np.random.default_rng(0)
    wall: dict[str, list[float]] = {name: [] for name in ask}
    cpu: dict[str, list[float]] = {name: [] for name in ask}
    end, turn = time.perf_counter() + seconds * len(ask), 0
    while time.perf_counter() < end or turn < 2 * WARM_UP // 10:
        for name, one in ask.items():
            for seen in rng.uniform(-1, 1, (10, 1, 2, OBS_DIM)).astype(np.float32):
                began, used = time.perf_counter(), time.process_time()
                one(seen)
                wall[name].append(time.perf_counter() - began)
                cpu[name].append(time.process_time() - used)
        turn += 1
    figures: dict[str, float] = {}
    for name in ask:
        figures |= percentiles(name, wall[name][WARM_UP:])
        if not name.endswith("_served"):
            figures |= percentiles(f"{name}_cpu", cpu[name][WARM_UP:])
        figures[f"{name}_chunks"] = len(wall[name]) - WARM_UP
    return figures


def main() -> None:
    """Measures, and prints one JSON object on the last line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=15.0, help="for each head (default 15)")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU (default 1)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{describe_machine()}, {options.threads} threads", flush=True)
    with tempfile.TemporaryDirectory(prefix="headstart-bench-") as folder:
        saved = {name: untrained(head, Path(folder) / f"{name}.safetensors") for name, head in HEADS.items()}
        ask: dict[str, Callable[[np.ndarray], object]] = {}
        for name, path in saved.items():
            ask[name] = Policy.load(path, directions=0)
        ask["dp_mlp_smooth"] = Policy.load(saved["dp_mlp"])
        figures: dict[str, float] = {}
        for name in COMPILED:
            began = time.perf_counter()
            ask[f"{name}_compiled"] = Policy.load(saved[name], compile_for=1, directions=0)
            figures[f"{name}_compiled_load_s"] = time.perf_counter() - began
        figures |= measured(ask, options.seconds)
        figures["dp_mlp_smooth_over_without_p50"] = figures["dp_mlp_smooth_p50_ms"] / figures["dp_mlp_p50_ms"]
        for name, arguments in {"dp_mlp": (), "dp_mlp_compiled": ("--compile-for", "1")}.items():
            with served(saved["dp_mlp"], options.threads, *arguments) as asking:
                figures |= measured({f"{name}_served": asking}, options.seconds)
    print(json.dumps({name: round(value, 2) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
