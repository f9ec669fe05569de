"""Flow matching: straight paths from noise to actions, and the velocity along them (Lipman et al., Liu et al. 2023).

At time t of [0, 1] noisy actions are (1 - t) * noise + t * actions, and the head predicts the derivative of that,
actions - noise. Time enters a head by the same encoder as a diffusion timestep: as 99 * (1 - t), a real number, so that
in every prediction type 99 is noise alone, and smaller is less of it.
"""

import torch
from torch import Tensor

from trainer.config import DIFFUSION_STEPS

_NOISIEST = DIFFUSION_STEPS - 1
_POWER = 3
"""Of what is left of the noise, by the steps that are left of the sampler."""


class FlowMatching:
    """As `diffusion.Diffusion`: the forward process, and what a head has to predict in it."""

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Timesteps to train on, (count,), from a time t uniform over [0, 1).

        Uniform, since a sampler of one to four steps visits t = 0 and few others, all of which must be trained: a
        logit-normal density, which samplers of many steps like, is zero at t = 0.
        """
        return _NOISIEST * (1 - torch.rand(count, generator=generator))

    def spread(self, count: int, device: torch.device) -> Tensor:
        """Timesteps (count,) spread evenly over those that are trained on."""
        return (torch.arange(count, device=device) + 0.5) * (_NOISIEST / count)

    def add_noise(self, actions: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """(1 - t) * noise + t * actions, for actions (batch, horizon, dim)."""
        share = (timesteps / _NOISIEST).view(-1, 1, 1)
        return share * noise + (1 - share) * actions

    def target(self, actions: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """The velocity, actions - noise, at every timestep."""
        return actions - noise


def flow_times(steps: int) -> tuple[list[float], list[float]]:
    """The timesteps at which a sampler of so many steps asks the head, and the noise's shares 1 - t there, from 1 down.

    What a head is off by in its last step enters the actions times the share of the noise that is left there. So steps
    become shorter: i of n steps leave (1 - i / n)^3 of the noise. Of two equal ones, the last one's error would count
    for half, and did: 88 successes of 100 in place of 100 (docs/results/README.md).
    """
    shares = [(1 - index / steps) ** _POWER for index in range(steps)]
    return [_NOISIEST * share for share in shares], shares
