"""A summary of three made-up demonstrations, as JSON: for tests of the format and of what the service makes of it."""

from typing import Any

import numpy as np

from shared.rotation import matrix_to_rot6d, quat_xyzw_to_matrix

DOWN = [1.0, 0.0, 0.0, 0.0]
"""The tool's z axis straight down, as quat_xyzw."""


def example_summary(robot: str = "panda", windows: int = 24) -> dict[str, Any]:
    """Pick something up 0.5 m in front of the base, carry it 0.2 m to the side and put it down, three times."""
    chains = []
    for offset in (0.0, 0.02, 0.04):
        x, y = 0.45 + offset, -0.1 + offset
        position = [[x, y, 0.25], [x, y, 0.1], [x, y, 0.1], [x, y, 0.2], [x, y + 0.2, 0.2], [x, y + 0.2, 0.12]]
        chains.append(
            {
                "position": position,
                "quat_xyzw": [DOWN] * 6,
                "duration": [0.8, 0.0, 0.5, 1.0, 0.4],
                "dwell": [0.0, 0.2, 0.4, 0.0, 0.0, 0.5],
                "gripper": [-1.0, -1.0, 1.0, 1.0, 1.0, -1.0],
            }
        )
    rotation = matrix_to_rot6d(quat_xyzw_to_matrix(np.array(DOWN)))
    rng = np.random.default_rng(0)
    start, velocity = (
        rng.uniform([0.4, -0.1, 0.1], [0.5, 0.1, 0.25], (2 * windows, 3)),
        rng.normal(0, 0.1, (2 * windows, 3)),
    )
    time = np.arange(16)[:, None] / 20
    cut = np.zeros((2 * windows, 16, 10))
    cut[..., :3] = start[:, None] + time * velocity[:, None]
    cut[..., 3:9] = rotation
    cut[..., 9] = rng.choice([-1.0, 1.0], (2 * windows, 1))
    flat = np.round(cut, 4).reshape(2 * windows, 160).tolist()
    return {
        "format": "headstart-demonstration-summary",
        "version": 1,
        "task": "carry",
        "robot": robot,
        "rate_hz": 20.0,
        "action_label": "command",
        "demonstrations": 3,
        "held_out": 2,
        "tolerance": {"position": 0.01, "angle_deg": 5.0},
        "position_range": {"min": [0.4, -0.15, 0.05], "max": [0.55, 0.2, 0.3]},
        "chains": chains,
        "windows": {
            "horizon": 16,
            "fitted": {"episode": [i % 3 for i in range(windows)], "values": flat[:windows]},
            "held_out": {"episode": [i % 2 for i in range(windows)], "values": flat[windows:]},
        },
    }
