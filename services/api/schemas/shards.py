"""Bodies of a dataset's manifest and shards."""

from typing import Any

from pydantic import BaseModel

from services.api.schemas.fields import field
from services.jobs import Job
from shared.manifest import Commit, State

_FILE = "e4f470b00c39185735b26cf5a3d18751d822b978ea77a116e505f90cf6ff377d"
_CONTENT = "637c5d254d32f807086b8895c27c53485b620f0e4c27274545fc418dcd065cdd"
_SHARD = {
    "index": 0,
    "rows": 500,
    "bytes": 3_100_000,
    "file_sha256": _FILE,
    "content_sha256": _CONTENT,
    "url": f"/v1/jobs/{_CONTENT}/shards/0",
}


class ManifestBody(BaseModel):
    """A page of a dataset's manifest."""

    header: dict[str, Any] = field(
        "dataset.json: the resolved request, the robot, the schema's version, ranges of actions (m, rad)",
        {"dataset_id": _CONTENT, "count": 2000, "shard_rows": 500, "rate_hz": 20.0, "schema_version": "2.0"},
        "mixed",
    )
    state: State = field("growing, sealed (complete), cancelled or failed", "growing")
    reason: str = field("why it failed, or empty", "")
    commits: list[dict[str, Any]] = field(
        "of shards beyond `after`, in index order: rows, samples, bytes, hashes, attempts and rejections of each",
        [{"index": 0, "rows": 500, "samples": 66000, "bytes": 3_100_000, "attempts": 620}],
        "mixed",
    )
    more: bool = field("whether there are commits beyond this page", False)


class ShardBody(BaseModel):
    """A committed shard."""

    index: int = field("its place among the dataset's shards, from 0", 0, "index")
    rows: int = field("trajectories in it", 500, "count")
    bytes: int = field("size of its file", 3_100_000, "bytes")
    file_sha256: str = field("sha256 of its Parquet file, which is also the ETag", _FILE)
    content_sha256: str = field("sha256 of its columns' values: equal wherever it was made", _CONTENT)
    url: str = field("path of the file on this service", f"/v1/jobs/{_CONTENT}/shards/0")

    @classmethod
    def of(cls, job: Job, commit: Commit) -> "ShardBody":
        """The body of a commit."""
        return cls(
            index=commit.index,
            rows=commit.rows,
            bytes=commit.bytes,
            file_sha256=commit.file_sha256,
            content_sha256=commit.content_sha256,
            url=f"/v1/jobs/{job.id}/shards/{commit.index}",
        )


class ShardPage(BaseModel):
    """Committed shards in index order."""

    shards: list[ShardBody] = field("the shards of this page", [_SHARD], "mixed")
    more: bool = field("whether there are shards beyond this page", False)
