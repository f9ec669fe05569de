"""Policies whose backbone is compiled give the same answers."""

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torch._dynamo import config as dynamo
from torch._dynamo.utils import counters
from torch._inductor import config as inductor

from shared.errors import ConfigError
from tests.trainer.example import HEADS
from trainer.config import Precision, PredictionType
from trainer.data.motion_basis import MotionBasis
from trainer.data.normalization import ActionNormalizer
from trainer.deployment.policy import Policy
from trainer.model.action_head import ActionHead
from trainer.model.backbones import build_backbone
from trainer.model.conditioning import stage2_conditioning
from trainer.model.sampler import Sampler

OBS_DIM = 20


def moved_head(name: str, prediction_type: PredictionType = "sample") -> ActionHead:
    """With a projection that has left zero, so that blocks do something.

    It does not predict the noise: an epsilon's rounding errors are divided by 5e-4 in the first step.
    """
    torch.manual_seed(0)
    backbone = build_backbone(HEADS[name], 10)
    head = ActionHead(backbone, stage2_conditioning(HEADS[name], backbone, OBS_DIM, None), prediction_type).eval()
    torch.nn.init.normal_(head.conditioning.projection.weight, std=0.05)
    return head


def inputs(robots: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(robots)
    return torch.randn(robots, 2 * OBS_DIM, generator=generator), torch.randn(robots, 16, 10, generator=generator)


def compilations() -> tuple[int, int]:
    """How many graphs have been compiled, and how many products were found in them whose weights are constants."""
    return counters["stats"]["unique_graphs"], counters["inductor"]["mkldnn_linear_weight_pack_matcher_count"]


# Compiling takes seconds: each head in one precision here, dp_mlp in both below.
@pytest.mark.parametrize(
    ("name", "robots", "prediction_type", "precision", "most"),
    [
        ("dp_mlp-adaln_zero", 1, "flow", "fp32", 1e-4),
        ("dp_c-film", 2, "sample", "fp32", 1e-4),
        ("dp_t-cross_attn", 1, "sample", "bf16", 0.08),
    ],
)
def test_actions_are_the_same_but_for_rounding(
    name: str, robots: int, prediction_type: PredictionType, precision: Precision, most: float
) -> None:
    head = moved_head(name, prediction_type)
    plain, compiled = Sampler(head, precision), Sampler(head, precision, compile_for=robots)
    expected = plain(*inputs(robots))
    graphs, products = compilations()
    assert (compiled(*inputs(robots)) - expected).abs().max() < most
    after = compilations()
    assert after[0] == graphs + 1
    # dp_c has only convolutions.
    assert (after[1] > products) == (name != "dp_c-film")
    assert (compiled(*inputs(robots)) - expected).abs().max() < most
    # Of another size: not compiled, so not only nearly the same.
    assert torch.equal(compiled(*inputs(5)), plain(*inputs(5)))
    assert compilations() == after


def test_compiled_or_not_actions_lie_in_the_motion_basis_and_go_on_from_their_prefix() -> None:
    head = moved_head("dp_mlp-adaln_zero")
    lines = np.linspace(0, 1, 16)[None, :, None] * np.random.default_rng(0).uniform(-1, 1, (64, 1, 10))
    normalizer = ActionNormalizer({"position": {"min": [-1.0] * 3, "max": [1.0] * 3}})
    basis = MotionBasis.learn(lines.astype(np.float32), normalizer, 4)
    beyond = torch.from_numpy(np.eye(16) - basis.projection()).float()
    prefix = torch.full((1, 2, 10), 0.1)
    worst: dict[Precision, float] = {"fp32": 1e-4, "bf16": 0.08}
    for precision, most in worst.items():
        plain, compiled = Sampler(head, precision, basis=basis), Sampler(head, precision, compile_for=1, basis=basis)
        for given in (None, prefix):
            expected, found = (sampler(*inputs(1), prefix=given) for sampler in (plain, compiled))
            assert (found - expected).abs().max() < most
            assert (beyond @ found[..., :-1]).abs().max() < 1e-5
            if given is not None:
                assert (found[:, :2] - given).abs().max() < 0.02


def ask(policy: Policy, seed: int = 0) -> np.ndarray:
    seen = np.random.default_rng(seed).uniform(-1, 1, (1, 2, policy.info.condition_dim))
    return policy(seen.astype(np.float32))


def test_it_is_compiled_once_whoever_asks(low_dim_run: Path) -> None:
    policy = Policy.load(low_dim_run, compile_for=1)
    after = compilations()
    answers = [ask(policy)]
    thread = threading.Thread(target=lambda: answers.append(ask(policy)))
    thread.start()
    thread.join()
    with torch.inference_mode():
        answers.append(ask(policy))
    assert len(answers) == 3
    assert all(np.array_equal(answer, answers[0]) for answer in answers)
    assert np.abs(answers[0] - ask(Policy.load(low_dim_run))).max() < 0.01
    assert compilations() == after


def test_where_torch_is_set_differently_later_it_goes_on_uncompiled(
    low_dim_run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    policy, plain = Policy.load(low_dim_run, compile_for=1), Policy.load(low_dim_run)
    after, threads = compilations(), torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        for seed in range(2):
            assert np.array_equal(ask(policy, seed), ask(plain, seed))
    finally:
        torch.set_num_threads(threads)
    (said,) = (record.message for record in caplog.records if record.name == "trainer.model.sampler")
    assert said.startswith("torch is set differently than when the policy was compiled (threads, ")
    assert compilations() == after


def test_policies_do_not_use_up_what_torch_compiles_of_one_function(low_dim_run: Path) -> None:
    with dynamo.patch(recompile_limit=1, fail_on_recompile_limit_hit=True):
        answers = [ask(Policy.load(low_dim_run, compile_for=1)) for _ in range(2)]
    assert np.array_equal(answers[0], answers[1])


def test_what_can_not_be_compiled_is_said(low_dim_run: Path) -> None:
    with pytest.raises(ConfigError, match="compile_for is 0; batches have at least one observation"):
        Policy.load(low_dim_run, compile_for=0)
    with (
        inductor.patch({"cpp.cxx": ("/no/compiler",), "force_disable_caches": True}),
        pytest.raises(ConfigError, match=r"the policy can't be compiled: .+; do without compile_for"),
    ):
        Policy.load(low_dim_run, compile_for=1)
