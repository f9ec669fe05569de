"""The protocol on both kinds of storage: a directory, and a real S3 server."""

import os
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from headstart_client.data.object_store import ObjectStorage
from shared.dataset import Dataset
from shared.errors import CommitConflictError, CorruptShardError, DatasetError, DatasetFormatError
from shared.follow import wait_for_shards
from shared.remote_dataset import open_dataset
from shared.storage import LocalStorage, Storage, absolute, open_storage
from tests.shared.example import HEADER, example_table


@pytest.fixture(params=["directory", "s3"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty place."""
    return str(tmp_path / "dataset") if request.param == "directory" else str(request.getfixturevalue("bucket_uri"))


def _damage(storage: Storage, name: str) -> None:
    content = storage.read(name)
    assert content is not None
    flipped = bytearray(content.to_pybytes())
    flipped[len(flipped) // 2] ^= 1
    storage.replace(name, pa.py_buffer(bytes(flipped)))


def test_files_appear_whole_and_are_replaced_only_when_asked(where: str) -> None:
    storage = open_storage(where)
    storage.prepare(["commits"])
    assert storage.read("commits/a") is None
    assert storage.names("commits") == []
    assert storage.create("commits/a", pa.py_buffer(b"one"))
    assert not storage.create("commits/a", pa.py_buffer(b"two"))
    assert open_storage(storage.where).read("commits/a").to_pybytes() == b"one"  # type: ignore[union-attr]
    storage.replace("commits/a", pa.py_buffer(b"three"))
    storage.replace("commits/b", pa.py_buffer(b"four"))
    assert storage.read("commits/a").to_pybytes() == b"three"  # type: ignore[union-attr]
    assert storage.read("commits/b").to_pybytes() == b"four"  # type: ignore[union-attr]
    assert sorted(storage.names("commits")) == ["a", "b"]
    storage.sweep(0.0)


def test_only_what_was_left_long_ago_is_swept(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    storage.prepare(["commits"])
    for age in (0, 500, 700):
        part = tmp_path / ".tmp" / f"{age}.part"
        part.write_bytes(b"half")
        os.utime(part, (time.time() - age, time.time() - age))
    storage.sweep(600.0)
    assert sorted(path.name for path in (tmp_path / ".tmp").iterdir()) == ["0.part", "500.part"]


def test_a_dataset_in_an_object_store_has_no_files_here(bucket_uri: str) -> None:
    dataset = Dataset.create(bucket_uri, HEADER)
    with pytest.raises(DatasetError, match="is in an object store, so it has no files here"):
        _ = dataset.root


def test_create_has_exactly_one_winner(where: str) -> None:
    storage = open_storage(where)
    storage.prepare(["commits"])
    start = threading.Barrier(8)

    def create(caller: int) -> list[int]:
        start.wait()
        return [index for index in range(10) if storage.create(f"commits/{index}", pa.py_buffer(b"%d" % caller))]

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(create, range(8)))
    assert Counter(index for indices in won for index in indices) == {index: 1 for index in range(10)}
    for caller, indices in enumerate(won):
        for index in indices:
            assert storage.read(f"commits/{index}").to_pybytes() == b"%d" % caller  # type: ignore[union-attr]


def test_a_dataset_is_published_followed_and_read(where: str) -> None:
    dataset = Dataset.create(where, HEADER)
    follower = open_dataset(where, "unused")
    assert follower.state().watermark == 0

    def produce() -> None:
        for index in range(HEADER.shards):
            dataset.publish(index, example_table(index, HEADER.rows_in(index)), 8, {})
        dataset.set_state("sealed")

    producer = threading.Thread(target=produce)
    producer.start()
    state = wait_for_shards(follower, HEADER.shards, max_wait=30)
    producer.join()
    assert state.watermark == HEADER.shards
    assert follower.state().state == "sealed"
    for commit in state.commits:
        assert follower.read_shard(commit).equals(example_table(commit.index, commit.rows))
        assert follower.read_shard(commit, ["length"]).column_names == ["length"]
    again = Dataset.create(where, HEADER)
    assert again.publish(0, example_table(0, 8), 8, {}) == state.commits[0]
    with pytest.raises(CommitConflictError, match="shard 0 is committed"):
        again.publish(0, example_table(1, 8), 8, {})


def test_producers_at_once_make_one_commit_for_each_shard(where: str) -> None:
    Dataset.create(where, HEADER)
    start = threading.Barrier(4)

    def produce(_: int) -> list[str]:
        dataset = Dataset(where)
        start.wait()
        shards = range(HEADER.shards)
        return [dataset.publish(i, example_table(i, HEADER.rows_in(i)), 8, {}).file_sha256 for i in shards]

    with ThreadPoolExecutor(4) as pool:
        hashes = list(pool.map(produce, range(4)))
    assert hashes == 4 * [[commit.file_sha256 for commit in Dataset(where).commits()]]
    dataset = Dataset(where)
    for commit in dataset.commits():
        assert dataset.read_shard(commit).equals(example_table(commit.index, commit.rows))


def test_damage_is_named(where: str) -> None:
    dataset = Dataset.create(where, HEADER)
    commit = dataset.publish(0, example_table(0, 8), 8, {})
    _damage(dataset.storage, f"shards/{commit.file}")
    with pytest.raises(CorruptShardError, match=rf"{commit.file}: its bytes differ"):
        Dataset(where).read_shard(commit)
    dataset.storage.replace("commits/00000000.json", pa.py_buffer(b"null"))
    with pytest.raises(DatasetFormatError, match=r"00000000\.json: is not JSON: it says null"):
        list(Dataset(where).state().commits)


def test_what_an_object_store_refuses_is_said(
    object_server: str, bucket_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = bucket_uri
    with pytest.raises(DatasetFormatError, match=r"no dataset\.json here"):
        Dataset(uri)
    for wrong in ("ftp://host/path", "s3:///prefix", "s3://bucket?colour=red"):
        with pytest.raises(DatasetFormatError):
            Dataset(wrong)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    with pytest.raises(DatasetError, match=r"the object store says InvalidAccessKeyId .*; check the bucket's name"):
        Dataset(uri)
    with pytest.raises(DatasetError, match=r"the object store says nothing: .*; check AWS_ENDPOINT_URL"):
        Dataset(uri.replace(object_server, "http://127.0.0.1:1"))


def test_a_server_of_ones_own_is_found_by_the_environment(
    object_server: str, bucket_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", object_server)
    storage = ObjectStorage(bucket_uri.partition("?")[0])
    assert storage.create("name", pa.py_buffer(b"content"))
    assert ObjectStorage(bucket_uri).read("name") == pa.py_buffer(b"content")


def test_places_are_named_for_other_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute("a") == tmp_path / "a"
    assert absolute("s3://bucket/a") == "s3://bucket/a"
    storage = open_storage(f"file://{tmp_path}/with%20space")
    assert isinstance(storage, LocalStorage)
    assert storage.root == tmp_path / "with space"
    assert isinstance(open_storage("s3://bucket/a"), ObjectStorage)
