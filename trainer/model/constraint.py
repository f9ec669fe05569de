"""What is known of the actions that a sampler denoises: that they are smooth, and what the first of them are."""

from collections.abc import Callable

import torch
from torch import Tensor

from trainer.data.action import GRIPPER
from trainer.data.motion_basis import MotionBasis

_REACH_STEPS = 4.0
"""How far a gap at the prefix is carried on: the errors of steps so far apart are taken to go together by exp(-1/2)."""
_HELD = 2
"""Steps of a prefix that a window in a basis is held to, its last: where the arm will be, and how fast. More of them
leave a basis of few directions hardly any that what is seen now can move."""
_LEFT = 1e-3
"""Variance that may be left of a gap's; less would bend the rest of a window after the last micrometre of a prefix."""


class Constraint:
    """Brings denoised actions back to what is known of them, at every step of a sampler.

    All of it is linear in the actions, and of a window each operation takes as long as its start: so it is one product
    with a matrix of all steps and numbers, which is made once.
    """

    def __init__(self, basis: MotionBasis | None, device: torch.device) -> None:
        """Takes the basis that windows lie in; without one they have any shape over time."""
        self._device = device
        self._projection = None if basis is None else torch.from_numpy(basis.projection())
        self._matrices: dict[tuple[int, ...], tuple[Tensor, Tensor]] = {}

    def on(self, prefix: Tensor | None) -> Callable[[Tensor], Tensor] | None:
        """What to do with actions (batch, horizon, action_dim) at every step; None is nothing.

        Args:
            prefix: the first actions, (batch, m, action_dim) normalized, with NaN where a window's are not known; None
                where none are. Within a basis the last two are met as nearly as it can, and those before them only
                by the gripper.
        """
        if prefix is None:
            return None if self._projection is None else self._project
        known = torch.isfinite(prefix).flatten(1).all(1)
        # Asked once: a GPU would be waited for at every step.
        all_known = bool(known.all())
        given = prefix.nan_to_num().flatten(1)

        def hold(actions: Tensor) -> Tensor:
            kept, taken = self._holding(actions.shape[1], actions.shape[2], prefix.shape[1])
            held = (_product(actions.flatten(1), kept) + _product(given, taken)).view_as(actions)
            if all_known:
                return held
            free = actions if self._projection is None else self._project(actions)
            return torch.where(known[:, None, None], held, free)

        return hold

    def _project(self, actions: Tensor) -> Tensor:
        kept, _ = self._holding(actions.shape[1], actions.shape[2], 0)
        return _product(actions.flatten(1), kept).view_as(actions)

    def _holding(self, horizon: int, numbers: int, count: int) -> tuple[Tensor, Tensor]:
        """Matrices for denoised actions (horizon * numbers) and for a prefix (count * numbers), whose products add up.

        Of projected actions a, a + gain (prefix - a_first); the gripper is exactly the prefix's where that is.
        """
        key = horizon, numbers, count
        if key not in self._matrices:
            eye = torch.eye(horizon, dtype=torch.float64)
            projection = eye if self._projection is None else self._projection
            motion = torch.zeros(numbers, dtype=torch.float64)
            motion[:GRIPPER] = 1
            free = eye[:, :count]
            ways = (projection, hold_gain(self._projection, horizon, count), motion), (eye, free, 1 - motion)
            kept = torch.zeros(horizon * numbers, horizon * numbers, dtype=torch.float64)
            taken = torch.zeros(horizon * numbers, count * numbers, dtype=torch.float64)
            for onto, turn, which in ways:
                kept += torch.kron(onto - turn @ onto[:count], torch.diag(which))
                taken += torch.kron(turn.contiguous(), torch.diag(which))
            made = (matrix.T.contiguous().float().to(self._device) for matrix in (kept, taken))
            self._matrices[key] = next(made), next(made)
        return self._matrices[key]


def hold_gain(projection: Tensor | None, horizon: int, count: int) -> Tensor:
    """(horizon, count) float64, from the gap in the first actions to what it changes of the window.

    Within a basis, the best linear estimate of the window's error from that of the last two of these steps, for errors
    that are alike in steps near each other: the window turns from the prefix to what is denoised, and does not jump.
    The steps before them change nothing. Without one (None), only the first steps change.
    """
    if projection is None:
        return torch.eye(horizon, dtype=torch.float64)[:, :count]
    steps = torch.arange(horizon, dtype=torch.float64)
    alike = torch.exp(-0.5 * ((steps[:, None] - steps) / _REACH_STEPS) ** 2)
    covariance = projection @ alike @ projection
    held = slice(max(0, count - _HELD), count)
    last = covariance[held, held] + _LEFT * torch.eye(covariance[held].shape[0], dtype=torch.float64)
    gain = torch.zeros(horizon, count, dtype=torch.float64)
    gain[:, held] = torch.linalg.solve(last, covariance[held]).T
    return gain


def _product(rows: Tensor, matrix: Tensor) -> Tensor:
    """rows @ matrix in float32 under autocast too: what bf16 rounds off would be jitter again."""
    # Autocast leaves alone what is written to a tensor that is given.
    out = rows.new_empty(len(rows), matrix.shape[1])
    torch.mm(rows, matrix, out=out)
    return out
