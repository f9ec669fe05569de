"""`python -m trainer`, with RANK:BATCH:SIGNAL:WHERE before its words: one rank is sent a signal at one place.

WHERE is `next`, while that batch is made, or `step`, inside the gradient step of that batch.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import torch

from trainer.__main__ import main
from trainer.data.batch_source import Batch
from trainer.data.trajectories.trajectory_batches import TrajectoryBatches

rank, at, number, where = sys.argv.pop(1).split(":")
made = [0]
fetch, clip = TrajectoryBatches.next, torch.nn.utils.clip_grad_norm_


def hit() -> None:
    if os.environ["RANK"] == rank and made[0] == int(at):
        signal.raise_signal(signal.Signals[number])


def signalled_next(stream: TrajectoryBatches, tell: Callable[[str], None]) -> Batch:
    made[0] += 1
    batch = fetch(stream, tell)
    if where == "next":
        hit()
    return batch


def signalled_clip(*args: Any, **settings: Any) -> Any:
    norm = clip(*args, **settings)
    if where == "step":
        hit()
    return norm


TrajectoryBatches.next = signalled_next  # type: ignore[method-assign, assignment]
torch.nn.utils.clip_grad_norm_ = signalled_clip
sys.exit(main())
