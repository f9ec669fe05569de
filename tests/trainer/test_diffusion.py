import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler

from trainer.diffusion import Diffusion, sample, sampling_timesteps


def alphas_cumprod() -> np.ndarray:
    """Nichol and Dhariwal's squared cosine, each beta at most 0.999, computed here from the paper."""
    steps = np.arange(101) / 100
    bar = np.cos((steps + 0.008) / 1.008 * np.pi / 2) ** 2
    return np.cumprod(1 - np.minimum(1 - bar[1:] / bar[:-1], 0.999))


def test_adding_noise_against_numpy_and_diffusers() -> None:
    generator = torch.Generator().manual_seed(0)
    actions, noise = torch.randn(2, 100, 16, 10, generator=generator)
    timesteps = torch.arange(100)
    noisy = Diffusion(torch.device("cpu")).add_noise(actions, noise, timesteps)
    bar = alphas_cumprod()[:, None, None]
    expected = np.sqrt(bar) * actions.double().numpy() + np.sqrt(1 - bar) * noise.double().numpy()
    assert np.abs(noisy.numpy() - expected).max() < 1e-5
    scheduler = DDPMScheduler(num_train_timesteps=100, beta_schedule="squaredcos_cap_v2")
    assert (noisy - scheduler.add_noise(actions, noise, timesteps)).abs().max() < 1e-5


def test_the_sampler_begins_at_the_noisiest_timestep() -> None:
    assert sampling_timesteps(10) == [99, 89, 79, 69, 59, 49, 39, 29, 19, 9]


@pytest.mark.parametrize("steps", [1, 10, 100])
def test_sampling_against_numpy(steps: int) -> None:
    """DDIM with eta 0 (Song et al. 2021, eq. 12), the noise recomputed from the clipped sample."""
    rng = np.random.default_rng(0)
    start = rng.normal(size=(3, 16, 10))
    predictions = rng.normal(size=(steps, 3, 16, 10))
    bar = alphas_cumprod()
    timesteps = sampling_timesteps(steps)
    x = start
    for index, timestep in enumerate(timesteps):
        now = bar[timestep]
        before = bar[timesteps[index + 1]] if index + 1 < steps else 1.0
        clean = np.clip((x - np.sqrt(1 - now) * predictions[index]) / np.sqrt(now), -1, 1)
        noise = (x - np.sqrt(now) * clean) / np.sqrt(1 - now)
        x = np.sqrt(before) * clean + np.sqrt(1 - before) * noise
    given = torch.from_numpy(predictions)
    result = sample(lambda noisy, index: given[index], torch.from_numpy(start).float(), steps)
    assert np.abs(result.numpy() - x).max() < 1e-5
    assert result.abs().max() <= 1 + 1e-6


def test_a_perfect_predictor_is_inverted_exactly() -> None:
    generator = torch.Generator().manual_seed(0)
    actions = 2 * torch.rand(4, 16, 10, generator=generator) - 1
    bar = torch.from_numpy(alphas_cumprod()).float()
    timesteps = sampling_timesteps()

    def predict(noisy: torch.Tensor, index: int) -> torch.Tensor:
        now = bar[timesteps[index]]
        return (noisy - now.sqrt() * actions) / (1 - now).sqrt()

    result = sample(predict, torch.randn(4, 16, 10, generator=generator))
    assert (result - actions).abs().max() < 1e-5
