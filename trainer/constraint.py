"""What is known of the actions that a sampler denoises: that they are smooth, and what the first of them are."""

from collections.abc import Callable

import torch
from torch import Tensor

from trainer.action import GRIPPER
from trainer.motion_basis import MotionBasis

_REACH_STEPS = 4.0
"""How far a gap at the prefix is carried on: the errors of steps so far apart are taken to go together by exp(-1/2)."""
_LEFT = 1e-3
"""Variance that may be left of a gap's; less would bend the rest of a window after the last micrometre of a prefix."""


class Constraint:
    """Brings denoised actions back to what is known of them, at every step of a sampler."""

    def __init__(self, basis: MotionBasis | None, device: torch.device) -> None:
        """Of windows that lie in a basis, or without one of any shape over time."""
        self._device = device
        self._exact = None if basis is None else torch.from_numpy(basis.projection())
        self._projection = None if self._exact is None else self._exact.float().to(device)
        self._gains: dict[int, Tensor] = {}

    def on(self, prefix: Tensor | None) -> Callable[[Tensor], Tensor] | None:
        """What to do with actions (batch, horizon, action_dim) at every step; None is nothing.

        Args:
            prefix: the first actions, (batch, m, action_dim) normalized, with NaN where a window's are not known; None
                where none are. Within a basis they are met as nearly as it can, to a hundredth of the gap or less.
        """
        if prefix is None:
            return None if self._projection is None else self._project
        given = prefix
        known = torch.isfinite(given).flatten(1).all(1)[:, None, None]

        def hold(actions: Tensor) -> Tensor:
            held = actions.clone() if self._projection is None else self._project(actions)
            first = held[:, : given.shape[1]]
            gap = torch.where(known, given - first, 0.0)
            if self._projection is None:
                first += gap
                return held
            first[..., GRIPPER] += gap[..., GRIPPER]
            with torch.autocast(held.device.type, enabled=False):
                held[..., :GRIPPER] += self._gain(given.shape[1]) @ gap[..., :GRIPPER]
            return held

        return hold

    def _project(self, actions: Tensor) -> Tensor:
        assert self._projection is not None
        # In float32 under autocast too: what bf16 rounds off would be jitter again.
        with torch.autocast(actions.device.type, enabled=False):
            projected = self._projection @ actions
        projected[..., GRIPPER] = actions[..., GRIPPER]
        return projected

    def _gain(self, count: int) -> Tensor:
        """(horizon, count) from the gap in the first actions to what it changes of the window.

        The best linear estimate of the window's error from that of its first steps, for errors within the basis that
        are alike in steps near each other: the window turns from the prefix to what is denoised, and does not jump.
        """
        if count not in self._gains:
            assert self._exact is not None
            steps = torch.arange(len(self._exact), dtype=torch.float64)
            alike = torch.exp(-0.5 * ((steps[:, None] - steps) / _REACH_STEPS) ** 2)
            covariance = self._exact @ alike @ self._exact
            first = covariance[:count, :count] + _LEFT * torch.eye(count, dtype=torch.float64)
            gain = torch.linalg.solve(first, covariance[:count]).T
            self._gains[count] = gain.float().to(self._device)
        return self._gains[count]
