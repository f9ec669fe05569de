"""Small pieces the trainer's tests share: a tiny dataset, and demonstrations whose action follows what is seen."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from shared.dataset import Dataset
from shared.manifest import DatasetHeader
from shared.rotation import matrix_to_rot6d, rotvec_to_matrix
from shared.storage import Location
from tests.shared.example import HEADER as DATASET_HEADER
from tests.shared.example import example_table
from trainer.config import CONDITIONINGS, ActionName, HeadConfig, TrainingConfig
from trainer.data.action import join_joint_action
from trainer.data.batch_source import Batch
from trainer.data.demonstrations.episode import Demonstrations, Episode, is_validation

HEAD = HeadConfig(size="small")
HEADS = {
    f"{head}-{conditioning}": HeadConfig(head=head, size="tiny", conditioning=conditioning)
    for head, conditionings in CONDITIONINGS.items()
    for conditioning in conditionings
}
"""Every head with every conditioning, in its smallest size; and those forms of the paper that are other networks."""
HEADS |= {
    "dp_mlp-film-paper": replace(HEADS["dp_mlp-film"], paper_film=True),
    "dp_t-cross_attn-paper": replace(HEADS["dp_t-cross_attn"], paper_key_values=True),
    "dp_t-prefix-paper": replace(HEADS["dp_t-prefix"], paper_key_values=True),
}
RANGE = {"position": {"min": [-1.0, -1.0, 0.0], "max": [1.0, 1.0, 2.0]}}


def training(steps: int, **settings: object) -> TrainingConfig:
    """A short run: eager, float32, no TensorBoard unless asked for, saved at every checkpoint."""
    defaults: dict[str, object] = {"batch_size": 8, "compile": "off", "precision": "fp32", "device": "cpu"}
    defaults |= {"tensorboard": False, "log_every": 5, "checkpoint_every": 100, "saving_share": 1.0}
    return TrainingConfig(steps=steps, **(defaults | settings))  # type: ignore[arg-type]


def random_windows(count: int, condition_dim: int, seed: int = 0, action: ActionName = "ee_pose") -> Batch:
    """Normalized smooth windows of poses with real rotations or of seven joints, each with a random condition."""
    rng = np.random.default_rng(seed)
    time = np.linspace(0, 1, HEAD.horizon)[None, :, None]
    start, end = rng.uniform(-0.9, 0.9, (2, count, 1, 3 if action == "ee_pose" else 7))
    turn = rng.uniform(-2, 2, (count, 1, 3)) * (0.5 + 0.5 * time)
    gripper = np.where(time > rng.uniform(0, 1, (count, 1, 1)), 1.0, -1.0)
    rotation = [matrix_to_rot6d(rotvec_to_matrix(turn))] if action == "ee_pose" else []
    actions = np.concatenate([start + (end - start) * time, *rotation, gripper], -1)
    condition = rng.uniform(-1, 1, (count, condition_dim))
    return Batch(torch.from_numpy(actions.astype(np.float32)), torch.from_numpy(condition.astype(np.float32)))


class Windows:
    """A BatchSource over fixed windows, in order."""

    def __init__(self, windows: Batch, batch: int, on_next: Callable[[int], None] = lambda position: None) -> None:
        self.windows, self.batch, self.position, self.on_next = windows, batch, 0, on_next

    def next(self, tell: Callable[[str], None]) -> Batch:
        self.on_next(self.position)
        chosen = torch.arange(self.position, self.position + self.batch) % len(self.windows.actions)
        self.position += self.batch
        return Batch(self.windows.actions[chosen], self.windows.condition[chosen])

    def validation(self) -> Batch | None:
        return self.windows

    def state(self) -> dict[str, Any]:
        return {"position": self.position}

    def restore(self, state: dict[str, Any]) -> None:
        self.position = state["position"]


def make_dataset(root: Location, shards: int | None = None, header: DatasetHeader = DATASET_HEADER) -> Dataset:
    """The two-joint example dataset, or that of another header, sealed, or with only its first shards."""
    dataset = Dataset.create(root, header)
    for index in range(header.shards if shards is None else shards):
        dataset.publish(index, example_table(index, header.rows_in(index), header), 8, {})
    if shards is None:
        dataset.set_state("sealed")
    return dataset


def make_demonstrations(episodes: int = 6, action: ActionName = "ee_pose") -> Demonstrations:
    """Straight moves to a target that is seen, of the pose or of two joints."""
    made = []
    for index in range(episodes):
        rng = np.random.default_rng(index)
        steps = int(rng.integers(20, 31))
        target = rng.uniform(-0.5, 0.5, 3)
        share = np.linspace(0, 1, steps)[:, None]
        rotation = matrix_to_rot6d(rotvec_to_matrix(share * target))
        gripper = np.where(share > 0.8, 1.0, -1.0)
        actions = np.concatenate([share * target + [0, 0, 1], rotation, gripper], axis=1).astype(np.float32)
        if action == "joint_position":
            actions = join_joint_action(share * target[:2], gripper[:, 0])
        observations = {
            "target": np.repeat(target[None], steps, axis=0).astype(np.float32),
            "tcp_rotation_6d": rotation.astype(np.float32),
        }
        made.append(Episode(f"data/demo_{index}", observations, actions, is_validation(index), seed=index))
    widths = {key: values.shape[1] for key, values in made[0].observations.items()}
    return Demonstrations("reach", DATASET_HEADER.robot.name, 20.0, widths, tuple(made), action_space=action)
