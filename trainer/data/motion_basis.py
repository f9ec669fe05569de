"""The motion basis: the directions over time that windows of motion span, and projection onto the few that matter.

A window of a jerk-limited motion is smooth, so over its time steps it lies close to a subspace of few dimensions, which
the same orthonormal directions span for every number of an action. The first direction is constant over time; the
others are the principal directions of windows about their own means, so that a shift of all positions changes nothing.
The gripper, which jumps, has no part in it. A sampler that projects what it denoises onto the first few directions
removes the noise from step to step, which no window has, and that of the policy's errors which lies beyond them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from shared.errors import ConfigError
from shared.rotation import geodesic_angle, rot6d_to_matrix
from trainer.config import ActionName
from trainer.data.action import GRIPPER, POSITION, ROTATION
from trainer.data.normalization import ActionNormalizer
from trainer.tensor_file import publish, sha256

FloatArray = NDArray[np.float64]

MOST_WINDOWS = 16_384
"""Of which a basis is learned; more change its projection by less than what it leaves out."""

TOLERANCE = {"position_mm": 1.5, "rotation_deg": 0.6, "joint_rad": 0.006}
"""Greatest root mean square of what the projection may take from windows: a tenth of what heads are off by."""


@dataclass(frozen=True, eq=False)
class MotionBasis:
    """Directions over the time steps of a window, the most important first.

    Attributes:
        action: whose windows they are of.
        directions: (horizon, horizon) float64, orthonormal rows.
        spread: (horizon,) standard deviation of windows along each, in normalized units, of one number of an action.
        kept: how many of them a sampler projects onto.
        windows: how many they were learned from.
    """

    action: ActionName
    directions: FloatArray
    spread: FloatArray
    kept: int
    windows: int

    @classmethod
    def learn(
        cls, windows: NDArray[np.float32], normalizer: ActionNormalizer, kept: int | None = None
    ) -> "MotionBasis":
        """The basis of normalized windows (n, horizon, action_dim).

        Args:
            windows: of motion.
            normalizer: of their actions.
            kept: directions to project onto; None takes the fewest that keep within `TOLERANCE`.

        Raises:
            ConfigError: there are no windows, or `kept` is more than the horizon.
        """
        if len(windows) == 0:
            raise ConfigError("there are no windows to learn a motion basis from")
        motion = windows[..., :GRIPPER].astype(np.float64)
        horizon = motion.shape[1]
        means = motion.mean(1, keepdims=True)
        # Rows that are one number of an action over time: (n * numbers, horizon).
        about = (motion - means).transpose(0, 2, 1).reshape(-1, horizon)
        values, vectors = np.linalg.eigh(about.T @ about / len(about))
        # The constant is the eigenvector that has nothing left: of equal values eigh may give it mixed with others.
        order = np.argsort(-values)[: horizon - 1]
        constant = np.full((1, horizon), horizon**-0.5)
        directions = _orthonormal(np.concatenate([constant, vectors[:, order].T]))
        spread = np.concatenate([[float(np.sqrt(horizon * (means**2).mean()))], np.sqrt(values[order].clip(min=0))])
        basis = cls(normalizer.action, directions, spread, horizon, len(windows))
        if kept is None:
            kept = basis.needed(windows, normalizer)
        return basis.keeping(kept)

    @property
    def horizon(self) -> int:
        """Steps of a window."""
        return len(self.directions)

    def keeping(self, kept: int) -> "MotionBasis":
        """The same basis with `kept` directions to project onto. Raises ConfigError where it has not so many."""
        if not 1 <= kept <= self.horizon:
            raise ConfigError(
                f"{kept} directions can't be kept of a motion basis; a window of {self.horizon} steps has 1 to "
                f"{self.horizon}, and 0 is none at all"
            )
        return replace(self, kept=kept)

    def projection(self) -> FloatArray:
        """(horizon, horizon) onto the directions that are kept."""
        rows = self.directions[: self.kept]
        return np.asarray(rows.T @ rows)

    def project(self, motion: NDArray[Any]) -> FloatArray:
        """(..., horizon, numbers) of motion without the gripper, projected onto the directions that are kept."""
        return np.asarray(self.projection() @ motion)

    def truncation(self, windows: NDArray[np.float32], normalizer: ActionNormalizer) -> dict[str, FloatArray]:
        """What projecting takes from each of normalized windows (n, horizon, action_dim).

        Returns:
            (n,) each, root mean squares over the steps: for poses `position_mm` and `rotation_deg`, for joints
            `joint_rad`, the greatest of the joints [rad, or m of a prismatic one].
        """
        projected = windows.copy()
        projected[..., :GRIPPER] = self.project(windows[..., :GRIPPER].astype(np.float64))
        before, after = (normalizer.denormalize(actions).astype(np.float64) for actions in (windows, projected))
        if self.action == "joint_position":
            off = np.abs(after - before)[..., :GRIPPER]
            return {"joint_rad": _root_mean_square(off, 1).max(-1)}
        distance = np.linalg.norm((after - before)[..., POSITION], axis=-1)
        angle = geodesic_angle(rot6d_to_matrix(after[..., ROTATION]), rot6d_to_matrix(before[..., ROTATION]))
        return {
            "position_mm": 1e3 * _root_mean_square(distance, 1),
            "rotation_deg": np.rad2deg(_root_mean_square(angle, 1)),
        }

    def beyond(self, windows: NDArray[np.float32], normalizer: ActionNormalizer) -> float:
        """Share of normalized windows from which projecting takes more than `TOLERANCE`."""
        taken = self.truncation(windows, normalizer)
        outside = np.stack([values > TOLERANCE[name] for name, values in taken.items()])
        return float(outside.any(0).mean())

    def carries(self, windows: NDArray[np.float32], normalizer: ActionNormalizer) -> bool:
        """Whether projecting windows takes no more than `TOLERANCE` from them, as a root mean square over all."""
        taken = self.truncation(windows, normalizer)
        return all(float(_root_mean_square(values, 0)) <= TOLERANCE[name] for name, values in taken.items())

    def needed(self, windows: NDArray[np.float32], normalizer: ActionNormalizer) -> int:
        """The fewest of its directions that carry these windows."""
        kept = range(1, self.horizon)
        return next((k for k in kept if replace(self, kept=k).carries(windows, normalizer)), self.horizon)

    def sha256(self) -> str:
        """Names its content."""
        return sha256(json.dumps(self.to_json()).encode())

    def to_json(self) -> dict[str, Any]:
        """What `from_json` makes an equal basis of."""
        return {
            "action": self.action,
            "directions": self.directions.tolist(),
            "spread": self.spread.tolist(),
            "kept": self.kept,
            "windows": self.windows,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "MotionBasis":
        """Reads what `to_json` wrote. Raises KeyError, TypeError or ValueError on anything else."""
        action, kept, windows = value["action"], value["kept"], value["windows"]
        if action not in get_args(ActionName):
            raise ValueError(f"the action of a motion basis is {action!r}; it must be one of {get_args(ActionName)}")
        try:
            directions, spread = (np.array(value[name], np.float64) for name in ("directions", "spread"))
        except OverflowError as error:
            raise ValueError(str(error)) from error
        horizon = len(directions)
        if directions.shape != (horizon, horizon) or spread.shape != (horizon,):
            raise ValueError(f"a motion basis has directions of shape {directions.shape}, spread of {spread.shape}")
        # Comparing is false for NaN.
        if not np.all(np.abs(directions @ directions.T - np.eye(horizon)) <= 1e-9):
            raise ValueError("the directions of a motion basis are orthonormal, these are not")
        if not (type(kept) is int and 1 <= kept <= horizon and type(windows) is int and windows >= 0):
            raise ValueError(f"a motion basis of {horizon} steps keeps {kept!r} directions of {windows!r} windows")
        if not np.all((spread >= 0) & np.isfinite(spread)):
            raise ValueError("the spread of a motion basis is 0 or more, this is not")
        return cls(action, directions, spread, kept, windows)


def chosen_basis(basis: MotionBasis | None, directions: int | None) -> tuple[int, MotionBasis | None]:
    """How many directions are projected onto, and the basis of them. Raises ConfigError where it has not so many."""
    if directions == 0 or (basis is None and directions is None):
        return 0, None
    if basis is None:
        raise ConfigError(
            f"directions is {directions}, but this checkpoint has no motion basis; leave it out, or adapt again for one"
        )
    chosen = basis if directions is None else basis.keeping(directions)
    return chosen.kept, chosen


def write_basis(path: Path, basis: MotionBasis) -> None:
    """Publishes a basis as a file of its own."""
    publish(path, json.dumps(basis.to_json()).encode())


def read_basis(path: Path) -> MotionBasis:
    """What `write_basis` wrote. Raises ConfigError where it is something else."""
    try:
        return MotionBasis.from_json(json.loads(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigError(f"{path} is no motion basis ({error}); give what `python -m trainer basis` wrote") from error


def _orthonormal(rows: FloatArray) -> FloatArray:
    """Gram and Schmidt, from the first row on, which stays as it is but for its sign."""
    q, r = np.linalg.qr(rows.T)
    return np.asarray((q * np.where(np.diag(r) < 0, -1.0, 1.0)).T)


def _root_mean_square(values: FloatArray, axis: int) -> FloatArray:
    return np.asarray(np.sqrt((values**2).mean(axis)))
