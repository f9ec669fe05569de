"""A file of rollouts that the service's page plays: JSON, as docs/data-format.md says."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.config import ActionName
from trainer.data.action import GRIPPER, POSITION, ROTATION
from trainer.simulation.expert_attempt import ExpertAttempt
from trainer.simulation.reached import Reached
from trainer.simulation.rollout import Rollout
from trainer.simulation.task import Task
from trainer.tensor_file import publish

FORMAT = "headstart-rollouts"
VERSION = 1
"""Raised where a page that reads the one before could misread a file."""
LARGEST = 32 << 20
"""Bytes of a file, at most: the page opens no larger one."""

_DIGITS = 6
_UNITS = (
    "joints in rad (m if they slide), positions in m, rate_hz in samples a second; poses are of the tool centre point "
    "and of objects, in the base frame of the arm; rotation_6d is the first two rows of a rotation matrix; gripper is "
    "what was commanded, -1 open to +1 closed"
)


class RolloutsFile:
    """Collects rollouts and writes them once, whole."""

    def __init__(self, path: Path, task: Task, policy: Mapping[str, Any]) -> None:
        """`policy` says whose rollouts they are: names and numbers that the page shows."""
        self._path, self._action = path, task.action
        self._about = {
            "format": FORMAT,
            "version": VERSION,
            "units": _UNITS,
            "task": task.name,
            "robot": task.robot,
            "rate_hz": task.rate_hz,
            "policy": dict(policy),
        }
        self._rollouts: dict[int, str] = {}

    def add(self, result: Rollout, demonstrated: ExpertAttempt | None) -> None:
        """A rollout that has ended, and what the expert did from the same beginning."""
        entry = {
            "seed": result.seed,
            "success": bool(result.success),
            "steps": result.steps,
            "fault": result.fault,
            "commanded": _commanded(result.commands, self._action),
            "reached": _reached(result.reached, result.commands[:, GRIPPER]),
            "predicted": [
                {"step": number * result.n_action_steps, **_commanded(chunk, self._action)}
                for number, chunk in enumerate(result.chunks)
            ],
            "demonstrated": None if demonstrated is None else self._demonstration(demonstrated),
        }
        self._rollouts[result.seed] = json.dumps(entry, separators=(",", ":"), allow_nan=False)

    def write(self) -> None:
        """Writes the file, in the order of seeds; what it has no room for is left out, and `left_out` says whose."""
        about = json.dumps(self._about, indent=1, allow_nan=False)[:-2]
        room = LARGEST - len(about.encode()) - 100 - 24 * len(self._rollouts)
        kept, left_out = list[str](), list[int]()
        for seed, entry in sorted(self._rollouts.items()):
            if len(entry) <= room:
                kept.append(entry)
                room -= len(entry)
            else:
                left_out.append(seed)
        text = f'{about},\n "left_out": {json.dumps(left_out)},\n "rollouts": [\n' + ",\n".join(kept) + "\n]}\n"
        publish(self._path, text.encode())

    def _demonstration(self, made: ExpertAttempt) -> dict[str, Any]:
        """Its motion: what was reached where that is known, else what was commanded."""
        known = _reached(made.reached, made.commands[:, GRIPPER])
        return {
            "by": "expert",
            "success": made.success,
            "reached": known is not None,
            **(known or _commanded(made.commands, self._action)),
        }


def _commanded(actions: NDArray[np.float32], action: ActionName) -> dict[str, Any]:
    """Actions (T, width) as motion, by the names of a row's columns."""
    pose = {"ee_position": actions[:, POSITION], "ee_rotation_6d": actions[:, ROTATION]}
    motion = pose if action == "ee_pose" else {"joint_position": actions[:, :GRIPPER]}
    return {name: _rounded(values) for name, values in motion.items()} | {"gripper": _rounded(actions[:, GRIPPER])}


def _reached(reached: Reached, gripper: NDArray[np.float32]) -> dict[str, Any] | None:
    """Where arm and objects were, (T + 1, numbers) each; None where nothing is known of the arm.

    Of the gripper it is what was commanded from each sample on, (T,), and the last once more.
    """
    arm = {name: _rounded(values) for name, values in reached.items() if not name.startswith("object/")}
    if not arm or not len(gripper):
        return None
    objects: dict[str, dict[str, Any]] = {}
    for name, values in reached.items():
        if name.startswith("object/"):
            thing, _, part = name.removeprefix("object/").rpartition("/")
            objects.setdefault(thing, {})[part] = _rounded(values)
    return {**arm, "gripper": _rounded(gripper[[*range(len(gripper)), -1]]), "objects": objects}


def _rounded(values: NDArray[np.floating[Any]]) -> Any:
    return np.round(np.asarray(values, np.float64), _DIGITS).tolist()
