"""Summaries of demonstrations as files: a user's own, and the one that a fitted dataset keeps beside it."""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa

from shared.dataset import Dataset
from shared.errors import DatasetFormatError, SummaryError
from shared.storage import Storage
from shared.summary import DemonstrationSummary

MAX_BYTES = 2 << 20
"""Of a summary as JSON."""

_MAX_STORED_BYTES = 2 * MAX_BYTES
"""Of one that was taken: written anew, numbers such as 1 take more room."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


def read_summary(path: Path) -> DemonstrationSummary:
    """The summary in a file. Raises SummaryError, naming the file."""
    try:
        return DemonstrationSummary.from_json(read_summary_json(path))
    except SummaryError as error:
        if not error.pointer:
            raise
        raise SummaryError(error.pointer, f"{error.detail} (in {path})") from None


def read_summary_json(path: Path) -> Any:
    """A summary's file as JSON, not checked yet. Raises SummaryError, naming the file, if it is none or too large."""
    try:
        with path.open("rb") as file:
            return _unpacked(file.read(MAX_BYTES + 1), MAX_BYTES, str(path))
    except OSError as error:
        raise SummaryError("", f"{path} can't be read: {error.strerror}") from None


def write_summary(summary: DemonstrationSummary, path: Path) -> None:
    """Writes a summary's file, whole or not at all. Raises SummaryError if it would be too large to be read."""
    content = _packed(summary)
    if len(content) > MAX_BYTES:
        size = f"{len(content) / (1 << 20):.1f} MiB, {MAX_BYTES >> 20} are possible"
        raise SummaryError("", f"would have {size}: use fewer windows")
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        raise SummaryError("", f"{path} can't be written: {error.strerror}") from None


def store_summary(storage: Storage, summary: DemonstrationSummary) -> None:
    """Keeps a summary with the dataset that is drawn from it. Raises OSError."""
    storage.prepare(())
    storage.create(_name(summary.content_sha256), pa.py_buffer(_packed(summary)))


def stored_summary(dataset: Dataset) -> DemonstrationSummary | None:
    """The summary that a dataset is drawn from, or None if it is drawn otherwise.

    Raises DatasetFormatError if it is missing, or not the one that the dataset's request names.
    """
    workspace = dataset.header.request.get("workspace")
    if not isinstance(workspace, dict) or workspace.get("kind") != "fitted":
        return None
    named = workspace.get("summary")
    sha256 = str(named.get("sha256")) if isinstance(named, dict) else ""
    where, content = f"{dataset.where}/{_name(sha256)}", None
    if _SHA256.fullmatch(sha256):
        content = dataset.storage.read(_name(sha256))
    if content is None:
        raise DatasetFormatError("is missing; restore it, or make the dataset again", where)
    try:
        summary = DemonstrationSummary.from_json(
            _unpacked(bytes(content[: _MAX_STORED_BYTES + 1]), _MAX_STORED_BYTES, where)
        )
    except SummaryError as error:
        raise DatasetFormatError(f"{error}; restore it, or make the dataset again", where) from None
    if summary.content_sha256 != sha256:
        raise DatasetFormatError("is another summary than the dataset's request names; restore it", where)
    return summary


def _name(sha256: str) -> str:
    """A summary's file beside the dataset that is drawn from it."""
    return f"summary-{sha256}.json"


def _packed(summary: DemonstrationSummary) -> bytes:
    return json.dumps(summary.to_json(), separators=(",", ":"), allow_nan=False).encode()


def _unpacked(content: bytes, most: int, where: str) -> Any:
    if len(content) > most:
        raise SummaryError("", f"{where} has more than {most >> 20} MiB; summarize with fewer windows")
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise SummaryError("", f"{where} is not JSON: {error}") from None
