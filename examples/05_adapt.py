"""Stage 2: adapt the pretrained head to demonstrations in a LeRobot data set.

You learn how a data set is opened, how a mapping says what its columns mean, and how a policy is trained on it. So that
there is one, the example first writes a small LeRobot set of its own, with trajectories in place of demonstrations;
yours needs another mapping (docs/your-data.md), and nothing else.

    python examples/05_adapt.py --stage1 try/stage1 --data try/data --out try/policy
"""

import argparse
from pathlib import Path

from services.export import Content, export_dataset
from shared.dataset import Dataset
from trainer.config import AdaptConfig, TrainingConfig
from trainer.data.demonstrations import read_demonstrations
from trainer.data.demonstrations.mapping.mapping_file import parse_mapping
from trainer.progress import progress
from trainer.stages.adapt import adapt
from trainer.training.checkpoint import read_info

# What the file my-mapping.toml says where it is given on a command line.
MAPPING = {
    "only_task": "*",
    "observation": {"low_dim": ["observation.state"]},
    "action": {
        "space": "ee_pose",
        "position": {"columns": "action[0:3]"},
        "rotation": {"columns": "action[3:9]", "encoding": "rot6d"},
        "gripper": {"columns": "action[9]", "open": -1, "closed": 1},
    },
}


def main() -> None:
    """Writes the data set, reads it as the mapping says, and trains on it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stage1", type=Path, required=True, help="run of 04_pretrain.py")
    parser.add_argument("--data", type=Path, required=True, help="dataset that the LeRobot set is made of")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--steps", type=int, default=400, help="gradient steps")
    options = parser.parse_args()

    demos, trajectories = options.out / "lerobot", Dataset(options.data)
    if not demos.exists():
        export_dataset(trajectories, demos, "lerobot-v3", Content(trajectories.header, "ee_pose", "reached"))

    demonstrations = read_demonstrations(demos, count=20, mapping=parse_mapping(MAPPING, __file__))
    head = read_info(options.stage1).head  # the same shape, action and horizon
    config = AdaptConfig("decoupled", head, TrainingConfig(steps=options.steps, batch_size=64, device="cpu"))
    with progress("adapt") as report:
        checkpoint = adapt(options.out / "run", demonstrations, config, stage1=options.stage1, progress=report)
    sees = demonstrations.observation_widths
    print(f"a policy of {len(demonstrations.episodes)} demonstrations, which sees {sees}: {checkpoint}")


if __name__ == "__main__":
    main()
