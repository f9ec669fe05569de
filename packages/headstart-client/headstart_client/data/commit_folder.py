"""commits/ of a dataset: a JSON file for each commit, and blocks of them in Parquet, which take the place of the files.

    commits/00001029.json                one commit
    commits/00000000-00001023.parquet    the commits of 1,024 shards, once there are all of them

Several programs may commit and compact at once, and any may be killed anywhere: a block holds what the files before it
said, it is there whole before the first of these goes, and where it is, it counts and the files do not. Whoever looks
for a commit therefore looks into the block first, and once more after finding no file.
"""

import functools
import json
import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import pyarrow as pa

from headstart_client.data.commit_block import BLOCK, CommitBlock, block_statistics, pack_block
from headstart_client.data.commits import Commits
from headstart_client.data.index_set import IndexSet
from headstart_client.data.manifest import Commit, Totals
from headstart_client.data.storage import Storage
from headstart_client.errors import DatasetFormatError

_FOLDER = "commits"
_ONE, _SOME = re.compile(r"(\d{8})\.json"), re.compile(r"(\d{8})-(\d{8})\.parquet")
_BLOCKS_KEPT = 64
"""Blocks in memory, of all datasets together; some 200 kB each."""
_STATISTICS_KEPT = 2
"""Blocks whose statistics are in memory, for who goes through them in order; some 3 MB each."""
_LOOKS = 3
"""Listings until what was there before, and is not listed, counts as gone."""

Statistics = dict[str, dict[str, Any]]
"""For each float column, {"count", "mean", "M2", "min", "max"} per component over all samples."""


class CommitFolder:
    """The commits of one dataset. Its methods raise DatasetFormatError, naming what is damaged, and OSError."""

    def __init__(self, storage: Storage, shards: int) -> None:
        """Takes the dataset's storage, and how many shards it will have."""
        self.storage, self._shards = storage, shards
        self._blocks: frozenset[int] = frozenset()
        self._seen = IndexSet()

    def look(self) -> Commits:
        """Those there are now. It costs a listing, which has few names however many commits there are."""
        for _ in range(_LOOKS):
            blocks, loose = self._list()
            runs = [(index, index + 1) for index in loose if index // BLOCK not in blocks]
            whole = (self._indices(number) for number in blocks)
            present = IndexSet(sorted([*runs, *((block.start, block.stop) for block in whole)]))
            # A listing made while files gave way to their block may have neither.
            if len(present) >= len(self._seen):
                break
        self._blocks, self._seen = frozenset(blocks), present
        return Commits(present, self.read, self.sums)

    def all(self) -> Commits:
        """The commits of a sealed dataset, all of which are in blocks."""
        self._blocks = frozenset(range(-(-self._shards // BLOCK)))
        return Commits(IndexSet([(0, self._shards)]), self.read, self.sums)

    def read(self, indices: Sequence[int]) -> list[Commit]:
        """The commits of these shards, which there are, in their order. Files are read side by side."""
        found: list[Commit | None] = []
        for number, group in groupby(indices, lambda index: index // BLOCK):
            some = list(group)
            if number in self._blocks:
                found += _from_block(self._block(number), some)
            else:
                names = [_one_name(index) for index in some]
                found += map(self._parse, names, self.storage.read_all(names))
        return [self._there(index, commit) for index, commit in zip(indices, found, strict=True)]

    def sums(self, indices: IndexSet) -> Totals:
        """The sums over the commits of these shards, which there are; block by block where there is one."""
        blocks = {number for number in self._blocks if indices.has_all(self._indices(number))}
        rest = [index for index in indices if index // BLOCK not in blocks]
        return Totals.sum([Totals.of(self.read(rest)), *(self._block(number).totals() for number in blocks)])

    def find(self, index: int) -> Commit | None:
        """The commit of shard `index`, or None while there is none."""
        if not 0 <= index < self._shards:
            return None
        name = _one_name(index)
        for _ in range(2):
            block = self._block_if_there(index // BLOCK)
            if block is not None:
                return block.commit(index)
            commit = self._parse(name, self.storage.read(name))
            if commit is not None:
                return commit
        return None

    def statistics(self, index: int) -> Statistics:
        """Statistics of the columns of a committed shard."""
        name = _one_name(index)
        for _ in range(2):
            if self._block_if_there(index // BLOCK) is not None:
                found: Statistics = json.loads(_read_statistics(self, index // BLOCK)[index % BLOCK].as_py())
                return found
            content = self.storage.read(name)
            if content is not None:
                return self._statistics(name, content)
        raise self._missing(name)

    def create(self, commit: Commit, statistics: Mapping[str, Any]) -> bool:
        """Makes a commit, unless there is one of its index in a file. `find` says which one counts."""
        body = {**commit.to_json(), "statistics": statistics}
        return self.storage.create(_one_name(commit.index), pa.py_buffer(json.dumps(body).encode()))

    def compact(self) -> None:
        """Puts the commits of every block that is complete together, and removes files that a block stands for."""
        blocks, loose = self._list()
        for number, group in groupby(loose, lambda index: index // BLOCK):
            some = list(group)
            if number in blocks or (some == list(self._indices(number)) and self._pack(number)):
                self.storage.remove(map(_one_name, some))

    def _pack(self, number: int) -> bool:
        """Makes a block out of its files. False if they are gone, since somebody else has."""
        indices = self._indices(number)
        names = [_one_name(index) for index in indices]
        contents = self.storage.read_all(names)
        present = [content for content in contents if content is not None]
        if len(present) < len(names):
            return False
        commits = [commit for commit in map(self._parse, names, present) if commit is not None]
        self.storage.create(_block_name(indices), pack_block(commits, list(map(self._statistics, names, present))))
        return True

    def _list(self) -> tuple[set[int], list[int]]:
        """Numbers of the blocks, and indices of the commits that have a file, in order."""
        try:
            names = frozenset(self.storage.names(_FOLDER))
        except FileNotFoundError:
            where = f"{self.storage.where}/{_FOLDER}"
            raise DatasetFormatError("this folder is missing; restore it, or make the dataset again", where) from None
        some = (int(match[1]) // BLOCK for name in names if (match := _SOME.fullmatch(name)))
        blocks = {number for number in some if _block_name(self._indices(number)).rpartition("/")[2] in names}
        return blocks, sorted(int(match[1]) for name in names if (match := _ONE.fullmatch(name)))

    def _indices(self, number: int) -> range:
        """Indices of the shards of a block."""
        return range(number * BLOCK, min((number + 1) * BLOCK, self._shards))

    def _block(self, number: int) -> CommitBlock:
        block = self._block_if_there(number)
        if block is None:
            raise self._missing(_block_name(self._indices(number)))
        return block

    def _block_if_there(self, number: int) -> CommitBlock | None:
        try:
            block = _read_block(self, number)
            # Its files are gone, or will be: they are not asked for again.
            self._blocks |= {number}
            return block
        except FileNotFoundError:
            return None

    def block_file(self, number: int) -> tuple[pa.Buffer, range, str]:
        """A block's bytes, the indices it should have, and where it lies. Raises FileNotFoundError."""
        indices = self._indices(number)
        name = _block_name(indices)
        # In memory, not mapped: what is kept of it must not keep a file open that is deleted.
        (content,) = self.storage.read_all([name])
        if content is None:
            raise FileNotFoundError(name)
        return content, indices, f"{self.storage.where}/{name}"

    def _there(self, index: int, commit: Commit | None) -> Commit:
        """A commit that was listed; if its file has gone since, it is in a block."""
        commit = commit or self.find(index)
        if commit is None:
            raise self._missing(_one_name(index))
        return commit

    def _parse(self, name: str, content: pa.Buffer | None) -> Commit | None:
        where = f"{self.storage.where}/{name}"
        return None if content is None else Commit.from_json(parse_json(content, where), where)

    def _statistics(self, name: str, content: pa.Buffer) -> Statistics:
        where = f"{self.storage.where}/{name}"
        value = parse_json(content, where)
        if not isinstance(value, dict) or not isinstance(value.get("statistics"), dict):
            raise DatasetFormatError("has no statistics; restore it, or make the dataset again", where)
        found: Statistics = value["statistics"]
        return found

    def _missing(self, name: str) -> DatasetFormatError:
        return DatasetFormatError("is missing; restore it, or make the dataset again", f"{self.storage.where}/{name}")


@functools.lru_cache(_BLOCKS_KEPT)
def _read_block(folder: CommitFolder, number: int) -> CommitBlock:
    return CommitBlock(*folder.block_file(number))


@functools.lru_cache(_STATISTICS_KEPT)
def _read_statistics(folder: CommitFolder, number: int) -> pa.ChunkedArray:
    content, _, where = folder.block_file(number)
    return block_statistics(content, where)


def _from_block(block: CommitBlock, indices: Sequence[int]) -> list[Commit]:
    if len(indices) == indices[-1] - indices[0] + 1:
        return block.commits(indices[0], indices[-1] + 1)
    return [block.commit(index) for index in indices]


def parse_json(content: pa.Buffer, where: str) -> Any:
    """The JSON in a file. Raises DatasetFormatError, naming it."""
    try:
        value = json.loads(content.to_pybytes())
        if value is None:
            raise ValueError("it says null")
    except ValueError as error:
        raise DatasetFormatError(f"is not JSON: {error}; restore it, or make the dataset again", where) from error
    return value


def _one_name(index: int) -> str:
    return f"{_FOLDER}/{index:08d}.json"


def _block_name(indices: range) -> str:
    return f"{_FOLDER}/{indices.start:08d}-{indices.stop - 1:08d}.parquet"
