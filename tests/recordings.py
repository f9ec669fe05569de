"""What is in a recording, read with Rerun's own reader."""

import datetime
from pathlib import Path
from typing import Any

import numpy as np


def rows(file: Path, path: str, component: str = "Scalars:scalars") -> dict[str, list[Any]]:
    """An entity's rows in the order of `time`: its time lines [s or 1], and a component."""
    from rerun.chunk import RrdReader

    found: dict[str, list[Any]] = {}
    for chunk in RrdReader(str(file)).stream().collect().stream():
        if chunk.entity_path == f"/{path}" and not chunk.is_static:
            for name, values in chunk.to_record_batch().to_pydict().items():
                found.setdefault(name, []).extend(values)
    found["time"] = [moment / datetime.timedelta(seconds=1) for moment in found["time"]]
    order = np.argsort(found["time"], kind="stable")
    return {name: [found[name][place] for place in order] for name in ("time", "chunk", component) if name in found}
