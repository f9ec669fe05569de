"""Recording attempts into a file of demonstrations, as trainer/data/demonstrations/formats/simulator.py describes."""

import json
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from shared.errors import DemonstrationError
from shared.rotation import matrix_to_rotvec, rot6d_to_matrix
from trainer.data.demonstrations.episode import is_validation
from trainer.data.demonstrations.formats.simulator import Header
from trainer.poses import Frames

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Attempt:
    """One attempt at a task, T control steps.

    Attributes:
        seed: of the environment.
        success: whether the task was done, by the simulator's own check.
        observations: each key's values before each action, (T, width) float32.
        actions: `ee_pose` (T, 10): position in the base frame [m] 3, rotation_6d 6, gripper 1.
        states: (T, 1+nq+nv) time, generalized positions and velocities before each action.
        succeeded: (T,) bool, the check after each action.
    """

    seed: int
    success: bool
    observations: dict[str, NDArray[np.float32]]
    actions: FloatArray
    states: FloatArray
    succeeded: NDArray[np.bool_]


class DemonstrationWriter:
    """Writes a file of demonstrations; use `create_demonstrations`."""

    def __init__(self, file: h5py.File, header: Header, model_xml: str) -> None:
        self._file, self._frames, self._model_xml = file, header.frames, model_xml
        self._groups = {True: file.create_group("data"), False: file.create_group("failed")}
        self.successes = self.attempts = 0

    def add(self, attempt: Attempt) -> None:
        """Appends one attempt to the group it belongs in."""
        group = self._groups[attempt.success]
        demo = group.create_group(f"demo_{len(group)}")
        demo.attrs["num_samples"] = len(attempt.actions)
        demo.attrs["model_file"] = self._model_xml
        demo.attrs["seed"] = attempt.seed
        demo.attrs["success"] = attempt.success
        demo["actions"] = site_actions(attempt.actions, self._frames)
        demo["states"] = attempt.states
        demo["rewards"] = attempt.succeeded.astype(np.float64)
        demo["dones"] = np.arange(1, len(attempt.actions) + 1) == len(attempt.actions)
        for key, values in attempt.observations.items():
            demo[f"obs/{key}"] = values
        self.attempts += 1
        self.successes += attempt.success

    def finish(self, header: Header, env_args: Mapping[str, Any]) -> None:
        """Writes what is known only at the end."""
        data = self._groups[True]
        data.attrs["total"] = sum(int(demo.attrs["num_samples"]) for demo in data.values())
        data.attrs["env_args"] = json.dumps(env_args)
        data.attrs["headstart"] = json.dumps(asdict(header))
        names: dict[bool, list[str]] = {False: [], True: []}
        for index in range(len(data)):
            names[is_validation(index)].append(f"demo_{index}")
        for mask, held_out in (("train", False), ("valid", True)):
            self._file[f"mask/{mask}"] = np.array(names[held_out], dtype="S")


@contextmanager
def create_demonstrations(
    path: Path, header: Header, env_args: Mapping[str, Any], model_xml: str
) -> Iterator[DemonstrationWriter]:
    """A writer whose file appears at `path` when the block ends; nothing appears if it ends by an exception.

    Raises:
        DemonstrationError: no file can be made there.
    """
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.touch(exist_ok=False)
    except OSError as error:
        raise DemonstrationError(f"can't be written ({error})", path) from error
    try:
        with h5py.File(unfinished, "w") as file:
            writer = DemonstrationWriter(file, header, model_xml)
            yield writer
            writer.finish(header, env_args)
        with unfinished.open("rb") as written:
            os.fsync(written.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def site_actions(actions: FloatArray, frames: Frames) -> FloatArray:
    """(T, 10) `ee_pose` to the (T, 7) that robosuite takes."""
    position, rotation = frames.site_from_tcp((actions[:, :3], rot6d_to_matrix(actions[:, 3:9])))
    return np.concatenate([position, matrix_to_rotvec(rotation), actions[:, 9:]], axis=1)
