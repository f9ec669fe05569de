"""Noise in training, and sampling: the diffusion process and DDIM. The schedule is that of diffusers, to the bit.

DDPM with 100 timesteps and squared-cosine betas (Ho et al. 2020, Nichol and Dhariwal 2021). A head predicts the noise
(epsilon), the actions (sample), or the velocity (v_prediction, Salimans and Ho 2022). Sampling is by DDIM (Song et al.
2021). Of flow matching (flow_matching.py), what DDIM does is an Euler step: it goes on in a straight line.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import torch
from torch import Tensor

from shared.errors import ConfigError
from trainer.config import DIFFUSION_STEPS, PredictionType, default_sampling_steps
from trainer.model.flow_matching import FlowMatching, flow_times

_MOST_NOISE = 0.999


@cache
def kept_variance() -> Tensor:
    """abar_t, the share of the actions' variance that is left at each timestep: squared cosine, float32 on the CPU."""

    def bar(time: float) -> float:
        return math.cos((time + 0.008) / 1.008 * math.pi / 2) ** 2

    times = [timestep / DIFFUSION_STEPS for timestep in range(DIFFUSION_STEPS + 1)]
    betas = [min(1 - bar(after) / bar(now), _MOST_NOISE) for now, after in pairwise(times)]
    return torch.cumprod(1 - torch.tensor(betas), dim=0)


class Diffusion:
    """The forward process, and what a head has to predict in it."""

    def __init__(self, prediction_type: PredictionType, device: torch.device) -> None:
        """On a device, where its tables lie: they must not be copied there at every step."""
        kept = kept_variance()
        self._signal, self._noise = kept.sqrt().to(device), (1 - kept).sqrt().to(device)
        self._prediction_type = prediction_type

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Timesteps to train on, (count,), any of the schedule's as often as any other."""
        return torch.randint(DIFFUSION_STEPS, (count,), generator=generator)

    def spread(self, count: int, device: torch.device) -> Tensor:
        """Timesteps (count,) spread evenly over the schedule."""
        return torch.arange(count, device=device) * DIFFUSION_STEPS // count

    def add_noise(self, actions: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """sqrt(abar_t) * actions + sqrt(1 - abar_t) * noise, for actions (batch, horizon, dim)."""
        return _at(self._signal, timesteps) * actions + _at(self._noise, timesteps) * noise

    def target(self, actions: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """The noise, the actions, or the velocity sqrt(abar_t) * noise - sqrt(1 - abar_t) * actions."""
        if self._prediction_type == "epsilon":
            return noise
        if self._prediction_type == "sample":
            return actions
        return _at(self._signal, timesteps) * noise - _at(self._noise, timesteps) * actions


def forward_process(prediction_type: PredictionType, device: torch.device) -> Diffusion | FlowMatching:
    """What adds noise to actions, and what a head has to predict of them."""
    return FlowMatching() if prediction_type == "flow" else Diffusion(prediction_type, device)


def _at(table: Tensor, timesteps: Tensor) -> Tensor:
    return table[timesteps].view(-1, 1, 1)


@dataclass(frozen=True)
class SamplingStep:
    """One step of the sampler, from `timestep` to the next that it visits, the last to no noise.

    Attributes:
        timestep: at which the head is asked; of a flow, a real number.
        alpha, sigma: noisy actions are alpha * actions + sigma * noise: sqrt(abar) and sqrt(1 - abar), of a flow t and
            1 - t.
        next_alpha, next_sigma: of the next.
    """

    timestep: float
    alpha: float
    sigma: float
    next_alpha: float
    next_sigma: float

    def denoised(self, noisy: Tensor, predicted: Tensor, prediction_type: PredictionType) -> Tensor:
        """The actions that a prediction implies, clipped to [-1, 1]."""
        if prediction_type == "epsilon":
            actions = torch.add(noisy, predicted, alpha=-self.sigma) / self.alpha
        elif prediction_type == "sample":
            actions = predicted
        elif prediction_type == "flow":
            actions = torch.add(noisy, predicted, alpha=self.sigma)
        else:
            actions = torch.add(self.alpha * noisy, predicted, alpha=-self.sigma)
        return actions.clamp(-1, 1)

    def next(self, noisy: Tensor, actions: Tensor, step_noise: Tensor | None) -> Tensor:
        """Noisy actions of the next step: next_alpha * actions + next_sigma * noise.

        The noise is that in `noisy`, given these actions, or, with `step_noise` (eta 1), as much of that as makes
        sampling over every timestep DDPM (Song et al. 2021, eq. 12 and 16).
        """
        added = 0.0
        if step_noise is not None:
            turned = self.sigma**2 - (self.alpha / self.next_alpha * self.next_sigma) ** 2
            added = self.next_sigma / self.sigma * turned**0.5
        kept = (self.next_sigma**2 - added**2) ** 0.5 / self.sigma
        # Of the noise (noisy - alpha * actions) / sigma.
        out = torch.add(kept * noisy, actions, alpha=self.next_alpha - kept * self.alpha)
        return out if step_noise is None else torch.add(out, step_noise, alpha=added)


def sampling_steps(steps: int | None = None, prediction_type: PredictionType = "epsilon") -> tuple[SamplingStep, ...]:
    """The steps of the sampler, from noise alone down to none.

    Those of DDIM begin at the training schedule's last timestep, those of a flow become shorter. None takes as many as
    `default_sampling_steps`. Raises ConfigError for no or too many.
    """
    steps = default_sampling_steps(prediction_type) if steps is None else steps
    if not 1 <= steps <= DIFFUSION_STEPS:
        raise ConfigError(f"{steps} sampling steps: there are 1 to {DIFFUSION_STEPS}")
    return _flow_steps(steps) if prediction_type == "flow" else _ddim_steps(steps)


@cache
def _flow_steps(steps: int) -> tuple[SamplingStep, ...]:
    """The steps of flow matching."""
    visited, left = flow_times(steps)
    shares = [(1 - share, share) for share in (*left, 0.0)]
    return tuple(SamplingStep(at, *now, *after) for at, now, after in zip(visited, shares, shares[1:], strict=False))


@cache
def _ddim_steps(steps: int) -> tuple[SamplingStep, ...]:
    """The steps of DDIM."""
    # diffusers' "trailing", whose rounding adds -1 as a thirtieth of 29 steps. Its default, "leading", would start at
    # timestep 90, where the sample still holds signal: noise is no start there.
    timesteps = [round(DIFFUSION_STEPS * (steps - index) / steps) - 1 for index in range(steps)]
    cumulative = kept_variance().double()
    kept = [float(cumulative[timestep]) for timestep in timesteps] + [1.0]
    return tuple(
        SamplingStep(timestep, now**0.5, (1 - now) ** 0.5, after**0.5, (1 - after) ** 0.5)
        for timestep, now, after in zip(timesteps, kept, kept[1:], strict=False)
    )


@torch.no_grad()
def sample(
    predict: Callable[[Tensor, int], Tensor],
    noise: Tensor,
    steps: int | None = None,
    prediction_type: PredictionType = "epsilon",
    step_noise: Callable[[int], Tensor] | None = None,
    constrain: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Denoises by DDIM without added noise (eta 0), or with all of it (eta 1), which over every timestep is DDPM.

    As diffusers' DDIMScheduler with `use_clipped_model_output`: with 10 steps the prediction and the clipped actions
    disagree where clipping acts. Its own `step` would take a twentieth of dp_mlp's time, and where
    `steps` does not divide the schedule, as 7, it denoises to other timesteps than it visits next.

    Args:
        predict: given noisy actions (batch, horizon, dim) and the index of the sampling step, the head's prediction.
        noise: the start, from N(0, 1).
        steps: of the sampler, as `sampling_steps` takes them; DDPM takes all of them, config.DIFFUSION_STEPS.
        prediction_type: of the head.
        step_noise: given the index of the sampling step, the noise it adds, from N(0, 1) like `noise`; None is eta 0.
        constrain: brings the clipped actions of every step back to what is known of them (constraint.Constraint).

    Returns:
        Normalized actions, like `noise`, each number within [-1, 1] but for what `constrain` adds.
    """
    noisy = noise
    for index, step in enumerate(sampling_steps(steps, prediction_type)):
        actions = step.denoised(noisy, predict(noisy, index).float(), prediction_type)
        if constrain is not None:
            actions = constrain(actions)
        noisy = step.next(noisy, actions, None if step_noise is None else step_noise(index))
    return noisy
