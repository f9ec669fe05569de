"""How large a LeRobot data set's pictures are: what its shape says, and where that can be read in two ways, they say.

A feature's shape has height, width and channels in one order or another, and its names are seldom of any help: writers
leave them out, call the channels "rgb", or copy them from another data set.
"""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from shared.errors import DemonstrationError
from trainer.data.demonstrations.formats.lerobot_meta import Meta
from trainer.data.demonstrations.formats.video import picture_size, video_size

Size = tuple[int, int]

_CHANNELS = (1, 3, 4)
_HEIGHT, _WIDTH = ("height", "h"), ("width", "w")


def stored_size(meta: Meta, camera: str) -> Size:
    """Height and width of a camera's pictures. Raises DemonstrationError where no shape can be meant."""
    feature = meta.features[camera]
    shape = tuple(feature["shape"])
    if len(shape) not in (2, 3):
        raise DemonstrationError(f"says that '{camera}' has shape {shape}; a picture's is of 2 or 3 numbers", meta.info)
    sizes = possible_sizes(shape, feature.get("names"))
    if len(sizes) == 1:
        return sizes[0]
    found = _first_size(meta, camera)
    return found if found in sizes else sizes[0]


def possible_sizes(shape: tuple[int, ...], names: Any) -> list[Size]:
    """Each height and width that a shape of 2 or 3 numbers may mean, likeliest first.

    It is one alone where shape and names agree.
    """
    if len(shape) == 2:
        shape, names = (*shape, 1), None
    words = [str(name).lower() for name in names] if isinstance(names, list) and len(names) == 3 else [""] * 3
    places = [place for place in (2, 0) if shape[place] in _CHANNELS] or [2]
    sizes: list[Size] = []
    for channels in places:
        a, b = (place for place in range(3) if place != channels)
        if words[a] in _HEIGHT and words[b] in _WIDTH:
            # Said and possible: a picture that is 3 pixels high is not.
            return [(shape[a], shape[b])]
        if words[a] in _WIDTH and words[b] in _HEIGHT:
            sizes.insert(0, (shape[b], shape[a]))
        sizes += [(shape[a], shape[b]), (shape[b], shape[a])]
    return list(dict.fromkeys(sizes))


def _first_size(meta: Meta, camera: str) -> Size | None:
    """Height and width of the first picture that is there; None where none can be read."""
    for entry in meta.episodes:
        try:
            if meta.features[camera]["dtype"] == "image":
                return _in_table(meta.data_path(entry), camera)
            if meta.has_video(entry, camera):
                return video_size(meta.video_path(entry, camera))
        except (OSError, ValueError, pa.ArrowException):
            return None
    return None


def _in_table(path: Path, camera: str) -> Size | None:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(1, row_groups=[0], columns=[camera]):
            for value in batch.column(0).to_pylist():
                return picture_size(value["bytes"]) if value and value.get("bytes") else None
    return None
