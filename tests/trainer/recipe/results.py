"""Results as a report has them, and the rows of a table that is made of them."""

import itertools
from typing import Any

WON, LOST = [1, 1, 1, 1], [0, 0, 0, 0]


def result(mode: str, outcomes: list[int], seed: int = 0, **more: Any) -> dict[str, Any]:
    """An entry of a report's results, of an earlier release where `more` has no basis; with one, chunks are held."""
    if more.get("basis"):
        more = {"held": True} | more
    return {
        "task": "stack",
        "demonstrations": 50,
        "mode": mode,
        "seed": seed,
        "episodes": len(outcomes),
        "successes": sum(outcomes),
        "first_seed": 100_000,
        "outcomes": outcomes,
        "train_seconds": 10.0,
        "checkpoint_step": 100,
    } | more


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def table(lines: list[str]) -> tuple[list[dict[str, str]], str]:
    """Rows of a markdown table by their columns, and what stands below."""
    head, ruler, *rest = lines
    assert set(ruler) == {"|", "-"}
    assert ruler.count("|") == head.count("|")
    rows = list(itertools.takewhile(lambda line: line.startswith("|"), rest))
    names = cells(head)
    return [dict(zip(names, cells(row), strict=True)) for row in rows], "\n".join(rest[len(rows) :]).strip()
