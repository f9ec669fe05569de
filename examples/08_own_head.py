"""A head of your own: a recurrent network in place of ours.

You learn what a backbone must have, and how it is made known, so that both stages, checkpoints and policies take it as
they take ours. docs/adding-a-head.md says what else there is to know.

    python examples/08_own_head.py try/data --out try/own-head
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn

from shared.dataset import Dataset
from trainer.config import HeadConfig, PretrainConfig, TrainingConfig
from trainer.model.backbones import Backbone, add_backbone
from trainer.model.backbones.time_encoder import TimeEncoder
from trainer.stages.pretrain import pretrain
from trainer.training.checkpoint import load_checkpoint


class Gru(Backbone):
    """A recurrent layer over the window, each of whose channels is scaled by a signal."""

    def __init__(self, config: HeadConfig, action_dim: int, width: int = 64) -> None:
        super().__init__()
        self.time_encoder = TimeEncoder(width)
        self.input_map = nn.Linear(action_dim, width)
        self.recurrent = nn.GRU(width, width, batch_first=True)
        self.output_head = nn.Linear(width, action_dim)
        self.signal_widths = (width,)  # of what the conditioning gives `forward`

    @property
    def maps(self) -> tuple[nn.Module, ...]:
        """What maps actions in and out; the modes `pretrained_body` and `random_body` train these."""
        return (self.input_map, self.output_head)

    def forward(self, noisy: Tensor, signals: Sequence[Tensor]) -> Tensor:
        """What the noise in `noisy` (batch, horizon, action_dim) is, in the same shape."""
        hidden, _ = self.recurrent(self.input_map(noisy))
        predicted: Tensor = self.output_head((1 + signals[0][:, None]) * hidden)
        return predicted


def main() -> None:
    """Pretrains it, and loads what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of a dataset, as 01_generate.py made it")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--steps", type=int, default=400, help="gradient steps")
    options = parser.parse_args()

    # Before any config or checkpoint names it: a checkpoint holds the name, not the code.
    add_backbone("gru", Gru, conditionings=("film",))
    head = HeadConfig(head="gru", conditioning="film")
    training = TrainingConfig(steps=options.steps, batch_size=64, device="cpu")
    checkpoint = pretrain(options.out, Dataset(options.data), PretrainConfig(head=head, training=training))

    loaded, info = load_checkpoint(checkpoint)
    weights = sum(value.numel() for value in loaded.backbone.parameters())
    print(f"head {info.head.head} with {weights:,} weights in its backbone: {checkpoint}")


if __name__ == "__main__":
    main()
