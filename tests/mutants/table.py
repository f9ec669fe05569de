"""The table of mutants, read from table.toml."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Mutant:
    """A change that the tests must notice.

    Attributes:
        name: what is wrong with the code then.
        file: that is changed, below the root.
        old: the text that is replaced; the file has it exactly once.
        new: what takes its place.
        tests: ids of the tests of which one must fail, as pytest takes them.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def changed(self, text: str) -> str:
        """The file's text with the change. Raises ValueError unless it has the old text exactly once."""
        found = text.count(self.old)
        if found != 1:
            raise ValueError(f"mutant {self.name!r}: {self.file} has its old text {found} times; mend the table")
        return text.replace(self.old, self.new)


def read_table() -> list[Mutant]:
    """The mutants, in the order in which they are tried."""
    entries = tomllib.loads((Path(__file__).with_name("table.toml")).read_text())["mutant"]
    return [Mutant(**{**entry, "tests": tuple(entry["tests"])}) for entry in entries]
