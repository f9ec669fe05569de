"""The condition of a policy that sees some of the latest steps in numbers, and as many or others in pictures.

It goes step after step, the oldest first, and has of each step what is seen of it: the features of its pictures, then
its numbers. Of three steps in numbers and one in pictures: numbers, numbers, features and numbers.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def join_steps(features: Tensor, numbers: Tensor) -> Tensor:
    """Features and numbers, (batch, steps, width) each with the latest step last, as a condition (batch, width)."""
    both = min(features.shape[1], numbers.shape[1])
    longer = features if features.shape[1] > both else numbers
    alone = longer[:, : longer.shape[1] - both]
    latest = torch.cat([features[:, -both:], numbers[:, -both:]], dim=-1)
    return torch.cat([alone.flatten(1), latest.flatten(1)], dim=1)


class SplitSteps(nn.Module):
    """A condition as its steps again, each of the same width: zeros stand for what is not seen of a step."""

    def __init__(self, n_obs_steps: int, obs_dim: int, n_picture_steps: int, features: int) -> None:
        """Takes so many steps of `obs_dim` numbers, and so many of `features` numbers that pictures became."""
        super().__init__()
        self.width = features + obs_dim
        self._both, self._alone = min(n_obs_steps, n_picture_steps), abs(n_obs_steps - n_picture_steps)
        # Before and after what is seen of the steps that one of the two is seen of.
        self._unseen = (features, 0) if n_obs_steps > n_picture_steps else (0, obs_dim)

    def forward(self, condition: Tensor) -> Tensor:
        """(batch, condition_dim) to (batch, steps, features + obs_dim)."""
        batch, width = condition.shape[0], self.width - sum(self._unseen)
        alone, latest = torch.split(condition, [self._alone * width, self._both * self.width], dim=1)
        earlier = F.pad(alone.reshape(batch, self._alone, width), self._unseen)
        return torch.cat([earlier, latest.reshape(batch, self._both, self.width)], dim=1)
