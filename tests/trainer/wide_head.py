"""A head nearly all of whose weights are in the backbone, and what policies of it cost in memory.

`python -m tests.trainer.wide_head RUN ...` loads them together and prints by how many bytes the process grew.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from tests.trainer.example import RANGE
from trainer.config import HeadConfig
from trainer.deployment.policies import load_policies
from trainer.deployment.policy import Policy
from trainer.model.backbones import Backbone, add_backbone
from trainer.model.backbones.time_encoder import TimeEncoder
from trainer.training.backbone_files import save_backbone
from trainer.training.checkpoint import build_head, save_checkpoint
from trainer.training.checkpoint_info import CheckpointInfo

WIDTH, LAYERS = 1024, 24


class Wide(Backbone):
    """Linear layers of 1,024 on each step, to whose input one narrow signal is added."""

    def __init__(self, config: HeadConfig, action_dim: int) -> None:
        super().__init__()
        self.time_encoder = TimeEncoder(16)
        self.signal_widths = (16,)
        self.input_map = nn.Linear(action_dim, WIDTH)
        self.signal_map = nn.Linear(16, WIDTH)
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(LAYERS))
        self.output_head = nn.Linear(WIDTH, action_dim)

    @property
    def maps(self) -> tuple[nn.Module, ...]:
        return (self.input_map, self.output_head)

    def forward(self, noisy: Tensor, signals: Sequence[Tensor]) -> Tensor:
        x = self.input_map(noisy) + self.signal_map(signals[0])[:, None]
        for layer in self.layers:
            x = x + torch.tanh(layer(x))
        out: Tensor = self.output_head(x)
        return out


def add_wide_head() -> None:
    """Makes it known as `wide`."""
    add_backbone("wide", Wide, ("film",))


def make_wide_policies(folder: Path, count: int) -> list[Path]:
    """Run folders of policies with their own conditioning on one random backbone, which lies in each by a link."""
    info = CheckpointInfo(
        stage=2, head=HeadConfig(head="wide", conditioning="film"), mode="random_frozen", backbone=None,
        condition_dim=5, action_range=RANGE, observation_scaling={"center": [0.0] * 5, "scale": [1.0] * 5},
        observation_widths={"seen": 5}, cameras={}, robot="two-joints", rate_hz=20.0, action_label="command",
        task="", step=1, seconds=0.0, device="cpu", stage1=None,
    )  # fmt: skip
    torch.manual_seed(0)
    backbone = build_head(info).backbone
    runs, first = [folder / f"task-{index:02}" for index in range(count)], folder / "task-00" / "backbones"
    name = save_backbone(first, backbone.state_dict(), info.head)
    for run in runs:
        if run is not runs[0]:
            run.mkdir()
            (run / "backbones").symlink_to(first)
        conditioning = build_head(info, backbone=backbone).conditioning
        nn.init.normal_(conditioning.projection.weight, std=0.1)
        weights = {f"conditioning.{key}": value for key, value in conditioning.state_dict().items()}
        save_checkpoint(
            run / "checkpoints" / "step-00000001.safetensors", CheckpointInfo(**{**vars(info), "backbone": name}),
            weights,
        )  # fmt: skip
    return runs


def resident_bytes() -> int:
    """Of this process, on Linux."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def main() -> None:
    add_wide_head()
    paths = {path.name: path for path in map(Path, sys.argv[1:])}
    before = resident_bytes()
    policies = load_policies(paths, lambda path, backbones: Policy.load(path, precision="fp32", backbones=backbones))
    assert len(policies) == len(paths)
    print(resident_bytes() - before)


if __name__ == "__main__":
    main()
