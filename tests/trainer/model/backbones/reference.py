"""Layers computed in float64 by numpy from a module's weights: what our blocks are compared with."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf
from torch import Tensor, nn

FloatArray = NDArray[np.float64]


def values(x: Tensor | None) -> FloatArray:
    """A tensor as float64."""
    assert x is not None
    return np.asarray(x.detach().double().numpy())


def linear(layer: nn.Linear, x: FloatArray) -> FloatArray:
    return np.asarray(x @ values(layer.weight).T + values(layer.bias))


def layer_norm(x: FloatArray, layer: nn.Module | None = None) -> FloatArray:
    normed = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    if isinstance(layer, nn.LayerNorm):
        normed = normed * values(layer.weight) + values(layer.bias)
    return np.asarray(normed)


def root_mean_square_norm(x: FloatArray) -> FloatArray:
    return np.asarray(x / np.sqrt((x**2).mean(-1, keepdims=True) + np.finfo(np.float32).eps))


def gelu(x: FloatArray) -> FloatArray:
    return np.asarray(0.5 * x * (1 + erf(x / math.sqrt(2))))


def mish(x: FloatArray) -> FloatArray:
    return np.asarray(x * np.tanh(np.log1p(np.exp(x))))


def softmax(x: FloatArray) -> FloatArray:
    shifted = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(-1, keepdims=True))


def convolution(layer: nn.Module, x: FloatArray) -> FloatArray:
    """Conv1d of stride 1 that keeps the length, x (batch, inputs, steps)."""
    assert isinstance(layer, nn.Conv1d)
    weight, pad, steps = values(layer.weight), layer.kernel_size[0] // 2, x.shape[-1]
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad)))
    taps = [np.einsum("oi,bit->bot", weight[..., k], padded[..., k : k + steps]) for k in range(weight.shape[-1])]
    return np.asarray(sum(taps) + values(layer.bias)[:, None])


def group_norm(layer: nn.GroupNorm, x: FloatArray) -> FloatArray:
    grouped = x.reshape(len(x), layer.num_groups, -1)
    grouped = (grouped - grouped.mean(-1, keepdims=True)) / np.sqrt(grouped.var(-1, keepdims=True) + 1e-5)
    normed = grouped.reshape(x.shape)
    if layer.affine:
        normed = normed * values(layer.weight)[:, None] + values(layer.bias)[:, None]
    return np.asarray(normed)


def attention(query: FloatArray, key: FloatArray, value: FloatArray, visible: NDArray[np.bool_]) -> FloatArray:
    """Of four heads, without the output projection; (batch, n, width) each."""
    queries, keys, values_ = (np.split(x, 4, axis=-1) for x in (query, key, value))
    parts = []
    for q, k, v in zip(queries, keys, values_, strict=True):
        scores = q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1])
        parts.append(softmax(np.where(visible, scores, -np.inf)) @ v)
    return np.concatenate(parts, axis=-1)
