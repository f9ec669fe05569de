"""The programs of an export and the numbers beside them: observations to features to denoised actions."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

ROTATION = slice(3, 9)
"""Of `ee_pose` actions: two rows of a rotation matrix."""


class Program(nn.Module):
    """One exported program, as a module that `eval()` and `to()` know."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._graph = torch.export.load(path).module()

    def forward(self, *arguments: Tensor | tuple[Tensor, ...]) -> Tensor:
        """What the program returns."""
        returned: Tensor = self._graph(*arguments)
        return returned

    def train(self, mode: bool = True) -> "Program":
        """Nothing but a mark: an exported program is that of inference, and refuses to be asked."""
        self.training = mode
        return self


class Denoiser(nn.Module):
    """Denoises as Headstart's own policy does: scaled observations and noise to normalized actions.

    Attributes:
        about: what the export's policy.json says.
    """

    def __init__(self, folder: Path) -> None:
        """Opens an export. Raises FileNotFoundError where a file is missing, ValueError where actions are relative."""
        super().__init__()
        for name in ("policy.json", "encode.pt2", "denoise.pt2"):
            if not (folder / name).is_file():
                raise FileNotFoundError(
                    f"{folder} has no {name}; give a folder that `python -m trainer export --lerobot` wrote"
                )
        self.about: dict[str, Any] = json.loads((folder / "policy.json").read_text())
        # Earlier exports don't tell: they had none.
        if self.about.get("relative_actions"):
            raise ValueError(
                f"{folder} holds a policy whose actions are relative to the arm's state; LeRobot would command them as "
                "if they were places. Adapt a policy without --relative-actions"
            )
        self._encode, self._denoise = Program(folder / "encode.pt2"), Program(folder / "denoise.pt2")
        horizon, hold = self.about["horizon"], self.about["hold"]
        projection = torch.eye(horizon) if self.about["projection"] is None else torch.tensor(self.about["projection"])
        self._projection: Tensor
        self._hold: Tensor
        self.register_buffer("_projection", projection, persistent=False)
        self.register_buffer("_hold", torch.tensor(hold), persistent=False)

    @torch.no_grad()
    def forward(
        self, condition: Tensor, pictures: tuple[Tensor, ...], noise: Tensor, prefix: Tensor | None = None
    ) -> Tensor:
        """Denoises.

        Args:
            condition: scaled observations, (n, n_obs_steps * width).
            pictures: each camera's crops, (n, n_picture_steps, height, width, 3) uint8.
            noise: from N(0, 1), (n, horizon, action_dim).
            prefix: the n_obs_steps - 1 actions that were commanded last, (n, n_obs_steps - 1, action_dim), normalized;
                None where none were.

        Returns:
            Normalized actions (n, horizon, action_dim). Rotations are orthonormal.
        """
        features, x = self._encode(condition, pictures), noise
        for step in self.about["sampler"]:
            timesteps = torch.full((len(x),), step["timestep"], device=x.device)
            actions = self._constrained(self._denoised(x, self._denoise(x, timesteps, features), step), prefix)
            spread = (x - step["alpha"] * actions) / step["sigma"]
            x = step["next_alpha"] * actions + step["next_sigma"] * spread
        return _orthonormal(x) if self.about["action"] == "ee_pose" else x

    def _denoised(self, x: Tensor, predicted: Tensor, step: dict[str, float]) -> Tensor:
        """The actions that a prediction implies, clipped to [-1, 1]."""
        kind = self.about["prediction_type"]
        if kind == "epsilon":
            actions = (x - step["sigma"] * predicted) / step["alpha"]
        elif kind == "sample":
            actions = predicted
        elif kind == "v_prediction":
            actions = step["alpha"] * x - step["sigma"] * predicted
        else:
            actions = x + step["sigma"] * predicted
        return actions.clamp(-1, 1)

    def _constrained(self, actions: Tensor, prefix: Tensor | None) -> Tensor:
        """Within the motion basis, and going on from the prefix: all numbers but the gripper turn, it is replaced."""
        motion, gripper = self._projection @ actions[..., :-1], actions[..., -1:]
        if prefix is not None and prefix.shape[1]:
            steps = prefix.shape[1]
            motion = motion + self._hold @ (prefix[..., :-1] - motion[:, :steps])
            gripper = torch.cat([prefix[..., -1:], gripper[:, steps:]], dim=1)
        return torch.cat([motion, gripper], dim=-1)


def _orthonormal(actions: Tensor) -> Tensor:
    """`ee_pose` actions whose two rows are of a rotation, by Gram and Schmidt."""
    first, second = actions[..., 3:6], actions[..., 6:9]
    first = nn.functional.normalize(first, dim=-1)
    second = nn.functional.normalize(second - (first * second).sum(-1, keepdim=True) * first, dim=-1)
    return torch.cat([actions[..., :3], first, second, actions[..., 9:]], dim=-1)
