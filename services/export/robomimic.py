"""robomimic's HDF5 file.

data/                attrs: total, env_args, headstart (where it comes from, as JSON)
  demo_0/            attrs: num_samples, trajectory_id, family
    actions [T, width]  rewards [T] (1 at the goal)  dones [T] (1 at the last step)
    obs/joint_position [T, dof]  joint_velocity [T, dof]  ee_position [T, 3]  ee_rotation_6d [T, 6]  gripper [T, 1]
mask/train, mask/valid   names of the demos
"""

import json
from pathlib import Path

import h5py
import numpy as np

from services.export.episodes import Content, Episodes
from shared.order import is_validation

VALIDATION_SHARE = 0.1
_ENV_TYPE = 2
"""robomimic's number for a Gym environment; there is none to roll out in."""
_NAME = h5py.string_dtype("ascii", 20)


class Robomimic:
    """Writes one file in this layout."""

    def __init__(self, path: Path, content: Content) -> None:
        """Begins the file."""
        self._content = content
        self._file = h5py.File(path, "w", libver="latest")
        self._data = self._file.create_group("data")
        self._masks = {
            name: self._file.create_dataset(f"mask/{name}", (0,), _NAME, maxshape=(None,), chunks=(4096,))
            for name in ("train", "valid")
        }
        self._total = 0

    def write(self, episodes: Episodes) -> None:
        """Adds some episodes."""
        actions = episodes.actions(self._content)
        for row, index in enumerate(episodes.indices.tolist()):
            length = int(episodes.lengths[row])
            steps = slice(int(episodes.ends[row]) - length, int(episodes.ends[row]))
            demo = self._data.create_group(f"demo_{index}")
            demo.attrs["num_samples"] = length
            demo.attrs["trajectory_id"] = int(episodes.ids[row])
            demo.attrs["family"] = episodes.families[row]
            demo["actions"] = actions[steps]
            last = np.arange(length) == length - 1
            demo["rewards"] = last.astype(np.float32)
            demo["dones"] = last.astype(np.int64)
            for name, values in episodes.columns.items():
                demo[f"obs/{name}"] = values[steps]
        self._total += int(episodes.ends[-1])
        held_out = is_validation(episodes.ids, VALIDATION_SHARE)
        for name, chosen in (("train", ~held_out), ("valid", held_out)):
            _append(self._masks[name], [f"demo_{index}" for index in episodes.indices[chosen]])

    def close(self) -> None:
        """Adds what is known once all is written."""
        name = f"headstart-{self._content.header.robot.name}"
        environment = {"env_name": name, "type": _ENV_TYPE, "env_kwargs": {}}
        self._data.attrs["total"] = self._total
        self._data.attrs["env_args"] = json.dumps(environment)
        self._data.attrs["headstart"] = json.dumps(self._content.to_json())
        self._file.close()


def _append(dataset: "h5py.Dataset", names: list[str]) -> None:
    dataset.resize(len(dataset) + len(names), axis=0)
    if names:
        dataset[-len(names) :] = np.array(names, "S20")
