"""Which answers of a policy are carried out."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart_client.limits import ArmLimits, Array


class RefusedError(ValueError):
    """A chunk must not be carried out."""


@dataclass(frozen=True)
class ChunkChecks:
    """What a chunk may ask.

    Attributes:
        beyond: how far targets may lie outside position limits, as a share of a joint's range; they are moved to the
            limit. Farther out, the chunk is refused.
        farthest_s: a target is refused if it is farther from where the arm is than a joint goes by the time it is due,
            and this much longer, at its greatest velocity [s].
    """

    beyond: float = 0.05
    farthest_s: float = 1.0

    def read(self, chunk: Any, limits: ArmLimits) -> tuple[Array, Array | None]:
        """Targets (steps, dof) inside the limits, and the gripper's (steps,) where the chunk has one number more.

        Raises RefusedError.
        """
        try:
            actions = np.array(chunk, np.float64)
        except (TypeError, ValueError, OverflowError):
            raise RefusedError("it is no array of numbers") from None
        dof = limits.dof
        if actions.ndim != 2 or len(actions) < 2 or actions.shape[1] not in (dof, dof + 1):
            raise RefusedError(
                f"its shape is {actions.shape}, not (2 or more steps, {dof} joints or {dof + 1} with gripper)"
            )
        if not np.isfinite(actions).all():
            step, index = np.argwhere(~np.isfinite(actions))[0]
            raise RefusedError(f"number {index} of step {step} is {actions[step, index]}")
        targets = actions[:, :dof]
        outside = np.maximum(limits.lower - targets, targets - limits.upper)
        if (outside > self.beyond * (limits.upper - limits.lower)).any():
            step, joint = np.unravel_index(np.argmax(outside / (limits.upper - limits.lower)), outside.shape)
            raise RefusedError(
                f"step {step} wants joint {joint} at {targets[step, joint]:.6g}, outside "
                f"{limits.lower[joint]:.6g} to {limits.upper[joint]:.6g}"
            )
        gripper = actions[:, dof] if actions.shape[1] > dof else None
        return np.clip(targets, limits.lower, limits.upper), gripper

    def near(self, targets: Array, times: Array, position: Array, limits: ArmLimits) -> None:
        """Checks targets (steps, dof) due in `times` [s], (steps,), from a position (dof,). Raises RefusedError."""
        reach = limits.velocity * (np.maximum(times, 0.0)[:, None] + self.farthest_s)
        far = np.abs(targets - position) / reach
        if (far[times >= 0] > 1).any():
            step, joint = np.unravel_index(np.argmax(np.where(times[:, None] >= 0, far, 0.0)), far.shape)
            raise RefusedError(
                f"step {step} wants joint {joint} at {targets[step, joint]:.6g}, far from {position[joint]:.6g} "
                f"where it is: more than {self.farthest_s:g} s behind at its greatest velocity"
            )
