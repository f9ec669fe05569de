from itertools import pairwise

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler

from shared.errors import ConfigError
from trainer.config import PredictionType
from trainer.model.diffusion import Diffusion, kept_variance, sample, sampling_steps

CPU = torch.device("cpu")
PREDICTIONS: tuple[PredictionType, ...] = ("epsilon", "v_prediction", "sample")


def alphas_cumprod() -> np.ndarray:
    """Nichol and Dhariwal's squared cosine, each beta at most 0.999, computed here from the paper."""
    steps = np.arange(101) / 100
    bar = np.cos((steps + 0.008) / 1.008 * np.pi / 2) ** 2
    return np.cumprod(1 - np.minimum(1 - bar[1:] / bar[:-1], 0.999))


def clean_actions(predicted: np.ndarray, x: np.ndarray, bar: float, prediction: PredictionType) -> np.ndarray:
    """What a prediction says of the actions without noise, within [-1, 1]."""
    actions = {
        "epsilon": (x - np.sqrt(1 - bar) * predicted) / np.sqrt(bar),
        "v_prediction": np.sqrt(bar) * x - np.sqrt(1 - bar) * predicted,
        "sample": predicted,
    }[prediction]
    return np.asarray(np.clip(actions, -1, 1))


def test_adding_noise_and_targets_against_numpy() -> None:
    generator = torch.Generator().manual_seed(0)
    actions, noise = torch.randn(2, 100, 16, 10, generator=generator)
    timesteps = torch.arange(100)
    bar = alphas_cumprod()[:, None, None]
    a, n = actions.double().numpy(), noise.double().numpy()
    noisy = Diffusion("epsilon", CPU).add_noise(actions, noise, timesteps)
    assert np.abs(noisy.numpy() - (np.sqrt(bar) * a + np.sqrt(1 - bar) * n)).max() < 1e-5
    expected = {"epsilon": n, "sample": a, "v_prediction": np.sqrt(bar) * n - np.sqrt(1 - bar) * a}
    for prediction in PREDICTIONS:
        target = Diffusion(prediction, CPU).target(actions, noise, timesteps)
        assert np.abs(target.numpy() - expected[prediction]).max() < 1e-5


def test_the_sampler_begins_at_the_noisiest_timestep() -> None:
    assert [step.timestep for step in sampling_steps(10)] == [99, 89, 79, 69, 59, 49, 39, 29, 19, 9]


def test_any_number_of_steps_goes_down_to_no_noise_in_as_many() -> None:
    for steps in range(1, 101):
        visited = sampling_steps(steps)
        timesteps = [step.timestep for step in visited]
        assert len(timesteps) == steps
        assert timesteps[0] == 99
        assert all(now > after >= 0 for now, after in pairwise(timesteps))
        assert all(now.next_alpha == after.alpha for now, after in pairwise(visited))
        assert (visited[-1].next_alpha, visited[-1].next_sigma) == (1.0, 0.0)
        start, added = torch.randn(2, 1, 16, 10, generator=torch.Generator().manual_seed(steps))
        result = sample(
            lambda noisy, index: noisy, start, steps, step_noise=added.expand(steps, -1, -1, -1).__getitem__
        )
        assert result.abs().max() <= 1
    for steps in (0, 101):
        with pytest.raises(ConfigError, match=f"{steps} sampling steps: there are 1 to 100"):
            sampling_steps(steps)


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("steps", [1, 7, 10, 100])
def test_sampling_by_ddim_against_numpy(steps: int, prediction: PredictionType) -> None:
    """DDIM with eta 0 (Song et al. 2021, eq. 12), the noise recomputed from the clipped sample."""
    rng = np.random.default_rng(0)
    start = rng.normal(size=(3, 16, 10))
    predictions = rng.normal(size=(steps, 3, 16, 10))
    bar = alphas_cumprod()
    timesteps = [int(step.timestep) for step in sampling_steps(steps)]
    x = start
    for index, timestep in enumerate(timesteps):
        now = bar[timestep]
        before = bar[timesteps[index + 1]] if index + 1 < steps else 1.0
        clean = clean_actions(predictions[index], x, now, prediction)
        noise = (x - np.sqrt(now) * clean) / np.sqrt(1 - now)
        x = np.sqrt(before) * clean + np.sqrt(1 - before) * noise
    given = torch.from_numpy(predictions)
    result = sample(lambda noisy, index: given[index], torch.from_numpy(start).float(), steps, prediction)
    assert np.abs(result.numpy() - x).max() < 1e-5
    assert result.abs().max() <= 1 + 1e-6


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_sampling_by_ddpm_against_numpy(prediction: PredictionType) -> None:
    """Ho et al. 2020, eq. 6 and 7: the posterior's mean from the clipped sample, and its variance."""
    rng = np.random.default_rng(0)
    start = rng.normal(size=(3, 16, 10))
    predictions, added = rng.normal(size=(2, 100, 3, 16, 10))
    bar = alphas_cumprod()
    x = start
    for index, timestep in enumerate(range(99, -1, -1)):
        now, before = bar[timestep], bar[timestep - 1] if timestep else 1.0
        alpha = now / before
        clean = clean_actions(predictions[index], x, now, prediction)
        mean = np.sqrt(before) * (1 - alpha) / (1 - now) * clean + np.sqrt(alpha) * (1 - before) / (1 - now) * x
        x = mean + np.sqrt((1 - before) / (1 - now) * (1 - alpha)) * added[index]
    given, noise = torch.from_numpy(predictions), list(torch.from_numpy(added).float())
    result = sample(
        lambda noisy, index: given[index], torch.from_numpy(start).float(), 100, prediction, noise.__getitem__
    )
    assert np.abs(result.numpy() - x).max() < 1e-5


def test_a_ddpm_step_is_that_of_diffusers_ddpm_scheduler() -> None:
    noisy: torch.Tensor
    predicted: torch.Tensor
    noisy, predicted = torch.randn(2, 3, 16, 10, generator=torch.Generator().manual_seed(0))
    scheduler = DDPMScheduler(num_train_timesteps=100, beta_schedule="squaredcos_cap_v2", clip_sample=True)
    scheduler.set_timesteps(100)
    added = torch.randn(3, 16, 10, generator=torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(1)
    theirs = scheduler.step(predicted, 99, noisy, generator=generator, return_dict=False)[0]
    seen: list[torch.Tensor] = []

    def predict(x: torch.Tensor, index: int) -> torch.Tensor:
        seen.append(x)
        return predicted

    def step_noise(index: int) -> torch.Tensor:
        return added

    sample(predict, noisy, 100, step_noise=step_noise)
    assert (seen[1] - theirs).abs().max() < 1e-5


@pytest.mark.parametrize("stochastic", [False, True])
@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("steps", [1, 4, 10, 100])
def test_sampling_is_that_of_diffusers_ddim_scheduler(steps: int, prediction: PredictionType, stochastic: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    start, predictions, added = (torch.randn(steps, 3, 16, 10, generator=generator) for _ in range(3))
    scheduler = DDIMScheduler(
        num_train_timesteps=100,
        beta_schedule="squaredcos_cap_v2",
        timestep_spacing="trailing",
        prediction_type=prediction,
    )
    scheduler.set_timesteps(steps)
    theirs = start[0]
    for index, timestep in enumerate(scheduler.timesteps.tolist()):
        noise = {"eta": 1.0, "variance_noise": added[index]} if stochastic else {}
        (theirs,) = scheduler.step(
            predictions[index], timestep, theirs, use_clipped_model_output=True, return_dict=False, **noise
        )[:1]
    step_noise = added.__getitem__ if stochastic else None
    ours = sample(lambda noisy, index: predictions[index], start[0], steps, prediction, step_noise)
    # It computes with the schedule in float32, and the first step divides by 5e-4.
    assert (ours - theirs).abs().max() < 1e-3


def test_a_perfect_predictor_is_inverted_exactly() -> None:
    generator = torch.Generator().manual_seed(0)
    actions = 2 * torch.rand(4, 16, 10, generator=generator) - 1
    bar = torch.from_numpy(alphas_cumprod()).float()
    timesteps = [int(step.timestep) for step in sampling_steps()]

    def predict(noisy: torch.Tensor, index: int) -> torch.Tensor:
        now = bar[timesteps[index]]
        return (noisy - now.sqrt() * actions) / (1 - now).sqrt()

    result = sample(predict, torch.randn(4, 16, 10, generator=generator))
    assert (result - actions).abs().max() < 1e-5


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_the_schedule_is_that_of_diffusers_to_the_bit(prediction: PredictionType) -> None:
    theirs = DDPMScheduler(
        num_train_timesteps=100, beta_schedule="squaredcos_cap_v2", clip_sample=True, prediction_type=prediction
    )
    assert torch.equal(kept_variance(), theirs.alphas_cumprod)
    generator = torch.Generator().manual_seed(1)
    actions, noise = torch.randn(2, 100, 16, 10, generator=generator)
    timesteps = torch.randperm(100, generator=generator)
    ours = Diffusion(prediction, CPU)
    assert torch.equal(ours.add_noise(actions, noise, timesteps), theirs.add_noise(actions, noise, timesteps))
    targets = {"epsilon": noise, "sample": actions, "v_prediction": theirs.get_velocity(actions, noise, timesteps)}
    assert torch.equal(ours.target(actions, noise, timesteps), targets[prediction])
