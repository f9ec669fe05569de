"""What an export must hold, worked out from the shards' files alone, row by row. Also runs without Headstart."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq


@dataclass
class Row:
    """One row: its id and family, and each list column's values, (T, width)."""

    id: int
    family: str
    columns: dict[str, Any]

    @property
    def state(self) -> Any:
        """(T, dof + 1) joint positions and gripper."""
        return np.concatenate([self.columns["joint_position"], self.columns["gripper"]], axis=1)

    def action(self, kind: str, label: str) -> Any:
        """(T, width): of the same step (`command`), or of the next (`reached`), where the last step has none."""
        names = ["joint_position"] if kind == "joint_position" else ["ee_position", "ee_rotation_6d"]
        values = np.concatenate([self.columns[name] for name in [*names, "gripper"]], axis=1)
        return values if label == "command" else np.concatenate([values[1:], values[-1:]])


def expected_rows(dataset: Path) -> list[Row]:
    """The rows of a dataset directory in order of their ids."""
    dof = len(json.loads((dataset / "dataset.json").read_text())["robot"]["joint_names"])
    widths = {"joint_position": dof, "joint_velocity": dof, "ee_position": 3, "ee_rotation_6d": 6, "gripper": 1}
    rows = []
    for path in sorted((dataset / "shards").glob("*.parquet")):
        for row in pq.read_table(path).to_pylist():
            columns = {n: np.array(row[n], np.float32).reshape(row["length"], w) for n, w in widths.items()}
            rows.append(Row(row["trajectory_id"], row["family"], columns))
    return rows
