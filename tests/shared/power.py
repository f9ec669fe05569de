"""A disk that loses its power: what is in a directory after it, by what was made to last before.

A file's bytes last once it was fsynced, and a name (made, changed or removed) once its folder was. Of all else the
disk may have kept anything: so for each moment there is the case that no name has lasted whose folder was not fsynced
since, for each folder the case that its names have and no others, the case that all have, and the case that names were
removed and none were made; always with nothing of the bytes that were not fsynced.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_Names = dict[str, str | None]
"""Paths below the root, in order: of a file with the hash of its bytes, of a folder with None."""


@dataclass
class _Moment:
    """What lasts, and what there is: names of files with the hash of their bytes, and which bytes last."""

    lasting: _Names
    present: _Names
    fsynced: frozenset[str]
    returned: int


@dataclass
class Disk:
    """Records what is done below `root`, through the calls of `os` and `pathlib` that shared.storage uses.

    Attributes:
        skipped: number of the fsync that has no effect; -1 for none. What may be left before it is the same with it,
            and is not looked at.
        fsyncs: what was fsynced, in order.
        returned: counted up by whoever uses the disk, when it has been told that something lasts.
    """

    root: Path
    skipped: int = -1
    fsyncs: list[str] = field(default_factory=list)
    moments: list[_Moment] = field(default_factory=list)
    returned: int = 0
    contents: dict[str, bytes] = field(default_factory=dict)
    _lasting: _Names = field(default_factory=dict)
    _fsynced: set[str] = field(default_factory=set)
    _since: int = 0

    def look(self) -> None:
        """Keeps what there is now."""
        present = {str(path.relative_to(self.root)): self._hash(path) for path in sorted(self.root.rglob("*"))}
        self.moments.append(_Moment(dict(self._lasting), present, frozenset(self._fsynced), self.returned))

    def fsynced(self, path: Path) -> None:
        """Makes a file or a folder last."""
        self.fsyncs.append(str(path.relative_to(self.root)))
        if len(self.fsyncs) - 1 == self.skipped:
            self._since = len(self.moments)
            return
        if path.is_file():
            self._fsynced.add(str(self._hash(path)))
            return
        inside = "" if path == self.root else f"{path.relative_to(self.root)}/"
        for name in [name for name in self._lasting if name.startswith(inside) and "/" not in name[len(inside) :]]:
            del self._lasting[name]
        for entry in path.iterdir():
            name = str(entry.relative_to(self.root))
            self._lasting[name] = self._hash(entry)

    def _hash(self, path: Path) -> str | None:
        if path.is_dir():
            return None
        content = path.read_bytes()
        name = hashlib.sha256(content).hexdigest()
        self.contents[name] = content
        return name

    def after_power_failure(self, target: Path) -> Iterator[tuple[Path, int]]:
        """What may be left at each moment, in folders below `target`, and how much had been told to last."""
        seen: set[str] = set()
        for moment in self.moments[self._since :]:
            for names in _cases(moment):
                kept = {
                    name: content if content in moment.fsynced else "" for name, content in names.items() if content
                }
                case = repr((names, kept, moment.returned))
                if case in seen:
                    continue
                seen.add(case)
                folder = target / str(len(seen))
                folder.mkdir(parents=True)
                for name, content in names.items():
                    if content is None:
                        (folder / name).mkdir()
                    else:
                        (folder / name).write_bytes(self.contents[content] if kept[name] else b"")
                yield folder, moment.returned
                shutil.rmtree(folder)


def _cases(moment: _Moment) -> Iterator[_Names]:
    """Which names there may be."""
    folders = sorted({str(Path(name).parent) for name in moment.present})
    every = sorted({*moment.present, *moment.lasting})
    kept = {name: moment.lasting[name] for name in every if name in moment.lasting and name in moment.present}
    yield {name: content for name, content in kept.items() if str(Path(name).parent) in (".", *kept)}
    for lucky in ([], *([folder] for folder in folders), folders):
        names: _Names = {}
        for name in every:
            folder = str(Path(name).parent)
            of = moment.present if folder in lucky else moment.lasting
            # Where its folder is lost, so is what is in it.
            if name in of and (folder == "." or folder in names):
                names[name] = of[name]
        yield names


@contextmanager
def recorded(disk: Disk, monkeypatch: Any) -> Iterator[None]:
    """Has the disk see every change for the time of a block."""

    def watched(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            try:
                return function(*arguments, **named)
            finally:
                disk.look()

        return call

    def fsync(descriptor: int) -> None:
        disk.fsynced(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        disk.look()

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        for name in ("link", "replace", "mkdir", "unlink"):
            patch.setattr(os, name, watched(getattr(os, name)))
        yield
