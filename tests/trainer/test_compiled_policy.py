"""Policies whose backbone is compiled give the same answers."""

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torch._inductor import config as inductor

from shared.errors import ConfigError
from tests.trainer.example import HEADS
from trainer.action_head import ActionHead
from trainer.backbones import build_backbone
from trainer.conditioning import stage2_conditioning
from trainer.config import Precision
from trainer.evaluate import Sampler
from trainer.policy import Policy

OBS_DIM = 20


def moved_head(name: str) -> ActionHead:
    """With a projection that has left zero, so that blocks do something.

    It predicts the sample: an epsilon's rounding errors are divided by 5e-4 in the first step.
    """
    torch.manual_seed(0)
    backbone = build_backbone(HEADS[name], 10)
    head = ActionHead(backbone, stage2_conditioning(HEADS[name], backbone, OBS_DIM, None), "sample").eval()
    torch.nn.init.normal_(head.conditioning.projection.weight, std=0.05)
    return head


def inputs(robots: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(robots)
    return torch.randn(robots, 2 * OBS_DIM, generator=generator), torch.randn(robots, 16, 10, generator=generator)


@pytest.mark.parametrize(("name", "robots"), [("dp_mlp-adaln_zero", 1), ("dp_c-film", 2), ("dp_t-cross_attn", 1)])
def test_actions_are_the_same_but_for_rounding(name: str, robots: int) -> None:
    head = moved_head(name)
    worst: dict[Precision, float] = {"fp32": 1e-4, "bf16": 0.08}
    for precision, most in worst.items():
        plain, compiled = Sampler(head, precision), Sampler(head, precision, compile_for=robots)
        expected = plain(*inputs(robots))
        assert (compiled(*inputs(robots)) - expected).abs().max() < most
        assert (compiled(*inputs(robots)) - expected).abs().max() < most
        # Of another size: not compiled, so not only nearly the same.
        assert torch.equal(compiled(*inputs(5)), plain(*inputs(5)))


def test_it_is_compiled_once_and_for_every_thread(low_dim_run: Path) -> None:
    policy = Policy.load(low_dim_run, compile_for=1)
    seen = np.random.default_rng(0).uniform(-1, 1, (1, 2, policy.info.condition_dim)).astype(np.float32)
    answers = [policy(seen)]
    with torch.compiler.set_stance("fail_on_recompile"):
        answers.append(policy(seen))
        thread = threading.Thread(target=lambda: answers.append(policy(seen)))
        thread.start()
        thread.join()
    assert len(answers) == 3
    assert all(np.array_equal(answer, answers[0]) for answer in answers)
    assert np.abs(answers[0] - Policy.load(low_dim_run)(seen)).max() < 0.01


def test_without_a_compiler_it_is_said(low_dim_run: Path) -> None:
    with (
        inductor.patch({"cpp.cxx": ("/no/compiler",), "force_disable_caches": True}),
        pytest.raises(ConfigError, match=r"the policy can't be compiled: .+; leave --compile-for out"),
    ):
        Policy.load(low_dim_run, compile_for=1)
