"""The diffusion process: noise in training, DDIM at inference. Schedules and steps are diffusers'.

DDPM with 100 timesteps and squared-cosine betas (Ho et al. 2020, Nichol and Dhariwal 2021). A head predicts the noise
(epsilon), the actions (sample), or the velocity (v_prediction, Salimans and Ho 2022). Sampling is by DDIM (Song et al.
2021).
"""

from collections.abc import Callable
from functools import cache

import torch
from diffusers import DDIMScheduler, DDPMScheduler
from torch import Tensor

from trainer.config import DIFFUSION_STEPS, PredictionType

SAMPLING_STEPS = 10
_SCHEDULE = {"num_train_timesteps": DIFFUSION_STEPS, "beta_schedule": "squaredcos_cap_v2", "clip_sample": True}


class Diffusion:
    """The forward process, and what a head has to predict in it."""

    def __init__(self, prediction_type: PredictionType) -> None:
        self._scheduler = DDPMScheduler(**_SCHEDULE, prediction_type=prediction_type)
        self._prediction_type = prediction_type

    def add_noise(self, actions: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """sqrt(abar_t) * actions + sqrt(1 - abar_t) * noise, for actions (batch, horizon, dim)."""
        noisy: Tensor = self._scheduler.add_noise(actions, noise, timesteps)
        return noisy

    def target(self, actions: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """The noise, the actions, or the velocity sqrt(abar_t) * noise - sqrt(1 - abar_t) * actions."""
        if self._prediction_type == "epsilon":
            return noise
        if self._prediction_type == "sample":
            return actions
        velocity: Tensor = self._scheduler.get_velocity(actions, noise, timesteps)
        return velocity


def sampling_timesteps(steps: int = SAMPLING_STEPS) -> list[int]:
    """Timesteps of the sampler, from the noisiest down; the first is the last of the training schedule."""
    return [int(t) for t in _ddim(steps, "epsilon").timesteps]


def sampler_coefficients(steps: int = SAMPLING_STEPS) -> list[dict[str, float]]:
    """What each step of `sample` without added noise computes with, in order.

    Of the noisy actions x and the head's prediction, step by step:

        x0 = (x - sigma * epsilon) / alpha, or the sample itself, or alpha * x - sigma * velocity; clipped to [-1, 1]
        x = next_alpha * x0 + next_sigma * (x - alpha * x0) / sigma
    """
    cumulative = _ddim(steps, "epsilon").alphas_cumprod.double()
    timesteps = sampling_timesteps(steps)
    kept = [float(cumulative[t]) for t in timesteps] + [1.0]
    return [
        {"timestep": t, "alpha": a**0.5, "sigma": (1 - a) ** 0.5, "next_alpha": b**0.5, "next_sigma": (1 - b) ** 0.5}
        for t, a, b in zip(timesteps, kept, kept[1:], strict=False)
    ]


@torch.no_grad()
def sample(
    predict: Callable[[Tensor, int], Tensor],
    noise: Tensor,
    steps: int = SAMPLING_STEPS,
    prediction_type: PredictionType = "epsilon",
    step_noise: Callable[[int], Tensor] | None = None,
) -> Tensor:
    """Denoises by DDIM without added noise (eta 0), or with all of it (eta 1), which over every timestep is DDPM.

    Args:
        predict: given noisy actions (batch, horizon, dim) and the index of the sampling step, the head's prediction.
        noise: the start, from N(0, 1).
        steps: of the sampler; DDPM takes all of them, config.DIFFUSION_STEPS.
        prediction_type: of the head.
        step_noise: given the index of the sampling step, the noise it adds, from N(0, 1) like `noise`; None is eta 0.

    Returns:
        Normalized actions, like `noise`, each number within [-1, 1].
    """
    scheduler = _ddim(steps, prediction_type)
    actions = noise
    for index, timestep in enumerate(scheduler.timesteps.tolist()):
        actions = scheduler.step(
            predict(actions, index).float(),
            timestep,
            actions,
            eta=0.0 if step_noise is None else 1.0,
            # The noise is recomputed from the clipped sample: with 10 steps the two disagree where clipping acts.
            use_clipped_model_output=True,
            variance_noise=None if step_noise is None else step_noise(index),
            return_dict=False,
        )[0]
    return actions


@cache
def _ddim(steps: int, prediction_type: PredictionType) -> DDIMScheduler:
    # "leading", the default, would start at timestep 90, where the sample still holds signal: noise is no start there.
    scheduler = DDIMScheduler(
        **_SCHEDULE, prediction_type=prediction_type, timestep_spacing="trailing", set_alpha_to_one=True
    )
    scheduler.set_timesteps(steps)
    return scheduler
