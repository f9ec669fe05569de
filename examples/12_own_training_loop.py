"""Train a network of your own in a loop of your own, on windows that come through PyTorch's DataLoader.

You learn how windows become batches, in the order in which Stage 1 takes them whatever the number of workers, and how a
loop that was stopped goes on with the very batch it would have had next. The network sees the joints and the gripper at
every step of a window, and learns the poses of the tool.

    python examples/12_own_training_loop.py try/data --cache try/cache
"""

import argparse
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from trainer.config import HeadConfig, PretrainConfig, TrainingConfig
from trainer.data.trajectories.window_dataset import WindowDataset

# Windows of 16 poses, beside them the joints of the same steps; a tenth of the trajectories is held out.
CONFIG = PretrainConfig(
    head=HeadConfig(action="ee_pose", horizon=16),
    training=TrainingConfig(batch_size=64, seed=0),
    condition="joint_position",
    validation_share=0.1,
)


class Kinematics(nn.Module):
    """Normalized poses (batch, horizon, 10) of a condition (batch, horizon * (dof + 1)), step by step."""

    def __init__(self, horizon: int, condition_dim: int) -> None:
        super().__init__()
        self.horizon = horizon
        self.layers = nn.Sequential(
            *(nn.Linear(condition_dim // horizon, 256), nn.GELU(), nn.Linear(256, 256), nn.GELU(), nn.Linear(256, 10))
        )

    def forward(self, condition: Tensor) -> Tensor:
        """See the class."""
        poses: Tensor = self.layers(condition.view(len(condition), self.horizon, -1))
        return poses


def distance(windows: WindowDataset, predicted: Tensor, real: Tensor) -> float:
    """How far positions of windows (batch, horizon, 10) are from each other, as a root of mean squares [mm]."""
    a, b = (windows.normalizer.denormalize(poses.numpy())[..., :3] for poses in (predicted, real))
    return 1000 * float(((a - b) ** 2).sum(-1).mean() ** 0.5)


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
    network = Kinematics(CONFIG.head.horizon, windows.condition_dim)
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
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
    with torch.no_grad():
        off = distance(windows, network(held_out.condition), held_out.actions)
    print(f"{options.steps} batches of {CONFIG.training.batch_size} windows, {windows.pass_length} windows a pass")
    print(f"positions in held-out windows are off by {off:.1f} mm")


if __name__ == "__main__":
    main()
