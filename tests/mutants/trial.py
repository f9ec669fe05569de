"""A copy of the tree, in which mutants are tried; the tree itself is never changed."""

import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.table import Mutant

_MADE = {"data", "runs", "build", "dist"}
"""Folders of the root that hold what was made with the code, and may be large."""
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+\.py::.*?)(?: - .*)?$", re.MULTILINE)
_LONGEST_S = 300.0
_FAREWELL_S = 30.0


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant.

    Attributes:
        killed_by: the test that failed; "" where none did.
        said: the last lines of pytest, or what was wrong with it.
        seconds: that it took.
    """

    killed_by: str
    said: str
    seconds: float


class Tree:
    """A copy of the sources and tests in a folder that is gone in the end."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def passes(self, tests: Sequence[str]) -> Verdict:
        """Runs tests on the sources as they are: killed by the first that fails."""
        return self._run(tests)

    def try_out(self, mutant: Mutant) -> Verdict:
        """Runs a mutant's tests on the sources with its change."""
        path = self._root / mutant.file
        before = path.read_text()
        path.write_text(mutant.changed(before))
        try:
            return self._run(mutant.tests)
        finally:
            path.write_text(before)

    def _run(self, tests: Sequence[str]) -> Verdict:
        command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=line", "-p", "no:cacheprovider", *tests]
        began = time.monotonic()
        with subprocess.Popen(
            command, cwd=self._root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            try:
                output, _ = process.communicate(timeout=_LONGEST_S)
            except subprocess.TimeoutExpired:
                process.kill()
                return Verdict("", f"no end after {_LONGEST_S:.0f} s", time.monotonic() - began)
            except KeyboardInterrupt:
                # The terminal has told it too: it takes down what it started.
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_FAREWELL_S)
                process.kill()
                raise
        failed = _FAILED.search(output)
        # Of what pytest ends with, 1 alone says that a test failed; 2 to 5 that it could not run them.
        killed_by = failed[1] if process.returncode == 1 and failed else ""
        return Verdict(killed_by, "\n".join(output.splitlines()[-5:]), time.monotonic() - began)


@contextlib.contextmanager
def copied_tree(root: Path) -> Iterator[Tree]:
    """A copy of the tree at `root` for the time of a block."""
    with tempfile.TemporaryDirectory(prefix="headstart-mutants-") as folder:
        copy = Path(folder) / "tree"

        def left_out(inside: str, names: list[str]) -> set[str]:
            made = _MADE if Path(inside) == root else set()
            return {name for name in names if name.startswith(".") or name == "__pycache__" or name in made}

        shutil.copytree(root, copy, ignore=left_out)
        yield Tree(copy)
