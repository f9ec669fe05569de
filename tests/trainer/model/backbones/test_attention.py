import numpy as np
import pytest
import torch

from tests.trainer.model.backbones import reference as ref
from trainer.model.backbones.attention import Attention, CrossAttention, LoraSelfAttention, SelfAttention

WIDTH = 32
CAUSAL = np.tril(np.ones((16, 16), np.bool_))


def close(out: torch.Tensor, expected: np.ndarray, attention: Attention) -> bool:
    return bool(np.abs(ref.values(out) - ref.linear(attention.output, expected)).max() < 1e-5)


def project(attention: SelfAttention, x: np.ndarray) -> list[np.ndarray]:
    """Queries, keys and values."""
    return np.split(ref.linear(attention.query_key_value, x), 3, axis=-1)


def test_self_attention_against_numpy() -> None:
    torch.manual_seed(0)
    attention, x = SelfAttention(WIDTH, 4, 0.0), torch.randn(3, 16, WIDTH)
    query, key, value = project(attention, ref.values(x))
    assert close(attention(x), ref.attention(query, key, value, CAUSAL), attention)


def test_a_prefix_of_keys_and_values_is_seen_by_every_step() -> None:
    torch.manual_seed(0)
    attention, x, prefix = SelfAttention(WIDTH, 4, 0.0), torch.randn(3, 16, WIDTH), torch.randn(3, 5, 2 * WIDTH)
    query, *key_value = project(attention, ref.values(x))
    key, value = (
        np.concatenate([before, own], axis=1)
        for before, own in zip(np.split(ref.values(prefix), 2, axis=-1), key_value, strict=True)
    )
    visible = np.concatenate([np.ones((16, 5), np.bool_), CAUSAL], axis=1)
    assert close(attention(x, prefix), ref.attention(query, key, value, visible), attention)


def test_a_prefix_of_steps_sees_itself_alone() -> None:
    torch.manual_seed(0)
    attention, x = SelfAttention(WIDTH, 4, 0.0), torch.randn(3, 16, WIDTH)
    visible = CAUSAL.copy()
    visible[:5, :5] = True
    query, key, value = project(attention, ref.values(x))
    assert close(attention(x, prefix_steps=5), ref.attention(query, key, value, visible), attention)


def test_low_rank_biases_are_on_the_inputs_of_queries_and_values() -> None:
    torch.manual_seed(0)
    attention, x = LoraSelfAttention(WIDTH, 4, 0.0), torch.randn(3, 16, WIDTH)
    query_bias, value_bias = torch.randn(2, 3, 1, WIDTH)
    query = project(attention, ref.values(x + query_bias))[0]
    key = project(attention, ref.values(x))[1]
    value = project(attention, ref.values(x + value_bias))[2]
    out = attention.biased(x, query_bias, value_bias)
    assert close(out, ref.attention(query, key, value, CAUSAL), attention)


@pytest.mark.parametrize("projects", [False, True])
@pytest.mark.parametrize("tokens", [1, 3, 17])
def test_step_t_sees_the_times_token_and_the_conditions_first_t_plus_one(tokens: int, projects: bool) -> None:
    torch.manual_seed(0)
    attention = CrossAttention(WIDTH, 4, 0.0, projects=projects)
    x, given = torch.randn(3, 16, WIDTH), torch.randn(3, tokens, WIDTH if projects else 2 * WIDTH)
    key_value = ref.values(given)
    if isinstance(attention.key_value, torch.nn.Linear):
        key_value = ref.linear(attention.key_value, key_value)
    key, value = np.split(key_value, 2, axis=-1)
    visible = np.arange(tokens) <= np.arange(16)[:, None] + 1
    query = ref.linear(attention.query, ref.values(x))
    assert close(attention(x, given), ref.attention(query, key, value, visible), attention)
