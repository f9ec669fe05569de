"""Where the Panda moves: in the open, over a table, and among five boxes. Boxes are keep-outs of a request [m]."""

from typing import Any


def _box(low: tuple[float, float, float], high: tuple[float, float, float]) -> dict[str, Any]:
    return {"kind": "box", "min": list(low), "max": list(high)}


TABLE = _box((0.3, -0.6, -0.1), (0.9, 0.6, 0.05))
SCENES: dict[str, list[dict[str, Any]]] = {
    "open": [],
    "one_box": [TABLE],
    "five_boxes": [
        TABLE,
        _box((0.35, 0.25, 0.06), (0.6, 0.5, 0.6)),
        _box((0.35, -0.5, 0.06), (0.6, -0.25, 0.6)),
        _box((0.3, -0.3, 0.8), (0.7, 0.3, 1.1)),
        _box((-0.6, -0.25, 0.0), (-0.4, 0.25, 0.8)),
    ],
}
