"""Run by a Python that has the real lerobot, not by ours: `python lerobot_check.py DATASET EXPORT ACTION LABEL`.

Compares every step that lerobot reads from an export with the rows of the dataset it was made of, then windows of it,
tasks and statistics. Prints one JSON object; fails by AssertionError.
"""

import json
import sys
from pathlib import Path

import lerobot
import numpy as np
from expected import expected_rows
from lerobot.datasets.lerobot_dataset import LeRobotDataset

CHUNK = 16


def main() -> None:
    """Compares."""
    dataset, export, kind, label = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4]
    rows = expected_rows(dataset)
    state = np.concatenate([row.state for row in rows])
    action = np.concatenate([row.action(kind, label) for row in rows])
    lengths = np.array([len(row.state) for row in rows])
    fps = json.loads((dataset / "dataset.json").read_text())["rate_hz"]

    read = LeRobotDataset("headstart/export", root=export)
    assert (len(read), read.num_episodes, read.fps) == (len(state), len(rows), fps)
    steps = read.hf_dataset.with_format("numpy")
    assert np.array_equal(np.stack(steps["observation.state"][:]), state)
    assert np.array_equal(np.stack(steps["action"][:]), action)
    frames = np.concatenate([np.arange(n) for n in lengths])
    assert np.array_equal(np.asarray(steps["frame_index"][:]), frames)
    assert np.array_equal(np.asarray(steps["episode_index"][:]), np.repeat(np.arange(len(rows)), lengths))
    assert np.allclose(np.asarray(steps["timestamp"][:]), frames / fps, atol=1e-6)
    for name, values in (("observation.state", state), ("action", action)):
        found = read.meta.stats[name]
        expected = {"min": values.min(0), "max": values.max(0), "mean": values.mean(0, np.float64)}
        for key, value in {**expected, "std": values.std(0, dtype=np.float64)}.items():
            assert np.allclose(np.asarray(found[key], np.float64), value, rtol=1e-6, atol=1e-6), (name, key)

    windows = {"action": [k / fps for k in range(CHUNK)], "observation.state": [-1 / fps, 0.0]}
    read = LeRobotDataset("headstart/export", root=export, delta_timestamps=windows)
    begins = np.cumsum(lengths) - lengths
    places = np.random.default_rng(0).integers(0, len(state), 200).tolist()
    for index in [0, len(state) - 1, *places]:
        item = read[index]
        episode = int(np.searchsorted(begins, index, side="right")) - 1
        first, last = begins[episode], begins[episode] + lengths[episode] - 1
        assert np.array_equal(item["action"].numpy(), action[np.clip(np.arange(index, index + CHUNK), first, last)])
        assert np.array_equal(item["observation.state"].numpy(), state[np.clip([index - 1, index], first, last)])
        assert item["task"] == rows[episode].family
    print(json.dumps({"lerobot": lerobot.__version__, "python": sys.version.split()[0], "steps": len(state)}))


main()
