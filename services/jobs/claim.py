"""One service has one data folder: a claim on it, which refuses a second service by the name of the first."""

import fcntl
import json
import logging
import os
import socket
import threading
import time
import uuid
from pathlib import Path

import pyarrow as pa

from headstart_client.data.object_store import ObjectStorage
from shared.errors import ConfigError, DatasetError
from shared.storage import Location

_FILE = ".service"
_RENEWED_EVERY_S = 4.0
_GONE_AFTER_S = 12.0
"""A claim in an object store that was not renewed for so long is a killed service's."""
_SETTLED_S = 1.0

_log = logging.getLogger(__name__)


def claimed(data: Location, url: str) -> "FolderClaim | BucketClaim":
    """A claim on a data folder or a prefix in an object store, for the service at `url`, until it is released.

    Raises:
        ConfigError: another service has it; says which.
        OSError, DatasetError: it can't be reached.
    """
    name = f"{url} (process {os.getpid()} on {socket.gethostname()})"
    return FolderClaim(data, name) if isinstance(data, Path) else BucketClaim(data, name)


class FolderClaim:
    """A lock on a file in the folder. The operating system releases it when the process ends, however it does."""

    def __init__(self, folder: Path, name: str) -> None:
        """Claims the folder, which is made if it is missing."""
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / _FILE).open("a+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            other = self._file.read(1000)
            self._file.close()
            raise _refused(folder, other) from None
        self._file.truncate(0)
        self._file.write(name)
        self._file.flush()

    def release(self) -> None:
        """Gives the folder free."""
        self._file.close()


class BucketClaim:
    """An object that its service writes anew every few seconds, since a store has no locks."""

    def __init__(self, uri: str, name: str) -> None:
        """Claims the prefix. Where a killed service had it, that takes _GONE_AFTER_S."""
        self._storage, self._name, self._id = ObjectStorage(uri), name, uuid.uuid4().hex
        self._renewals = 0
        if not self._storage.create(_FILE, self._content()):
            self._take_over(uri)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="headstart-claim", daemon=True)
        self._thread.start()

    def release(self) -> None:
        """Gives the prefix free."""
        self._ended.set()
        self._thread.join()
        if _said(self._storage).get("id") == self._id:
            self._storage.remove([_FILE])

    def _take_over(self, uri: str) -> None:
        before, deadline = _said(self._storage), time.monotonic() + _GONE_AFTER_S
        while time.monotonic() < deadline:
            time.sleep(_SETTLED_S)
            now = _said(self._storage)
            if now and now != before:
                raise _refused(uri, str(now.get("name")))
        self._storage.replace(_FILE, self._content())
        # Of several that take it over at once, the last one has it.
        time.sleep(_SETTLED_S)
        now = _said(self._storage)
        if now.get("id") != self._id:
            raise _refused(uri, str(now.get("name")))

    def _renew(self) -> None:
        while not self._ended.wait(_RENEWED_EVERY_S):
            self._renewals += 1
            try:
                other = _said(self._storage)
                if other.get("id", self._id) != self._id:
                    _log.error("%s has taken over %s; stop one of the two", other.get("name"), self._storage.where)
                    return
                self._storage.replace(_FILE, self._content())
            except DatasetError as error:
                _log.warning("the claim can't be renewed: %s", error)

    def _content(self) -> pa.Buffer:
        said = {"name": self._name, "id": self._id, "renewals": self._renewals}
        return pa.py_buffer(json.dumps(said).encode())


def _said(storage: ObjectStorage) -> dict[str, object]:
    content = storage.read(_FILE)
    try:
        said = json.loads(content.to_pybytes()) if content is not None else {}
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _refused(data: Location, other: str) -> ConfigError:
    return ConfigError(f"{data} is served by {other} already; stop that service, or give this one another --data")
