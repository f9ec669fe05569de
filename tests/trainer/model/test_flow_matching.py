"""Flow matching against what is known in closed form: a single point, a Gaussian, straight lines."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from shared.errors import ConfigError
from tests.trainer.example import HEADS
from trainer.config import HeadConfig, default_sampling_steps, from_json, to_json
from trainer.model.action_head import ActionHead
from trainer.model.backbones import build_backbone
from trainer.model.backbones.time_encoder import Sinusoid, TimeEncoder
from trainer.model.conditioning import stage2_conditioning
from trainer.model.diffusion import forward_process, sample, sampling_steps
from trainer.model.flow_matching import FlowMatching
from trainer.model.sampler import Sampler

CPU = torch.device("cpu")
SEEDS = st.integers(0, 2**32 - 1)
STEPS = pytest.mark.parametrize("steps", [1, 2, 3, 4, 10, 100])


def noise(seed: int, batch: int = 3) -> Tensor:
    return torch.randn(batch, 16, 10, generator=torch.Generator().manual_seed(seed))


def times(steps: int) -> list[float]:
    return [step.alpha for step in sampling_steps(steps, "flow")]


def gaussian_velocity(mean: float, spread: float, steps: int) -> Callable[[Tensor, int], Tensor]:
    """E[actions - noise | noisy] where each number of the actions is from N(mean, spread^2)."""

    def velocity(noisy: Tensor, index: int) -> Tensor:
        t = times(steps)[index]
        variance = (t * spread) ** 2 + (1 - t) ** 2
        return mean + (t * spread**2 - (1 - t)) / variance * (noisy - t * mean)

    return velocity


def test_adding_noise_and_targets_against_numpy() -> None:
    actions, start = noise(0, 50), noise(1, 50)
    process = forward_process("flow", CPU)
    timesteps = torch.linspace(0, 99, 50)
    t = (1 - timesteps.double().numpy() / 99)[:, None, None]
    a, n = actions.double().numpy(), start.double().numpy()
    noisy = process.add_noise(actions, start, timesteps)
    assert np.abs(noisy.numpy() - ((1 - t) * n + t * a)).max() < 1e-6
    assert torch.equal(noisy[0], actions[0])
    assert torch.equal(noisy[-1], start[-1])
    assert torch.equal(process.target(actions, start, timesteps), actions - start)


def test_times_are_trained_on_uniformly_pure_noise_included() -> None:
    drawn = FlowMatching().draw(20_000, torch.Generator().manual_seed(0)).double().numpy() / 99
    assert 0 < drawn.min() < 1e-3
    assert 0.999 < drawn.max() <= 1
    shares = np.sort(drawn)
    # Kolmogorov and Smirnov: 1.63 / sqrt(n) is exceeded by one in a hundred of uniform samples.
    assert np.abs(shares - (np.arange(20_000) + 0.5) / 20_000).max() < 1.63 / 20_000**0.5
    spread = FlowMatching().spread(4, CPU)
    assert torch.allclose(spread, 99 * torch.tensor([0.125, 0.375, 0.625, 0.875]))


def test_steps_become_shorter_from_noise_alone_to_none() -> None:
    assert [step.timestep for step in sampling_steps(2, "flow")] == [99, 12.375]
    assert [step.sigma for step in sampling_steps(4, "flow")] == [1, 27 / 64, 1 / 8, 1 / 64]
    for steps in range(1, 101):
        visited = sampling_steps(steps, "flow")
        assert all(step.timestep == pytest.approx(99 * step.sigma, abs=1e-12) for step in visited)
        lengths = np.diff([*times(steps), 1])
        assert (lengths > 0).all()
        assert (np.diff(lengths) < 0).all()
        assert all(step.alpha + step.sigma == pytest.approx(1, abs=1e-15) for step in visited)
        assert all((now.next_alpha, now.next_sigma) == (after.alpha, after.sigma) for now, after in pairwise(visited))
        assert (visited[-1].next_alpha, visited[-1].next_sigma) == (1.0, 0.0)
    assert len(sampling_steps(None, "flow")) == default_sampling_steps("flow")
    assert len(sampling_steps(None, "epsilon")) == 10
    with pytest.raises(ConfigError, match="101 sampling steps"):
        sampling_steps(101, "flow")


@settings(max_examples=30)
@given(seed=SEEDS)
def test_one_step_is_noise_and_velocity(seed: int) -> None:
    start, velocity = noise(seed), noise(seed + 1)
    result = sample(lambda noisy, index: velocity, start, 1, "flow")
    assert (result - (start + velocity).clamp(-1, 1)).abs().max() < 1e-6


@STEPS
def test_steps_are_eulers_where_nothing_is_clipped(steps: int) -> None:
    start, velocities = 0.1 * noise(0), 0.1 * noise(1, batch=steps)
    x = start.double()
    for velocity, length in zip(velocities, np.diff([*times(steps), 1]), strict=True):
        x = x + velocity.double() * length
    found = sample(lambda noisy, index: velocities[index].expand_as(noisy), start, steps, "flow")
    assert (found - x).abs().max() < 1e-6


@STEPS
@settings(max_examples=10)
@given(seed=SEEDS)
def test_a_single_point_is_reached_in_any_number_of_steps(steps: int, seed: int) -> None:
    point = torch.rand(3, 16, 10, generator=torch.Generator().manual_seed(seed)) * 2 - 1

    def velocity(noisy: Tensor, index: int) -> Tensor:
        return (point - noisy) / (1 - times(steps)[index])

    assert (sample(velocity, noise(seed + 1), steps, "flow") - point).abs().max() < 1e-5


@STEPS
def test_a_gaussian_is_mapped_as_eulers_method_says(steps: int) -> None:
    mean, spread, start = 0.2, 0.15, noise(0, batch=200)
    factor = 1.0
    for t, after in pairwise([*times(steps), 1]):
        factor *= 1 + (after - t) * (t * spread**2 - (1 - t)) / ((t * spread) ** 2 + (1 - t) ** 2)
    found = sample(gaussian_velocity(mean, spread, steps), start, steps, "flow")
    assert (found - (mean + factor * start)).abs().max() < 1e-5
    if steps == 1:
        # All that one step can know is the mean.
        assert factor == pytest.approx(0, abs=1e-12)
    if steps == 100:
        assert factor == pytest.approx(spread, rel=0.05)


def test_added_noise_keeps_the_spread_of_noisy_actions() -> None:
    """Of a single point, noisy actions at time t are from N(t * point, (1 - t)^2), however the sampler came there."""
    seen: list[Tensor] = []
    steps, added = 5, noise(1, batch=5 * 400).view(5, 400, 16, 10)

    def velocity(noisy: Tensor, index: int) -> Tensor:
        seen.append(noisy)
        return (0.3 - noisy) / (1 - times(steps)[index])

    result = sample(velocity, noise(0, batch=400), steps, "flow", added.__getitem__)
    for t, noisy in zip(times(steps), seen, strict=True):
        assert float(noisy.mean()) == pytest.approx(0.3 * t, abs=0.02)
        assert float(noisy.std()) == pytest.approx(1 - t, rel=0.02)
    assert (result - 0.3).abs().max() < 1e-5
    assert torch.corrcoef(torch.stack([seen[0].flatten(), seen[2].flatten()]))[0, 1] < 0.7


def test_time_is_encoded_alike_for_every_prediction_type() -> None:
    whole = torch.arange(100)
    for encoder in (Sinusoid(64), TimeEncoder(64)):
        assert (encoder(whole.float()) - encoder(whole)).abs().max() < 1e-5
    halfway = Sinusoid(64)(torch.tensor([24.75]))
    frequencies = 10_000 ** (-np.arange(32) / 31)
    expected = np.concatenate([np.sin(24.75 * frequencies), np.cos(24.75 * frequencies)])
    assert np.abs(halfway[0].numpy() - expected).max() < 1e-5


@pytest.mark.parametrize("name", HEADS)
def test_the_sampler_of_every_head_asks_it_at_the_times_that_it_was_trained_on(name: str) -> None:
    torch.manual_seed(0)
    config = replace(HEADS[name], prediction_type="flow")
    backbone = build_backbone(config, 10)
    head = ActionHead(backbone, stage2_conditioning(config, backbone, 5, None), config.prediction_type).eval()
    torch.nn.init.normal_(head.conditioning.projection.weight, std=0.1)
    condition, start = torch.randn(3, 10), noise(0)
    visited = torch.tensor([step.timestep for step in sampling_steps(3, "flow")])[:, None].expand(-1, 3)
    with torch.inference_mode():
        expected = sample(lambda noisy, index: head(noisy, visited[index], condition), start, 3, "flow")
    given = Sampler(head, "fp32", 3)(condition, start)
    assert (given - expected).abs().max() < 1e-5
    assert (given[0] - given[1]).abs().max() > 0.05


def test_a_head_without_a_prediction_type_predicts_the_noise_as_ever() -> None:
    written = to_json(HeadConfig(prediction_type="flow"))
    assert from_json(HeadConfig, written).prediction_type == "flow"
    del written["prediction_type"]
    assert from_json(HeadConfig, written).prediction_type == "epsilon"
