"""A dataset in an object store: S3 and what speaks it, Google Cloud Storage, Azure.

There is no rename there: objects are put whole, and `create` is a conditional put (If-None-Match: *), which the store
itself gives to one caller only. obstore does the talking, because pyarrow.fs has no conditional put. Keys and
regions come from the usual environment variables (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, ...).
"""

import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pyarrow as pa

try:
    import obstore
    from obstore.exceptions import AlreadyExistsError, BaseError
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "a dataset in an object store needs obstore: pip install 'headstart-client[object-store]'", name=error.name
    ) from error

from headstart_client.errors import DatasetFormatError, ObjectStoreError

SCHEMES = ("s3", "gs", "az", "abfs", "abfss")
_OPTIONS = {"endpoint_override": "endpoint", "region": "region"}
_CREATE_TRIES = 20
_TRIES = 6
_SIDE_BY_SIDE = 32
"""Objects fetched at once."""
_CONNECT_S = timedelta(seconds=5)


class ObjectStorage:
    """A prefix in a bucket: a headstart_client.data.storage.Storage."""

    def __init__(self, uri: str, patience: timedelta = timedelta(seconds=60)) -> None:
        """Opens `s3://bucket/prefix[?endpoint_override=http://host:port&region=...]`; connects when first used.

        Args:
            uri: of the prefix.
            patience: how long a call is repeated for that is not answered.

        Raises:
            DatasetFormatError: a URI of another kind, without a bucket, or with an option that isn't known.
        """
        self._uri = uri
        parts = urlsplit(uri)
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        if parts.scheme not in SCHEMES or not parts.netloc:
            kinds = ", ".join(f"{scheme}://" for scheme in SCHEMES)
            raise DatasetFormatError(f"is not a place for a dataset; give a directory, or a bucket ({kinds})", uri)
        if unknown := sorted(set(options) - set(_OPTIONS)):
            raise DatasetFormatError(f"has the option {unknown[0]!r}; those known are {', '.join(_OPTIONS)}", uri)
        config: Any = {_OPTIONS[name]: value for name, value in options.items()}
        # Said here, because client options take the place of all that the environment says of the client.
        plain = config.get("endpoint", os.environ.get("AWS_ENDPOINT_URL", "")).startswith("http://")
        retries: Any = {"max_retries": _TRIES if patience else 0, "retry_timeout": patience}
        client: Any = {"connect_timeout": _CONNECT_S, **({"allow_http": True} if plain else {})}
        try:
            self._store = obstore.store.from_url(
                parts._replace(query="").geturl(), client_options=client, retry_config=retries, **config
            )
        except (BaseError, ValueError) as error:
            raise DatasetFormatError(f"can't be opened: {error}", uri) from None

    @property
    def where(self) -> str:
        """Its URI."""
        return self._uri

    def prepare(self, folders: Iterable[str]) -> None:
        """See Storage.prepare. There are no folders to make."""

    def read(self, name: str) -> pa.Buffer | None:
        """See Storage.read."""
        with self._reaching(name):
            try:
                return pa.py_buffer(obstore.get(self._store, name).bytes())
            except FileNotFoundError:
                return None

    def read_all(self, names: Sequence[str]) -> list[pa.Buffer | None]:
        """See Storage.read_all."""
        with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
            return list(pool.map(self.read, names))

    def size(self, name: str) -> int | None:
        """See Storage.size."""
        with self._reaching(name):
            found = self._head(name)
            return None if found is None else int(found["size"])

    def read_part(self, name: str, first: int, length: int) -> pa.Buffer | None:
        """See Storage.read_part."""
        with self._reaching(name):
            try:
                return pa.py_buffer(obstore.get_range(self._store, name, start=first, length=length))
            except FileNotFoundError:
                return None

    def made_at(self, name: str) -> datetime | None:
        """When an object was put, or None if there is none."""
        with self._reaching(name):
            found = self._head(name)
            return None if found is None else found["last_modified"]

    def paths(self) -> list[str]:
        """Names of everything below this prefix."""
        with self._reaching("its objects"):
            return [str(item["path"]) for page in obstore.list(self._store) for item in page]

    def folders(self) -> list[str]:
        """Names of what lies directly below this prefix and has something below itself."""
        with self._reaching("its folders"):
            found = obstore.list_with_delimiter(self._store)["common_prefixes"]
            return [str(prefix).rstrip("/").rpartition("/")[2] for prefix in found]

    def remove(self, names: Iterable[str]) -> None:
        """See Storage.remove."""
        with self._reaching("deleting"):
            obstore.delete(self._store, list(names))

    def names(self, folder: str) -> list[str]:
        """See Storage.names."""
        with self._reaching(folder):
            return [str(item["path"]).rpartition("/")[2] for page in obstore.list(self._store, folder) for item in page]

    def create(self, name: str, content: pa.Buffer) -> bool:
        """See Storage.create."""
        with self._reaching(name):
            for _ in range(_CREATE_TRIES):
                try:
                    obstore.put(self._store, name, _as_bytes(content), mode="create")
                    return True
                except AlreadyExistsError:
                    # Also the answer while another's put is under way, which may yet fail.
                    if self._head(name) is not None:
                        return False
                    time.sleep(0.1)
        raise ObjectStoreError("is neither there nor can it be created; try again", f"{self._uri}: {name}")

    def replace(self, name: str, content: pa.Buffer) -> None:
        """See Storage.replace."""
        with self._reaching(name):
            obstore.put(self._store, name, _as_bytes(content))

    def sweep(self, older_than_s: float) -> None:
        """See Storage.sweep. An object is there whole or not at all: nothing is left."""

    def _head(self, name: str) -> Any:
        try:
            return obstore.head(self._store, name)
        except FileNotFoundError:
            return None

    @contextmanager
    def _reaching(self, name: str) -> Iterator[None]:
        """Raises an ObjectStoreError that says what the store answered, and what to look at."""
        try:
            yield
        except BaseError as error:
            raise ObjectStoreError(f"the object store says {_reason(error)}", f"{self._uri}: {name}") from error


def below(uri: str, name: str) -> str:
    """The URI of what is called `name` below `uri`."""
    parts = urlsplit(uri)
    return parts._replace(path=f"{parts.path.rstrip('/')}/{name}").geturl()


def _reason(error: BaseError) -> str:
    """What a store answered, in one line, and what to look at."""
    text = str(error)
    code, message = (re.search(rf"<{tag}>(.*?)</{tag}>", text) for tag in ("Code", "Message"))
    if code is not None:
        said = code[1] + (f" ({message[1]})" if message else "")
        return f"{said}; check the bucket's name, its region, and the keys in AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"
    return (
        f"nothing: {text.splitlines()[0][:200]}; check AWS_ENDPOINT_URL (or ?endpoint_override=http://host:port), "
        "and that the store runs"
    )


def _as_bytes(content: pa.Buffer) -> memoryview:
    """Arrow's buffers are of signed bytes, which obstore doesn't take."""
    return memoryview(content).cast("B")
