"""Train a network of your own in a loop of your own, on windows that come through PyTorch's DataLoader.

You learn how windows become batches, in the order in which Stage 1 takes them whatever the number of workers, and how a
loop that was stopped goes on with the very batch it would have had next. The network sees the first and the last pose
of a window, and learns what lies between.

    python examples/12_own_training_loop.py try/data --cache try/cache
"""

import argparse
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from trainer.config import HeadConfig, PretrainConfig, TrainingConfig
from trainer.data.batches import Batch
from trainer.data.trajectories.window_dataset import WindowDataset

# Windows of 16 poses, the first and last of them as the condition; a tenth of the trajectories is held out.
CONFIG = PretrainConfig(
    head=HeadConfig(action="ee_pose", horizon=16),
    training=TrainingConfig(batch_size=64, seed=0),
    condition="endpoints",
    validation_share=0.1,
)


class Between(nn.Module):
    """Poses of a window, as what is added to the straight line from its first to its last, which it is given."""

    def __init__(self, horizon: int, condition_dim: int) -> None:
        super().__init__()
        self.horizon, action_dim = horizon, condition_dim // 2
        self.layers = nn.Sequential(nn.Linear(condition_dim, 256), nn.GELU(), nn.Linear(256, horizon * action_dim))

    def forward(self, condition: Tensor) -> Tensor:
        """Normalized actions (batch, horizon, action_dim) from the condition (batch, 2 * action_dim)."""
        first, last = condition[:, None].chunk(2, dim=-1)
        line = torch.lerp(first, last, torch.linspace(0, 1, self.horizon)[:, None])
        added: Tensor = self.layers(condition)
        return line + added.view_as(line)


def distance(network: nn.Module, windows: WindowDataset, batch: Batch) -> float:
    """How far the predicted positions are from the real ones [m], on average."""
    with torch.no_grad():
        predicted, real = (
            windows.normalizer.denormalize(actions.numpy())[..., :3]
            for actions in (network(batch.condition), batch.actions)
        )
    return float(((predicted - real) ** 2).sum(-1).mean() ** 0.5)


def main() -> None:
    """Trains in two goes, as if the program had been stopped and started again between them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="a dataset's folder, as 01_generate.py made it, its URI or its job's URL")
    parser.add_argument("--cache", type=Path, required=True, help="folder for decoded shards")
    parser.add_argument("--steps", type=int, default=400, help="batches to train on")
    parser.add_argument("--workers", type=int, default=1, help="processes that make batches")
    options = parser.parse_args()

    torch.manual_seed(0)
    windows = WindowDataset(options.data, options.cache, CONFIG)
    network = Between(CONFIG.head.horizon, windows.condition_dim)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    half = options.steps // 2
    for done, count in ((0, half), (half, options.steps - half)):
        batches = DataLoader(windows.skip(done), batch_size=None, num_workers=options.workers)
        for batch in islice(batches, count):
            loss = (network(batch.condition) - batch.actions).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    held_out = windows.validation()
    assert held_out is not None
    print(f"{options.steps} batches of {CONFIG.training.batch_size} windows, {windows.pass_length} windows a pass")
    print(f"positions of held-out windows are off by {1000 * distance(network, windows, held_out):.1f} mm")


if __name__ == "__main__":
    main()
