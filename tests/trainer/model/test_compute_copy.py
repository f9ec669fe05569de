import pytest
import torch
from torch import Tensor

from tests.trainer.example import HEADS
from trainer.config import HeadConfig, Mode
from trainer.model.action_head import ActionHead
from trainer.model.backbones import build_backbone
from trainer.model.compute_copy import compute_copy
from trainer.model.conditioning import stage2_conditioning

OBS_DIM, BATCH = 6, 4
MODES: tuple[Mode, ...] = ("normal", "decoupled", "random_body")


def make_head(config: HeadConfig, mode: Mode) -> ActionHead:
    torch.manual_seed(0)
    backbone = build_backbone(config, 10)
    head = ActionHead(backbone, stage2_conditioning(config, backbone, OBS_DIM, None), config.prediction_type)
    # A projection that starts at zero would hide what the condition does.
    with torch.no_grad():
        for weight in head.conditioning.projection.parameters():
            weight.normal_(std=0.1)
    head.freeze(mode)
    return head.train()


def gradients(head: ActionHead, of: ActionHead, config: HeadConfig) -> tuple[Tensor, list[Tensor | None]]:
    """A head's prediction, and the gradients that arrive at the trained weights of another."""
    generator = torch.Generator().manual_seed(1)
    noisy = torch.randn(BATCH, config.horizon, 10, generator=generator)
    condition = torch.randn(BATCH, config.n_obs_steps * OBS_DIM, generator=generator)
    torch.manual_seed(2)
    with torch.autocast("cpu", torch.bfloat16):
        predicted = head(noisy, torch.arange(BATCH) * 20, condition)
    of.zero_grad(set_to_none=True)
    predicted.float().square().mean().backward()
    return predicted.detach(), [weight.grad for _, weight in of.trained_parameters()]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", HEADS)
def test_it_computes_and_learns_as_the_head_itself_under_autocast(name: str, mode: Mode) -> None:
    head = make_head(HEADS[name], mode)
    predicted, expected = gradients(head, head, HEADS[name])
    copied = compute_copy(head, torch.bfloat16, (weight for _, weight in head.trained_parameters()))
    again, found = gradients(copied, head, HEADS[name])
    assert torch.equal(again, predicted)
    assert all(
        torch.equal(a, b) if a is not None and b is not None else a is b for a, b in zip(found, expected, strict=True)
    )


def test_what_is_trained_is_shared_and_the_rest_leaves_the_head_as_it_was() -> None:
    head = make_head(HEADS["dp_c-film"], "random_body")
    copied = compute_copy(head, torch.bfloat16, (weight for _, weight in head.trained_parameters()))
    pairs = list(zip(head.named_parameters(), copied.parameters(), strict=True))
    assert any(not weight.requires_grad for (_, weight), _ in pairs)
    for (name, weight), other in pairs:
        assert weight.dtype == torch.float32
        assert (weight is other) == weight.requires_grad
        if "convolution.weight" in name and not weight.requires_grad:
            assert torch.equal(other, weight.to(torch.bfloat16))
