"""Stage 1: pretrain an action head on trajectories.

You learn what settles a head and its training, and what a run's folder holds. Stop it with Ctrl-C and start it again:
it goes on where it stopped, to the bit.

    python examples/04_pretrain.py try/data --out try/stage1
"""

import argparse
from pathlib import Path

from shared.dataset import Dataset
from trainer.config import HeadConfig, PretrainConfig, TrainingConfig
from trainer.progress import progress
from trainer.stages.pretrain import pretrain
from trainer.training.training_summary import training_summary


def main() -> None:
    """Trains, and prints the loss on trajectories that were held out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of a dataset, as 01_generate.py made it")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--steps", type=int, default=400, help="gradient steps")
    options = parser.parse_args()

    config = PretrainConfig(
        # The smallest of the simplest head, which learns little but in seconds; "small" and "paper" are larger.
        head=HeadConfig(head="dp_mlp", size="tiny"),
        training=TrainingConfig(steps=options.steps, batch_size=64, device="cpu"),
        validation_share=0.1,
    )
    with progress("pretrain") as report:
        checkpoint = pretrain(options.out, Dataset(options.data), config, progress=report)
    loss = training_summary(options.out)["validation_loss"]
    print(f"{options.steps} steps, loss on held-out windows {loss:.3f}: {checkpoint}")


if __name__ == "__main__":
    main()
