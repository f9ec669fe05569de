"""The diffusion process: noise in training, DDIM at inference. Schedules come from diffusers.

DDPM with 100 timesteps, squared-cosine betas, noise (epsilon) prediction (Ho et al. 2020, Nichol and Dhariwal 2021);
sampling by DDIM (Song et al. 2021).
"""

from collections.abc import Callable

import torch
from diffusers import DDIMScheduler, DDPMScheduler
from torch import Tensor

from trainer.config import DIFFUSION_STEPS, PredictionType

SAMPLING_STEPS = 10
_SCHEDULE = {"num_train_timesteps": DIFFUSION_STEPS, "beta_schedule": "squaredcos_cap_v2", "clip_sample": True}


class Diffusion:
    """The forward process, with its tables on the training device."""

    def __init__(self, device: torch.device, prediction_type: PredictionType = "epsilon") -> None:
        self.prediction_type = prediction_type
        alphas = DDPMScheduler(**_SCHEDULE).alphas_cumprod.double()
        self._signal: Tensor = alphas.sqrt().float().to(device).view(-1, 1, 1)
        self._noise: Tensor = (1 - alphas).sqrt().float().to(device).view(-1, 1, 1)

    def add_noise(self, actions: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """sqrt(abar_t) * actions + sqrt(1 - abar_t) * noise, for actions (batch, horizon, dim)."""
        return self._signal[timesteps] * actions + self._noise[timesteps] * noise

    def target(self, actions: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """What a head must predict: the noise, the actions, or the velocity (Salimans and Ho 2022)."""
        if self.prediction_type == "epsilon":
            return noise
        if self.prediction_type == "sample":
            return actions
        return self._signal[timesteps] * noise - self._noise[timesteps] * actions


def sampling_timesteps(steps: int = SAMPLING_STEPS) -> list[int]:
    """Timesteps of the sampler, from the noisiest down; the first is the last of the training schedule."""
    return [int(t) for t in _ddim(steps, "epsilon").timesteps]


@torch.no_grad()
def sample(
    predict: Callable[[Tensor, int], Tensor],
    noise: Tensor,
    steps: int = SAMPLING_STEPS,
    prediction_type: PredictionType = "epsilon",
) -> Tensor:
    """Denoises by DDIM without added noise (eta 0).

    Args:
        predict: given noisy actions (batch, horizon, dim) and the index of the sampling step, the head's prediction.
        noise: the start, from N(0, 1).
        steps: of the sampler.
        prediction_type: of the head.

    Returns:
        Normalized actions, like `noise`, each number within [-1, 1].
    """
    scheduler = _ddim(steps, prediction_type)
    actions = noise
    for index, timestep in enumerate(scheduler.timesteps.tolist()):
        predicted = predict(actions, index).float()
        # The noise is recomputed from the clipped sample: with 10 steps the two disagree where clipping acts.
        step = scheduler.step(predicted, timestep, actions, use_clipped_model_output=True, return_dict=False)
        actions = step[0]
    return actions


def _ddim(steps: int, prediction_type: PredictionType) -> DDIMScheduler:
    # "leading", the default, would start at timestep 90, where the sample still holds signal: noise is no start there.
    scheduler = DDIMScheduler(
        **_SCHEDULE, prediction_type=prediction_type, timestep_spacing="trailing", set_alpha_to_one=True
    )
    scheduler.set_timesteps(steps)
    return scheduler
