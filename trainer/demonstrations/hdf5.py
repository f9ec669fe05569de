"""Opening HDF5 files of demonstrations and taking checked arrays out of them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from shared.errors import DemonstrationError
from trainer.demonstrations.finite import require_finite


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """A file to read from; what goes wrong inside the block because it is not whole names the file.

    Raises:
        DemonstrationError: it isn't there, or isn't whole.
    """
    if not path.is_file():
        raise DemonstrationError("there is no such file", path)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError) as error:
        raise DemonstrationError(f"isn't a whole HDF5 file of demonstrations ({error})", path) from error


def demo_names(group: h5py.Group) -> list[str]:
    """The demos of a group in the order of their numbers, which HDF5 does not keep."""
    return sorted(group, key=lambda name: (int(re.sub(r"\D", "", name) or 0), name))


def values(demo: h5py.Group, key: str, shape: tuple[int | None, ...]) -> NDArray[Any]:
    """A demo's array.

    Args:
        demo: group of the demo.
        key: of the array in it.
        shape: that it must have; None fits any length.

    Raises:
        ValueError: it isn't there, has another shape, or isn't finite; says where.
    """
    if key not in demo:
        raise ValueError(f"lacks '{key}'")
    dataset = demo[key]
    fits = len(dataset.shape) == len(shape) and all(b in (None, a) for a, b in zip(dataset.shape, shape, strict=True))
    if not fits:
        raise ValueError(f"'{key}' has shape {dataset.shape}, expected {shape}")
    array = np.asarray(dataset)
    require_finite(array, key)
    return array
