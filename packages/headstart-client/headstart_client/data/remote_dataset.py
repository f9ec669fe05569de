"""A job's dataset over HTTP, finished or growing, read like one on disk.

    dataset = RemoteDataset(client, job["id"], cache=Path("cache"))   # a headstart_client.data.follow.ShardSource

Where a path, an object store's URI or a job's URL may be given, `open_dataset` opens any of them.
"""

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from headstart_client.data.commits import Commits, DatasetState
from headstart_client.data.dataset import StoredDataset
from headstart_client.data.index_set import IndexSet
from headstart_client.data.manifest import Commit, DatasetHeader
from headstart_client.errors import DatasetFormatError, ServiceError
from headstart_client.service.client import Client

PATIENCE_S = 300.0
_JOB_ID = re.compile(r"[0-9a-f]{64}")
_JOB_URL = re.compile(rf"(?P<service>https?://.+?)/v1/jobs/(?P<id>{_JOB_ID.pattern})/?")


class RemoteDataset:
    """A job's dataset over HTTP, finished or growing: a headstart_client.data.follow.ShardSource.

    Shards are kept in a folder and fetched once; beyond `max_bytes` there, those used longest ago go. A service that
    restarts is waited for.
    """

    def __init__(
        self,
        client: Client,
        job_id: str,
        cache: Path | str,
        *,
        patience: float = PATIENCE_S,
        max_bytes: float = math.inf,
    ) -> None:
        """Opens the dataset of job `job_id`.

        Args:
            client: of the service that makes it.
            job_id: of the job, which is the dataset's id.
            cache: folder under which shards are kept, in one named after the job.
            patience: seconds to wait for a service that is away before raising ServiceError.
            max_bytes: of the shards kept; the one that is read stays, however large.

        Raises ServiceError where the id is none, or the service has no such job.
        """
        # It names a folder here, and comes from the service.
        if not _JOB_ID.fullmatch(str(job_id)):
            raise ServiceError(f"{client.url} says that its job is {str(job_id)[:80]!r}; ids are 64 hexadecimal digits")
        self._client = client.patient(patience)
        self._id = job_id
        self._folder = Path(cache) / job_id
        self._commits: dict[int, Commit] = {}
        self._indices = IndexSet()
        self._max_bytes = max_bytes
        self._verified: dict[int, Path] = {}
        self._where = f"{client.url}/v1/jobs/{job_id}"
        self._header = DatasetHeader.from_json(self._client.manifest(job_id)["header"], self._where)

    @property
    def header(self) -> DatasetHeader:
        """What the dataset is."""
        return self._header

    @property
    def client(self) -> Client:
        """The client that asks the service."""
        return self._client

    @property
    def page(self) -> str:
        """URL of the service's page of it."""
        return self._where.replace("/v1/", "/#/")

    def state(self) -> DatasetState:
        """How far it is now; asks only for commits that are not known yet."""
        after = self._indices.watermark - 1
        while True:
            page = self._client.manifest(self._id, after)
            for entry in page["commits"]:
                commit = Commit.from_json(entry, self._where)
                after = commit.index
                if after not in self._commits:
                    self._commits[after] = commit
                    self._indices.add(after)
            if not page["more"]:
                break
        return DatasetState(page["state"], page["reason"], Commits(self._indices, self._known))

    def read_shard(self, commit: Commit, columns: list[str] | None = None) -> pa.Table:
        """The rows of a committed shard, fetched and checked the first time.

        Raises:
            CorruptShardError: what arrives is not what was committed.
        """
        table = pq.read_table(self._fetched(commit), columns=columns, memory_map=True, use_threads=False)
        self._make_room()
        return table

    def shard_path(self, index: int) -> Path:
        """Where the file of shard `index` lies in the cache, fetched and checked the first time.

        Raises DatasetFormatError while there is no commit.
        """
        commit = self._commits.get(index) or self.state().commits.get(index)
        if commit is None:
            raise DatasetFormatError(f"shard {index} is not committed", self._where)
        return self._fetched(commit)

    def motions(self, sha256: str) -> bytes | None:
        """The motions file of that content that the rows are copies of; None where the service has none."""
        return self._client.motions(sha256)

    def _fetched(self, commit: Commit) -> Path:
        path = self._verified.pop(commit.index, None)
        if path is None or not path.exists():
            path = self._client.fetch_shard(self._id, commit, self._folder)
        # The one used last at the end.
        self._verified[commit.index] = path
        return path

    def _known(self, indices: Sequence[int]) -> list[Commit]:
        return [self._commits[index] for index in indices]

    def _make_room(self) -> None:
        """Removes shards until they are few enough, first those of earlier processes, then those used longest ago."""
        sizes = {path: path.stat().st_size for path in sorted(self._folder.glob("*.parquet"))}
        kept = list(self._verified.values())
        for path in [*(path for path in sizes if path not in kept), *kept[:-1]]:
            if sum(sizes.values()) <= self._max_bytes:
                return
            path.unlink(missing_ok=True)
            del sizes[path]
            self._verified = {index: other for index, other in self._verified.items() if other != path}


def open_dataset(
    path_or_url: Path | str,
    cache: Path | str,
    api_key: str | None = None,
    *,
    tell: Callable[[str], None] = lambda text: None,
    max_bytes: float = math.inf,
) -> StoredDataset | RemoteDataset:
    """Opens a dataset by its directory, its URI, or the URL of its job (http://host:8000/v1/jobs/ID).

    Args:
        path_or_url: where it is.
        cache: folder for the shards of a job's dataset.
        api_key: of the service, where it asks for one; by default from the environment (see Client).
        tell: told when the service is away and waited for.
        max_bytes: of the shards kept in `cache` (see RemoteDataset).

    Raises:
        DatasetFormatError: the path is not a dataset.
        ServiceError: the URL is not a job's, or its service can't be reached.
    """
    text = str(path_or_url)
    if not text.startswith(("http://", "https://")):
        return StoredDataset(path_or_url)
    match = _JOB_URL.fullmatch(text)
    if match is None:
        raise ServiceError(f"{text} is not a job's URL; it looks like http://host:8000/v1/jobs/<64 hexadecimal digits>")
    return RemoteDataset(Client(match["service"], api_key, tell=tell), match["id"], cache, max_bytes=max_bytes)
