"""The dataset, in a directory or an object store: publish a shard, commit it, read it, follow it while it grows.

How it lies there, and its reader, are in headstart_client.data.dataset; here is what a producer does.

Tasks run at least once and take effect exactly once: the first commit of an index wins, and a different content for it
is an error. Nothing is ever visible half-written, so a killed producer resumes from the commits. Two producers of the
same rows may pack them into other bytes: they want the same name, one file is there, and both commit that one. How a
file is made to appear is the part of headstart_client.data.storage.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from headstart_client.data import records
from headstart_client.data.dataset import MANIFEST, StoredDataset, motions_name, read_table, verify_bytes, verify_shard
from headstart_client.data.manifest import Commit, DatasetHeader, Manifest, State, Totals
from headstart_client.data.storage import Location, open_storage
from headstart_client.errors import (
    CommitConflictError,
    CorruptShardError,
    DatasetFormatError,
    GeneratorVersionError,
)
from shared.statistics import column_statistics

__all__ = ["Dataset", "motions_name", "verify_bytes", "verify_shard"]


class Dataset(StoredDataset):
    """A dataset directory, or one in an object store: what a producer writes and a reader follows."""

    @classmethod
    def create(cls, where: Location, header: DatasetHeader) -> "Dataset":
        """Begins a dataset, or opens it where the same one was begun before.

        Raises:
            GeneratorVersionError: it was begun by another generator_version.
            CommitConflictError: another dataset is in this directory.
        """
        storage = open_storage(where)
        storage.prepare(("shards", "commits"))
        begun = storage.read("dataset.json") is None and storage.create(
            "dataset.json", pa.py_buffer(json.dumps(_begun_now(header).to_json(), indent=1).encode())
        )
        dataset = cls(where)
        if dataset.header.generator_version != header.generator_version:
            raise GeneratorVersionError(
                f"was begun by generator_version {dataset.header.generator_version}, this release is "
                f"{header.generator_version}; finish it with the release that began it, or choose another directory",
                dataset.where,
            )
        if dataset.header.dataset_id != header.dataset_id:
            raise CommitConflictError(
                f"holds dataset {dataset.header.dataset_id[:12]}, not {header.dataset_id[:12]}; "
                "choose another directory",
                dataset.where,
            )
        # A manifest that is there already is left of a deleted dataset.
        if begun or storage.read(MANIFEST) is None:
            dataset.set_state("growing")
        return dataset

    def compact(self) -> None:
        """Puts commits of many shards into one file, as far as they are complete; readers see no difference."""
        self._folder.compact()

    def set_state(self, state: State, reason: str = "") -> None:
        """Writes manifest.json: the state, and the sums over the commits unless it goes on growing.

        Raises DatasetFormatError when sealing a dataset that lacks a shard.
        """
        manifest = Manifest(state, reason, None if state == "growing" else self._final_totals(state))
        self.storage.replace(MANIFEST, pa.py_buffer(json.dumps(manifest.to_json()).encode()))

    def publish(
        self,
        index: int,
        table: pa.Table,
        attempts: int,
        rejections: Mapping[str, int],
        rejections_by_family: Mapping[str, dict[str, int]] | None = None,
        redraws_by_family: Mapping[str, dict[str, int]] | None = None,
    ) -> Commit:
        """Writes shard `index` and commits it; safe to run twice, or in two processes at once.

        Args:
            index: of the shard.
            table: its rows.
            attempts: candidates tried.
            rejections: candidates that failed, by reason.
            rejections_by_family: likewise, by family and reason.
            redraws_by_family: ends of motions that were drawn anew, likewise.

        Raises:
            CommitConflictError: the index is committed with other rows.
        """
        content = records.content_hash(table)
        counts = {
            "attempts": attempts,
            "rejections": dict(rejections),
            "rejections_by_family": dict(rejections_by_family or {}),
            "redraws_by_family": dict(redraws_by_family or {}),
        }
        commit = self.commit(index) or self._write(index, table, content, counts)
        if commit.content_sha256 != content:
            raise CommitConflictError(
                f"shard {index} is committed with content {commit.content_sha256[:12]}, this run made {content[:12]}; "
                "the same request must give the same rows: compare library versions in dataset.json",
                f"{self.where}/commits",
            )
        return commit

    def _final_totals(self, state: State) -> Totals:
        """The sums over all commits there will be, which are put together."""
        self._folder.compact()
        commits = self._folder.look()
        if state == "sealed" and commits.watermark != self.header.shards:
            raise DatasetFormatError(f"can't be sealed with {len(commits)} of {self.header.shards} shards", self.where)
        return commits.totals()

    def _write(self, index: int, table: pa.Table, content: str, counts: Mapping[str, Any]) -> Commit:
        """Writes shard `index` and commits it. Returns the commit that won, another producer's if that came first."""
        file = f"shard-{index:08d}-{content[:16]}.parquet"
        packed = self._create_shard(f"shards/{file}", records.to_parquet(table), content)
        ours = Commit(
            index=index,
            rows=table.num_rows,
            samples=len(records.list_column(table, "gripper")[0]),
            bytes=packed.size,
            file=file,
            file_sha256=hashlib.sha256(packed).hexdigest(),
            content_sha256=content,
            **counts,
        )
        self._folder.create(ours, column_statistics(table, self.header.robot.dof))
        winner = self.commit(index)
        assert winner is not None
        return winner

    def _create_shard(self, name: str, packed: pa.Buffer, content: str) -> pa.Buffer:
        """Creates a shard's file. Returns the bytes that lie there, other ones if another producer came first.

        Raises CorruptShardError if those are not of the same rows: a file that is there is never replaced.
        """
        if self.storage.create(name, packed):
            return packed
        there = self.storage.read(name)
        try:
            if there is None:
                raise ValueError("it went away just now")
            if not there.equals(packed) and records.content_hash(read_table(there)) != content:
                raise ValueError("it has other rows")
        except (OSError, ValueError, pa.ArrowException) as error:
            where = f"{self.where}/{name}"
            raise CorruptShardError(f"is not what its name says: {error}; delete it, then go on", where) from error
        return there


def _begun_now(header: DatasetHeader) -> DatasetHeader:
    return replace(header, created_at=datetime.now(UTC).isoformat())
