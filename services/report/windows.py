"""A dataset's action windows, cut as Stage 1 cuts them: one of each trajectory, its start uniform, edges repeated."""

import numpy as np

from services.audit.row_check import Rows
from shared.order import WindowSpan, window_starts
from shared.summary import ACTION_DIM, Windows

_SEED = 0
_BEFORE, _AFTER = 1, 7
"""How far a window reaches past a trajectory's ends: n_obs_steps - 1 and n_action_steps - 1 of the trainer."""


def cut_windows(rows: Rows, horizon: int) -> Windows:
    """One window of each row."""
    lengths = np.diff(rows.first)
    span = WindowSpan(horizon, _BEFORE, _AFTER)
    starts = window_starts(_SEED, 0, rows.ids, np.zeros(len(rows.ids), np.int64), lengths, span)
    steps = np.clip(starts[:, None] + np.arange(horizon), 0, lengths[:, None] - 1) + rows.first[:-1, None]
    values = np.empty((len(rows.ids), horizon, ACTION_DIM))
    values[..., :3] = rows.lists["ee_position"][steps]
    values[..., 3:9] = rows.lists["ee_rotation_6d"][steps]
    values[..., 9] = rows.lists["gripper"][steps, 0]
    return Windows(rows.ids, values)
