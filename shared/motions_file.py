"""Motions files: a user's own, and the one that a dataset of copies keeps beside it."""

import re
from pathlib import Path

import pyarrow as pa

from shared import motions_parquet
from shared.dataset import motions_name
from shared.demonstrated_motions import DemonstratedMotions
from shared.errors import DatasetFormatError, MotionsError
from shared.follow import ShardSource
from shared.storage import Storage

_SHA256 = re.compile(r"[0-9a-f]{64}")


def read_motions(path: Path) -> DemonstratedMotions:
    """The motions in a file. Raises MotionsError, naming the file."""
    try:
        with path.open("rb") as file:
            # One more than is read, so that what is longer is told from what just fits.
            content = file.read(motions_parquet.MAX_BYTES + 1)
    except OSError as error:
        raise MotionsError(f"{path} can't be read: {error.strerror}") from None
    try:
        return motions_parquet.from_parquet(content)
    except MotionsError as error:
        raise MotionsError(f"{path}: {error}") from None


def write_motions(motions: DemonstratedMotions, path: Path) -> None:
    """Writes a motions file, whole or not at all. Raises MotionsError."""
    content, part = motions_parquet.to_parquet(motions), path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        raise MotionsError(f"{path} can't be written: {error.strerror}") from None


def store_motions(storage: Storage, motions: DemonstratedMotions) -> None:
    """Keeps motions with the dataset of their copies. Raises OSError."""
    storage.prepare(())
    storage.create(motions_name(motions.content_sha256), pa.py_buffer(motions_parquet.to_parquet(motions)))


def motions_of(source: ShardSource) -> DemonstratedMotions | None:
    """The motions that a dataset's rows are copies of, wherever it is, or None if they are of none.

    Raises DatasetFormatError if they are missing, or not those that the dataset's request names; ServiceError.
    """
    workspace = source.header.request.get("workspace")
    if not isinstance(workspace, dict) or workspace.get("kind") != "objects":
        return None
    sha256 = str(workspace.get("motions"))
    where = f"motions {sha256[:12]} of dataset {source.header.dataset_id[:12]}"
    content = source.motions(sha256) if _SHA256.fullmatch(sha256) else None
    if content is None:
        raise DatasetFormatError("are missing; restore them, or make the dataset again", where)
    try:
        motions = motions_parquet.from_parquet(bytes(content[: motions_parquet.MAX_BYTES + 1]))
    except MotionsError as error:
        raise DatasetFormatError(f"{error}; restore them, or make the dataset again", where) from None
    if motions.content_sha256 != sha256:
        raise DatasetFormatError("are others than the dataset's request names; restore them", where)
    return motions
