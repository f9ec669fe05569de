"""A LeRobot data set of the made-up arm, written as its format says, to be spoiled in one way or another."""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from shared.rotation import matrix_to_rot6d
from tests.trainer.data.demonstrations.example import RATE_HZ, Reach, reach
from trainer.data.demonstrations.mapping.mapping import Mapping as MappingFile
from trainer.data.demonstrations.mapping.mapping_file import parse_mapping

Table = dict[str, Any]
"""Columns of a file by name: arrays of numbers, (T,) or (T, width), or what Arrow makes an array of."""


def columns(motion: Reach) -> dict[str, NDArray[Any]]:
    """Commanded and observed pose as position, rot6d and gripper, (T, 10) each."""
    found = {}
    for name, one in (("action", motion), ("observation.state", motion.seen())):
        parts = [one.position, matrix_to_rot6d(one.rotation), one.gripper[:, None]]
        found[name] = np.concatenate(parts, axis=1).astype(np.float32)
    return found


def episodes(count: int, steps: int = 40) -> list[Table]:
    """So many picks, each with what the format needs beside its columns."""
    return [numbered(index, columns(reach(index, steps))) for index in range(count)]


def numbered(index: int, values: Mapping[str, Any]) -> Table:
    """An episode's columns, and its steps' numbers and times."""
    steps = len(next(iter(values.values())))
    frames = np.arange(steps)
    return {
        **values,
        "timestamp": (frames / RATE_HZ).astype(np.float32),
        "frame_index": frames,
        "episode_index": np.full(steps, index),
    }


def as_lists(values: NDArray[Any]) -> pa.Array:
    """(T, width) as Arrow's lists of a fixed size, as LeRobot writes them."""
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])


def write_lerobot(
    root: Path,
    tables: Sequence[Table],
    *,
    features: Mapping[str, Mapping[str, Any]] | None = None,
    lengths: Sequence[int] | None = None,
    lists: Callable[[NDArray[Any]], pa.Array] = as_lists,
    meta: Mapping[str, Sequence[Any]] | None = None,
    **info: Any,
) -> Path:
    """A data set of version 3.0, one file of all episodes.

    Args:
        root: its folder, made anew.
        tables: an episode each.
        features: of info.json beside those of the columns that are arrays of numbers.
        lengths: what meta/ says of the episodes' lengths.
        lists: makes an Arrow column of (T, width).
        meta: further columns of meta/episodes/.
        info: other values of info.json.
    """
    (root / "meta" / "episodes" / "chunk-000").mkdir(parents=True)
    (root / "data" / "chunk-000").mkdir(parents=True)
    names = list(tables[0])
    whole = {name: [table[name] for table in tables] for name in names}
    arrays = {name: pa.concat_arrays([_column(part, lists) for part in parts]) for name, parts in whole.items()}
    pq.write_table(pa.table(arrays), root / "data" / "chunk-000" / "file-000.parquet")
    counts = list(lengths) if lengths is not None else [len(table["frame_index"]) for table in tables]
    said = {
        "episode_index": list(range(len(tables))),
        "length": counts,
        "tasks": [["pick"]] * len(tables),
        "data/chunk_index": [0] * len(tables),
        "data/file_index": [0] * len(tables),
    }
    pq.write_table(pa.table({**said, **(meta or {})}), root / "meta" / "episodes" / "chunk-000" / "file-000.parquet")
    shapes = {
        name: {"dtype": str(parts[0].dtype), "shape": list(parts[0].shape[1:]) or [1], "names": None}
        for name, parts in whole.items()
        if isinstance(parts[0], np.ndarray)
    }
    content = {
        "codebase_version": "v3.0",
        "robot_type": "arm6",
        "fps": int(RATE_HZ),
        "total_episodes": len(tables),
        "features": {**shapes, **(features or {})},
        **info,
    }
    (root / "meta" / "info.json").write_text(json.dumps(content))
    return root


def _column(values: Any, lists: Callable[[NDArray[Any]], pa.Array]) -> pa.Array:
    if isinstance(values, np.ndarray):
        return lists(values) if values.ndim == 2 else pa.array(values)
    return values if isinstance(values, pa.Array) else pa.array(values)


def png(picture: NDArray[np.uint8]) -> bytes:
    """A picture (height, width, 3) as the bytes of a PNG file."""
    file = io.BytesIO()
    with av.open(file, "w", format="image2pipe") as container:
        stream = container.add_stream("png", 1)
        stream.height, stream.width, stream.pix_fmt = picture.shape[0], picture.shape[1], "rgb24"
        for packet in (*stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")), *stream.encode(None)):
            container.mux(packet)
    return file.getvalue()


def pose_mapping(**changes: Any) -> MappingFile:
    """The mapping of `columns`, with other values at its top level."""
    content: dict[str, Any] = {"observation": {"low_dim": ["observation.state"]}}
    for table, column in (("action", "action"), ("state", "observation.state")):
        content[table] = {
            "position": {"columns": f"{column}[0:3]"},
            "rotation": {"columns": f"{column}[3:9]", "encoding": "rot6d"},
            "gripper": {"columns": f"{column}[9]", "open": -1, "closed": 1},
        }
    content["action"]["space"] = "ee_pose"
    return parse_mapping(content | changes, "mapping.toml")
