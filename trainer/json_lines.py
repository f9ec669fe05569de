"""JSON-lines files that a kill may have left with half a line at their end."""

import json
from pathlib import Path
from typing import Any


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file, up to the first broken one; empty where there is no file."""
    lines = []
    for text in path.read_text().splitlines() if path.exists() else []:
        try:
            lines.append(json.loads(text))
        except ValueError:
            break
    return lines


def rewrite(path: Path, lines: list[dict[str, Any]]) -> None:
    """Replaces a file's lines, so that what is appended next begins on a line of its own."""
    part = path.with_suffix(".part")
    part.write_text("".join(json.dumps(line) + "\n" for line in lines))
    part.replace(path)
