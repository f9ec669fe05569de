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
from trainer.data.demonstrations.checks.faults import ColumnFault
from trainer.data.demonstrations.checks.finite import require_finite


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
    names = [name for name in group if group.get(name, getclass=True) is h5py.Group]
    return sorted(names, key=lambda name: (int(re.sub(r"\D", "", name) or 0), name))


def values(demo: h5py.Group, key: str, shape: tuple[int | None, ...]) -> NDArray[Any]:
    """A demo's array.

    Args:
        demo: group of the demo.
        key: of the array in it.
        shape: that it must have; None fits any length.

    Raises:
        ColumnFault: it isn't there, has another shape, or isn't finite numbers; says where.
    """
    dataset = demo.get(key)
    if dataset is None:
        raise ColumnFault("missing", f"lacks '{key}'")
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in "fiub":
        what = f"of type {dataset.dtype}" if isinstance(dataset, h5py.Dataset) else "a group"
        raise ColumnFault("not numbers", f"'{key}' is {what}; a column holds numbers")
    fits = len(dataset.shape) == len(shape) and all(b in (None, a) for a, b in zip(dataset.shape, shape, strict=True))
    if not fits:
        raise ColumnFault("not one row a step", f"'{key}' has shape {dataset.shape}, expected {shape}")
    array = np.asarray(dataset)
    require_finite(array, key)
    return array
